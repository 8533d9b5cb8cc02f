"""The metrics after Chen and Blum and after Chen and Varshney as Python ports of VIFB's and the survey toolbox's MATLAB
code compute them: complex FFTs, full two-dimensional windows.

The windows of QCB by torch in float32, as the package cslib does; ``scipy.signal.convolve2d`` takes four times as long.
QCV goes from block to block, as MATLAB's ``blkproc`` and cslib do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.signal import convolve2d
from torch.nn import functional as F

Levels = np.ndarray[Any, Any]

_SOBEL = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def chen_blum(fused: Levels, infrared: Levels, visible: Levels) -> float:
    height, width = fused.shape
    radius = _radius(height, width, 30)
    weight = np.exp(-((radius / 15.3870) ** 2)) - 0.7622 * np.exp(-((radius / 1.3456) ** 2))
    f, a, b = (_contrast(_filter(_stretch(image), weight)) for image in (fused, infrared, visible))
    share = a**2 / (a**2 + b**2)
    kept_a, kept_b = (np.where(source < f, source / f, f / source) for source in (a, b))
    return float((share * kept_a + (1 - share) * kept_b).mean())


def _contrast(image: Levels) -> Levels:
    tensor = torch.from_numpy(image.astype(np.float32))[None, None]
    near, far = (F.conv2d(tensor, _gaussian(sigma)[None, None], padding=15)[0, 0].numpy() for sigma in (2, 4))
    contrast = np.abs(near / far - 1)
    return contrast**3 / (contrast**2 + 1e-4)


def _gaussian(sigma: float) -> torch.Tensor:
    place = torch.arange(-15.0, 16)
    return torch.exp(-(place[:, None] ** 2 + place**2) / (2 * sigma**2)) / (2 * math.pi * sigma**2)


def chen_varshney(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = (_stretch(image) for image in (fused, infrared, visible))
    radius = _radius(*f.shape, 8)
    weight = 2.6 * (0.0192 + 0.144 * radius) * np.exp(-((0.144 * radius) ** 1.1))
    error = total = 0.0
    for source in (a, b):
        across, down = (convolve2d(source, kernel, mode="same") for kernel in (_SOBEL, _SOBEL.T))
        saliency = _of_blocks(np.sqrt(across**2 + down**2) ** 5, np.sum)
        error += float((saliency * _of_blocks(_filter(source - f, weight) ** 2, np.mean)).sum())
        total += float(saliency.sum())
    return error / total


def _of_blocks(image: Levels, function: Callable[[Levels], Any]) -> Levels:
    height, width = image.shape
    image = np.pad(image, ((0, -height % 16), (0, -width % 16)))
    rows, columns = range(0, image.shape[0], 16), range(0, image.shape[1], 16)
    return np.array([[function(image[row : row + 16, column : column + 16]) for column in columns] for row in rows])


def _stretch(image: Levels) -> Levels:
    image = image.astype(np.float64)
    return np.floor(255 * (image - image.min()) / (image.max() - image.min()) + 0.5)


def _radius(height: int, width: int, divisor: float) -> Levels:
    down = 2 * (np.arange(height) - height // 2) / height
    across = 2 * (np.arange(width) - width // 2) / width
    return np.fft.ifftshift(np.sqrt((across * width / divisor) ** 2 + (down[:, None] * height / divisor) ** 2))


def _filter(image: Levels, weight: Levels) -> Levels:
    return np.fft.ifft2(np.fft.fft2(image) * weight).real


PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {"QCB": chen_blum, "QCV": chen_varshney}
