"""Metrics from histograms."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imfuse.metrics._levels import to_levels


def entropy(fused: Tensor, data_range: float = 1.0) -> Tensor:
    """Entropy EN of the 256-bin histogram, in bit, one value per image: ``-sum h log2 h``, in [0, 8]. Higher is better.

    >>> entropy(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)).item()
    1.0
    """
    levels = to_levels(fused, data_range).long().flatten(1)
    counts = torch.zeros(len(levels), 256, dtype=torch.float64, device=levels.device)
    counts.scatter_add_(1, levels, torch.ones_like(levels, dtype=torch.float64))
    share = counts / levels.shape[1]
    bits: Tensor = -torch.special.xlogy(share, share).sum(1) / math.log(2)
    return bits
