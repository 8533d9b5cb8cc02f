"""From the values that a network computes to an image in [0, 1]: clipped, or stretched as many authors save theirs."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from imfuse.core.errors import ModelError

OUTPUTS: Final = ("clip", "clip-cut", "stretch", "stretch-cut", "max")
HALF_LEVEL = 0.4999 / 255
"""Slightly less than half a level of 8 bits, so that values on a whole level keep it when they are rounded."""
LEAST_SPAN = 1 / 255
"""What differs by less than a level of 8 bits is flat: stretched, it would be a picture of rounding errors."""


def to_unit_range(raw: Tensor, output: str, epsilon: float = 0.0) -> Tensor:
    """Brings the values of a network into [0, 1].

    Args:
        raw: values (N, 1, H, W) without a fixed range.
        output: how. ``clip`` limits them to [0, 1]. ``stretch`` maps the least and largest value of each image to 0 and
            1; a constant image becomes 0, and one that spans less than ``LEAST_SPAN`` is not stretched over more.
            ``max`` divides by the largest value of each image, but for such a flat one, and clips negative ones.
            ``clip-cut`` and ``stretch-cut`` then subtract half a level: rounded to 8 bits, the image is that of a
            program that truncates levels instead of rounding them.
        epsilon: what the program adds to the span that it divides by, where it truncates.

    Returns:
        Images (N, 1, H, W) in [0, 1].

    Raises:
        ModelError: ``output`` is none of these.

    Example:
        >>> import torch
        >>> raw = torch.tensor([[[[-0.5, 0.5, 1.5]]]])
        >>> to_unit_range(raw, "clip").tolist(), to_unit_range(raw, "stretch").tolist()
        ([[[[0.0, 0.5, 1.0]]]], [[[[0.0, 0.5, 1.0]]]])
    """
    if output not in OUTPUTS:
        raise ModelError(f"output={output!r} is not one of {', '.join(OUTPUTS)}")
    mode, _, truncated = output.partition("-")
    if mode == "stretch":
        raw = stretched(raw, epsilon if truncated else 0.0, LEAST_SPAN)
    elif mode == "max":
        low, high = raw.amin((1, 2, 3), keepdim=True), raw.amax((1, 2, 3), keepdim=True)
        raw = raw / high.where((high > 0) & (high - low >= LEAST_SPAN), 1)
    return (raw - HALF_LEVEL if truncated else raw).clamp(0, 1)


def stretched(image: Tensor, epsilon: float = 0.0, least: float = 0.0) -> Tensor:
    """Images (N, C, H, W) whose least and largest values become 0 and 1.

    Their difference, to which ``epsilon`` is added, counts as ``least`` where it is smaller.
    """
    low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
    span = (high - low + epsilon).clamp(min=least)
    return (image - low) / span.where(span > 0, 1)
