"""Selection rules: from which image a coefficient of a transform is taken."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.ops.windows import pad


def pad_mirror(x: Tensor, margin: int, zero_corners: bool) -> Tensor:
    """Pads (N, C, H, W) by ``margin`` mirrored pixels on each side, without repeating the edge.

    ``zero_corners`` sets the four corner blocks of the frame to 0, as the published toolbox does by mistake.
    """
    padded = pad(x, margin, margin, "mirror")
    if zero_corners:
        for rows in (slice(margin), slice(-margin, None)):
            for columns in (slice(margin), slice(-margin, None)):
                padded[..., rows, columns] = 0
    return padded


def take_larger(first: Tensor, second: Tensor) -> Tensor:
    """The coefficients of larger magnitude; the second where magnitudes are equal.

    >>> take_larger(torch.tensor([1.0, -3.0, 2.0]), torch.tensor([2.0, 1.0, -2.0]))
    tensor([ 2., -3., -2.])
    """
    return torch.where(first.abs() > second.abs(), first, second)


def first_is_stronger(first: Tensor, second: Tensor, zero_corners: bool = False) -> Tensor:
    """Decides for each pixel which of two images is more active there, with consistency verification.

    The larger maximum over a 3x3 window decides; then the majority of the 3x3 decisions around each pixel.

    Args:
        first: activity, (N, C, H, W) and non-negative.
        second: activity of the other image, of the same shape.
        zero_corners: see :func:`pad_mirror`.

    Returns:
        True where the first is more active, (N, C, H, W).

    Source:
        Li, Manjunath and Mitra, Graphical Models and Image Processing 57, 1995.
    """
    larger = _maximum(first, zero_corners) > _maximum(second, zero_corners)
    votes = larger.to(torch.uint8)
    votes = votes[..., :-2, :] + votes[..., 1:-1, :] + votes[..., 2:, :]
    return votes[..., :-2] + votes[..., 1:-1] + votes[..., 2:] > 4


def _maximum(activity: Tensor, zero_corners: bool) -> Tensor:
    """Maximum over 3x3 pixels, for the image and a mirrored frame of one pixel around it."""
    x = F.pad(pad_mirror(activity, 1, zero_corners), (1, 1, 1, 1))
    x = torch.maximum(torch.maximum(x[..., :-2, :], x[..., 1:-1, :]), x[..., 2:, :])
    return torch.maximum(torch.maximum(x[..., :-2], x[..., 1:-1]), x[..., 2:])
