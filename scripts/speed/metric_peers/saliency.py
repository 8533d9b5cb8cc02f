"""Indices of structural similarity as the Python package cslib computes them: in torch, one-dimensional convolutions in
float32 one axis after the other, all statistics anew for each pair.

Ports of the survey toolbox's MATLAB code by ``scipy.signal.convolve2d`` take about ten times as long. In float32 the
variances of QC and QY are rounding noise where a picture is nearly flat: their scores agree to four digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Levels = np.ndarray[Any, Any]

_PREWITT = torch.tensor([[-1.0, 0, 1]] * 3)


def piella(fused: Levels, infrared: Levels, visible: Levels) -> float:
    return _piella(*_tensors(fused, infrared, visible))[0].mean().item()


def piella_weighted(fused: Levels, infrared: Levels, visible: Levels) -> float:
    return _weighted(*_tensors(fused, infrared, visible))


def piella_edges(fused: Levels, infrared: Levels, visible: Levels) -> float:
    images = _tensors(fused, infrared, visible)
    return _weighted(*images) * _weighted(*(_edges(image) for image in images))


def cvejic(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = _tensors(fused, infrared, visible)
    similar_a, _, _, covariance_a = _similarity(a, f, 7, 2e-16, 2e-16)
    similar_b, _, _, covariance_b = _similarity(b, f, 7, 2e-16, 2e-16)
    share = covariance_a / (covariance_a + covariance_b + 1e-10)
    quality = share * similar_a + (1 - share) * similar_b
    quality[share > 1] = 1
    quality[share < 0] = 0
    return quality.mean().item()


def yang(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = _tensors(fused, infrared, visible)
    between, variance_a, variance_b, _ = _similarity(a, b, 7, 2e-16, 2e-16)
    similar_a = _similarity(a, f, 7, 2e-16, 2e-16)[0]
    similar_b = _similarity(b, f, 7, 2e-16, 2e-16)[0]
    share = variance_a / (variance_a + variance_b + 1e-10)
    mixed = share * similar_a + (1 - share) * similar_b
    return torch.where(between >= 0.75, mixed, torch.maximum(similar_a, similar_b)).mean().item()


def _tensors(*images: Levels) -> list[Tensor]:
    return [torch.from_numpy(image.astype(np.float32))[None, None] for image in images]


def _weighted(f: Tensor, a: Tensor, b: Tensor) -> float:
    quality, variance_a, variance_b = _piella(f, a, b)
    saliency = torch.maximum(variance_a, variance_b)
    return (saliency / saliency.sum() * quality).sum().item()


def _piella(f: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    similar_a, similar_b = (_similarity(source, f, 11, 2.55**2, 7.65**2)[0] for source in (a, b))
    variance_a, variance_b = _variance(a, 11), _variance(b, 11)
    flat = 0.5 * (variance_a + variance_b == 0)
    variance_a, variance_b = variance_a + flat, variance_b + flat
    share = variance_a / (variance_a + variance_b)
    return share * similar_a + (1 - share) * similar_b, variance_a, variance_b


def _similarity(x: Tensor, y: Tensor, size: int, c1: float, c2: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    mean_x, mean_y = _mean(x, size), _mean(y, size)
    variance_x, variance_y = _mean(x**2, size) - mean_x**2, _mean(y**2, size) - mean_y**2
    covariance = _mean(x * y, size) - mean_x * mean_y
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return above / (below + 1e-10), variance_x, variance_y, covariance


def _variance(image: Tensor, size: int) -> Tensor:
    return _mean(image**2, size) - _mean(image, size) ** 2


def _mean(image: Tensor, size: int) -> Tensor:
    place = torch.arange(size) - (size - 1) / 2
    window = torch.exp(-place.square() / (2 * 1.5**2))
    window /= window.sum()
    return F.conv2d(F.conv2d(image, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))


def _edges(image: Tensor) -> Tensor:
    across, down = (F.conv2d(image, kernel[None, None], padding=1) for kernel in (_PREWITT, _PREWITT.T))
    return torch.sqrt(across**2 + down**2)


PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {
    "QS": piella,
    "QW": piella_weighted,
    "QE": piella_edges,
    "QC": cvejic,
    "QY": yang,
}
