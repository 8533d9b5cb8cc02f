"""Padding from any size to one that a network accepts, and the crop that undoes it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule


def pad_to(x: Tensor, rule: SizeRule, *, zeros: bool = False) -> Tensor:
    """Pads images at the bottom and right to a size that a network accepts.

    Images are mirrored with the edge pixel repeated, back and forth as often as needed, so that 1x1 works too.

    Args:
        x: (N, C, H, W) of any size.
        rule: of the network.
        zeros: pads with zeros instead.

    Returns:
        The padded images; ``x`` itself where no padding is needed.
    """
    if zeros:
        rows, columns = rule.padding(*x.shape[2:])
        return F.pad(x, (0, columns, 0, rows)) if rows or columns else x
    for axis in (2, 3):
        size = x.shape[axis]
        target = rule.padded(size)
        if target != size:
            period = torch.arange(target, device=x.device) % (2 * size)
            x = x.index_select(axis, torch.minimum(period, 2 * size - 1 - period))
    return x


def crop_to(x: Tensor, height: int, width: int) -> Tensor:
    """The top left part (N, C, ``height``, ``width``) of ``x``: undoes :func:`pad_to`."""
    return x[..., :height, :width]
