"""Wavelet edge preservation and the spatial frequency ratio as the Python package cslib computes them: in torch, in
float32, Haar bands as convolutions of the whole image of which every second value is kept, differences as convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Levels = np.ndarray[Any, Any]

_LOW, _HIGH = torch.tensor([0.5**0.5, 0.5**0.5]), torch.tensor([-(0.5**0.5), 0.5**0.5])
_DIFFERENCES = [torch.tensor(rows) for rows in ([[-1.0], [1]], [[-1.0, 1]], [[-1.0, 0], [0, 1]], [[0, -1.0], [1, 0]])]


def wavelet_edges(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = _tensors(fused, infrared, visible)
    product = 1.0
    for power in (2 / 3, 1 / 3):
        (f, *bands_f), (a, *bands_a), (b, *bands_b) = (_haar(image) for image in (f, a, b))
        kept = total = 0.0
        for bands in (bands_a, bands_b):
            weight = bands[0] ** 2 + bands[1] ** 2 + bands[2] ** 2
            pairs = zip(bands, bands_f, strict=True)
            similar = torch.stack([torch.exp(-torch.abs(band - of_fused)) for band, of_fused in pairs]).sum(0)
            kept += (similar * weight).sum().item()
            total += weight.sum().item()
        product *= (kept / total) ** power
    return product


def _haar(image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    low, high = _down(image, _LOW), _down(image, _HIGH)
    return _across(low, _LOW), _across(high, _LOW), _across(low, _HIGH), _across(high, _HIGH)


def _down(image: Tensor, taps: Tensor) -> Tensor:
    return F.conv2d(image, taps.view(1, 1, 2, 1))[:, :, ::2]


def _across(image: Tensor, taps: Tensor) -> Tensor:
    return F.conv2d(image, taps.view(1, 1, 1, 2))[..., ::2]


def frequency_error(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = _tensors(fused, infrared, visible)
    own = reference = 0.0
    for weight, kernel in zip((1, 1, 0.5**0.5, 0.5**0.5), _DIFFERENCES, strict=True):
        of_fused, first, second = (torch.abs(F.conv2d(image, kernel[None, None])) for image in (f, a, b))
        own += weight * (of_fused**2).sum().item()
        reference += weight * (torch.maximum(first, second) ** 2).sum().item()
    return float((np.sqrt(own) - np.sqrt(reference)) / np.sqrt(reference))


def _tensors(*images: Levels) -> list[Tensor]:
    return [torch.from_numpy(image.astype(np.float32))[None, None] for image in images]


PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {"QM": wavelet_edges, "QSF": frequency_error}
