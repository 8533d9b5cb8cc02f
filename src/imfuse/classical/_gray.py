"""Gray levels 0..255, in which the constants of many published programs are given, and their rounding."""

from __future__ import annotations

from torch import Tensor


def whole_levels(levels: Tensor) -> Tensor:
    """Nearest whole level in 0..255, half upwards, as 8-bit arithmetic saturates.

    >>> import torch
    >>> whole_levels(torch.tensor([-3.0, 0.5, 254.5, 300.0])).tolist()
    [0.0, 1.0, 255.0, 255.0]
    """
    return (levels + 0.5).floor().clamp(0, 255)


def gray_levels(image: Tensor, whole: bool) -> Tensor:
    """An image in [0, 1] as levels; ``whole`` rounds them, because published programs read 8-bit files."""
    return whole_levels(255 * image) if whole else 255 * image


def unit(levels: Tensor) -> Tensor:
    """Levels as an image in [0, 1]."""
    return (levels / 255).clamp(0, 1)
