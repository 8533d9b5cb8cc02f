"""Fixed filters with a mirrored border (the edge pixel is not repeated)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F


def own_precision(x: Tensor) -> AbstractContextManager[object]:
    """Within it operations on the device of ``x`` keep the types of their inputs, whatever autocast says."""
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def reflect_pad(x: Tensor, margin: int) -> Tensor:
    """Mirror ``margin`` pixels around (N, C, H, W) without repeating the edge; H and W must exceed ``margin``."""
    # Autocast would mirror in float32, and back: a third of a training step in bfloat16.
    with own_precision(x):
        return F.pad(x, (margin, margin, margin, margin), mode="reflect")


def box_mean(x: Tensor, size: int) -> Tensor:
    """Mean over ``size`` x ``size`` neighbours (``size`` odd), mirrored border: two passes instead of a 2-D window."""
    padded = reflect_pad(x, size // 2)
    return F.avg_pool2d(F.avg_pool2d(padded, (size, 1), stride=1), (1, size), stride=1)
