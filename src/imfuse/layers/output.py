"""From what a network gives to an image: clipped, or stretched as many authors do before they save it."""

from __future__ import annotations

from torch import Tensor


def finished(raw: Tensor, output: str) -> Tensor:
    """Image (N, 1, H, W) in [0, 1]: ``clip`` cuts at 0 and 1, ``stretch`` makes of each image's least and largest
    value 0 and 1. A constant image becomes 0 by ``stretch``.

    >>> import torch
    >>> raw = torch.tensor([[[[-0.5, 0.5, 1.5]]]])
    >>> finished(raw, "clip").tolist(), finished(raw, "stretch").tolist()
    ([[[[0.0, 0.5, 1.0]]]], [[[[0.0, 0.5, 1.0]]]])
    """
    return raw.clamp(0, 1) if output == "clip" else stretched(raw)


def stretched(image: Tensor, epsilon: float = 0.0) -> Tensor:
    """Each image of (N, C, H, W) from its least and largest value to [0, 1]; ``epsilon`` is added to their distance."""
    low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
    span = high - low + epsilon
    return (image - low) / span.where(span > 0, 1)
