"""Which source a coefficient of a transform is taken from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.ops.windows import pad


def pad_mirror(x: Tensor, margin: int, zero_corners: bool) -> Tensor:
    """Mirror ``margin`` pixels around (N, C, H, W) without repeating the edge.

    ``zero_corners`` leaves the four corner blocks of the frame at 0, as the published toolbox does by mistake.
    """
    padded = pad(x, margin, margin, "mirror")
    if zero_corners:
        for rows in (slice(margin), slice(-margin, None)):
            for columns in (slice(margin), slice(-margin, None)):
                padded[..., rows, columns] = 0
    return padded


def take_larger(first: Tensor, second: Tensor) -> Tensor:
    """The coefficient of larger magnitude; the second where both are as large.

    >>> take_larger(torch.tensor([1.0, -3.0, 2.0]), torch.tensor([2.0, 1.0, -2.0]))
    tensor([ 2., -3., -2.])
    """
    return torch.where(first.abs() > second.abs(), first, second)


def first_is_stronger(first: Tensor, second: Tensor, zero_corners: bool = False) -> Tensor:
    """Where the first of two maps of activity (N, C, H, W) >= 0 is the stronger one: booleans of that shape.

    The larger maximum of a 3x3 window decides, and then the majority of the 3x3 decisions around each pixel (Li,
    Manjunath and Mitra, Graphical Models and Image Processing 57, 1995: consistency verification).
    """
    larger = _peak(first, zero_corners) > _peak(second, zero_corners)
    votes = larger.to(torch.uint8)
    votes = votes[..., :-2, :] + votes[..., 1:-1, :] + votes[..., 2:, :]
    return votes[..., :-2] + votes[..., 1:-1] + votes[..., 2:] > 4


def _peak(activity: Tensor, zero_corners: bool) -> Tensor:
    """Maximum of 3x3, on the image and on a mirrored frame of one pixel around it."""
    x = F.pad(pad_mirror(activity, 1, zero_corners), (1, 1, 1, 1))
    x = torch.maximum(torch.maximum(x[..., :-2, :], x[..., 1:-1, :]), x[..., 2:, :])
    return torch.maximum(torch.maximum(x[..., :-2], x[..., 1:-1]), x[..., 2:])
