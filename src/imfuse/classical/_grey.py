"""Grey levels from 0 to 255, the units of the constants of many published programs, and their rounding."""

from __future__ import annotations

from torch import Tensor


def whole_levels(levels: Tensor) -> Tensor:
    """The nearest whole levels in 0 to 255, halves rounded up, as saturating 8-bit arithmetic rounds.

    >>> import torch
    >>> whole_levels(torch.tensor([-3.0, 0.5, 254.5, 300.0])).tolist()
    [0.0, 1.0, 255.0, 255.0]
    """
    return (levels + 0.5).floor().clamp(0, 255)


def grey_levels(image: Tensor, whole: bool) -> Tensor:
    """An image in [0, 1] as grey levels; ``whole`` rounds them, since published programs read 8-bit files."""
    return whole_levels(255 * image) if whole else 255 * image


def unit(levels: Tensor) -> Tensor:
    """Grey levels as an image in [0, 1]."""
    return (levels / 255).clamp(0, 1)
