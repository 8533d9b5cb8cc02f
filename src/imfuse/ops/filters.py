"""Mirrored borders and means. The mirror does not repeat the edge pixel."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F


def own_precision(x: Tensor) -> AbstractContextManager[object]:
    """A context in which operations on the device of ``x`` keep the types of their inputs in spite of autocast."""
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def reflect_pad(x: Tensor, margin: int) -> Tensor:
    """Pads (N, C, H, W) by ``margin`` mirrored pixels on each side; H and W must exceed ``margin``."""
    # Autocast would convert to float32 and back, which takes a third of a training step in bfloat16.
    with own_precision(x):
        return F.pad(x, (margin, margin, margin, margin), mode="reflect")


def box_mean(x: Tensor, size: int) -> Tensor:
    """Mean of (N, C, H, W) over a window of ``size`` x ``size`` pixels, ``size`` odd, with a mirrored border."""
    # Separable: two passes cost less than one two-dimensional window.
    padded = reflect_pad(x, size // 2)
    return F.avg_pool2d(F.avg_pool2d(padded, (size, 1), stride=1), (1, size), stride=1)
