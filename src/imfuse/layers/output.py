"""From what a network gives to an image: clipped, or stretched as many authors do before they save it."""

from __future__ import annotations

from torch import Tensor

HALF_LEVEL = 0.4999 / 255
"""A little less than half a level of 8 bits: rounding must not lose a level that was whole already."""


def finished(raw: Tensor, output: str) -> Tensor:
    """Image (N, 1, H, W) in [0, 1]: ``clip`` cuts at 0 and 1, ``stretch`` makes of each image's least and largest
    value 0 and 1, ``max`` of the largest 1 and of what is negative 0. A constant image becomes 0 by ``stretch``.

    ``clip-cut`` and ``stretch-cut`` then subtract half a level: rounded to 8 bits they give the picture of a code that
    cuts the decimals off.

    >>> import torch
    >>> raw = torch.tensor([[[[-0.5, 0.5, 1.5]]]])
    >>> finished(raw, "clip").tolist(), finished(raw, "stretch").tolist()
    ([[[[0.0, 0.5, 1.0]]]], [[[[0.0, 0.5, 1.0]]]])
    """
    how, _, cut = output.partition("-")
    if how == "stretch":
        raw = stretched(raw)
    elif how == "max":
        high = raw.amax((1, 2, 3), keepdim=True)
        raw = raw / high.where(high > 0, 1)
    return (raw - HALF_LEVEL if cut else raw).clamp(0, 1)


def stretched(image: Tensor, epsilon: float = 0.0) -> Tensor:
    """Each image of (N, C, H, W) from its least and largest value to [0, 1]; ``epsilon`` is added to their distance."""
    low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
    span = high - low + epsilon
    return (image - low) / span.where(span > 0, 1)
