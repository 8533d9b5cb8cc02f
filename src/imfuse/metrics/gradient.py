"""Metrics from differences of neighbouring pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics._levels import to_levels


def spatial_frequency(fused: Tensor, data_range: float = 1.0) -> Tensor:
    """Spatial frequency SF, in gray levels: root of the mean squared differences down plus across. Higher is better.

    Each mean runs over the differences that exist, (H-1)W and H(W-1). H, W >= 2.

    >>> round(spatial_frequency(torch.tensor([[0.0, 1.0], [0.0, 1.0]])[None, None]).item(), 9)
    255.0
    """
    levels = _at_least_two(to_levels(fused, data_range))
    down, across = levels.diff(dim=2), levels.diff(dim=3)
    return (down.square().mean((1, 2, 3)) + across.square().mean((1, 2, 3))).sqrt()


def average_gradient(fused: Tensor, data_range: float = 1.0) -> Tensor:
    """Average gradient AG, in gray levels: ``sum sqrt((gx^2 + gy^2) / 2) / ((H-1)(W-1))``. Higher is better.

    Central differences, one-sided on the border; all H W pixels are summed. That is the form of the field's tables; the
    textbook's uses forward differences. H, W >= 2.

    >>> ramp = torch.arange(4.0).repeat(4, 1)[None, None]
    >>> round(average_gradient(ramp, data_range=255).item(), 6)
    1.257079
    """
    levels = _at_least_two(to_levels(fused, data_range))
    down, across = torch.gradient(levels, dim=(2, 3))
    length = ((down.square() + across.square()) / 2).sqrt()
    return length.sum((1, 2, 3)) / ((levels.shape[2] - 1) * (levels.shape[3] - 1))


def _at_least_two(levels: Tensor) -> Tensor:
    if min(levels.shape[2:]) < 2:
        raise MetricError(f"a gradient needs at least 2x2 pixels, found {levels.shape[3]}x{levels.shape[2]}")
    return levels
