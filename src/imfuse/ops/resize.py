"""Interpolation of feature maps to another size."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def resize_to(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear interpolation of (N, C, H, W) to ``size``, height and width, with pixel centres aligned.

    Images that are reduced need area means instead: ``imfuse.imaging.resize``.

    >>> import torch
    >>> resize_to(torch.tensor([[[[0.0, 1.0]]]]), (1, 4)).tolist()
    [[[[0.0, 0.25, 0.75, 1.0]]]]
    """
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
