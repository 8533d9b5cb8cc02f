"""Bicubic resizing as a matrix: torch's own has another kernel where it enlarges, and other borders."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def resize_matrix(size: int, wanted: int) -> Tensor:
    """What turns ``size`` samples into ``wanted`` ones, (wanted, size) float64: Keys' kernel with a = -1/2.

    Pixels are areas (half-pixel centres), the kernel grows with the step where samples are left out, and beyond the
    border the picture is mirrored, its edge repeated. Each row has sum 1.

    >>> resize_matrix(2, 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    scale = wanted / size
    stretch = max(1 / scale, 1)
    reach = int(2 * stretch) + 2
    centre = (torch.arange(wanted, dtype=torch.float64) + 0.5) / scale - 0.5
    places = centre.floor().long()[:, None] + torch.arange(-reach, reach + 1)
    weights = keys_kernel((centre[:, None] - places) / stretch)
    weights = weights / weights.sum(1, keepdim=True)
    places = places % (2 * size)
    places = torch.minimum(places, 2 * size - 1 - places)
    return torch.zeros(wanted, size, dtype=torch.float64).scatter_add_(1, places, weights)


def keys_kernel(x: Tensor) -> Tensor:
    """Cubic convolution (Keys, IEEE Transactions on Acoustics, Speech, and Signal Processing 1981)."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0))
