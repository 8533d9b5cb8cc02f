"""Bicubic resizing as a matrix product, since PyTorch's has another kernel for upsampling, and other borders."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def resize_matrix(size: int, target: int) -> Tensor:
    """The matrix that resizes an axis of ``size`` samples to ``target`` ones, (target, size) float64.

    It has Keys' kernel with a = -1/2. Samples have half-pixel centres; the kernel widens with the step when the axis
    shrinks; beyond the border the axis is mirrored with its edge repeated. Each row has sum 1.

    >>> resize_matrix(2, 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    scale = target / size
    stretch = max(1 / scale, 1)
    reach = int(2 * stretch) + 2
    centre = (torch.arange(target, dtype=torch.float64) + 0.5) / scale - 0.5
    samples = centre.floor().long()[:, None] + torch.arange(-reach, reach + 1)
    weights = keys_kernel((centre[:, None] - samples) / stretch)
    weights = weights / weights.sum(1, keepdim=True)
    samples = samples % (2 * size)
    samples = torch.minimum(samples, 2 * size - 1 - samples)
    return torch.zeros(target, size, dtype=torch.float64).scatter_add_(1, samples, weights)


def keys_kernel(x: Tensor) -> Tensor:
    """Cubic convolution kernel (Keys, IEEE Transactions on Acoustics, Speech, and Signal Processing 29, 1981)."""
    x = x.abs()
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, inner, torch.where(x < 2, outer, 0))
