"""From any size to a size that a network takes, and back."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def round_up(value: int, multiple: int) -> int:
    """Smallest multiple of ``multiple`` that is at least ``value``.

    >>> round_up(97, 8)
    104
    """
    return -(-value // multiple) * multiple


def pad_to(x: Tensor, multiple: int = 1, min_size: int = 1, *, zeros: bool = False) -> Tensor:
    """Mirror the bottom and right of (N, C, H, W) until both sides are multiples and at least ``min_size``.

    The mirror repeats the edge pixel and goes back and forth as often as needed, so 1x1 works too. ``zeros`` adds
    zeros instead. ``x`` itself is given back where nothing is missing.
    """
    if zeros:
        missing = [round_up(max(size, min_size), multiple) - size for size in x.shape[2:]]
        return F.pad(x, (0, missing[1], 0, missing[0])) if any(missing) else x
    for axis in (2, 3):
        size = x.shape[axis]
        wanted = round_up(max(size, min_size), multiple)
        if wanted != size:
            period = torch.arange(wanted, device=x.device) % (2 * size)
            x = x.index_select(axis, torch.minimum(period, 2 * size - 1 - period))
    return x


def crop_to(x: Tensor, height: int, width: int) -> Tensor:
    """Undo :func:`pad_to`: the top left (N, C, ``height``, ``width``) part."""
    return x[..., :height, :width]
