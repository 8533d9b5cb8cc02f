"""From any size to a size that a network takes, and back."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule


def pad_to(x: Tensor, rule: SizeRule, *, zeros: bool = False) -> Tensor:
    """Mirror the bottom and right of (N, C, H, W) until a network of this ``rule`` takes it.

    The mirror repeats the edge pixel and goes back and forth as often as needed, so 1x1 works too. ``zeros`` adds
    zeros instead. ``x`` itself is given back where nothing is missing.
    """
    if zeros:
        rows, columns = rule.padding(*x.shape[2:])
        return F.pad(x, (0, columns, 0, rows)) if rows or columns else x
    for axis in (2, 3):
        size = x.shape[axis]
        wanted = rule.padded(size)
        if wanted != size:
            period = torch.arange(wanted, device=x.device) % (2 * size)
            x = x.index_select(axis, torch.minimum(period, 2 * size - 1 - period))
    return x


def crop_to(x: Tensor, height: int, width: int) -> Tensor:
    """Undo :func:`pad_to`: the top left (N, C, ``height``, ``width``) part."""
    return x[..., :height, :width]
