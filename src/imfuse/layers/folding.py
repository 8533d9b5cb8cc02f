"""Batch norms folded into the convolution before them.

Scales are computed in float64, because the running variances of published weights are large.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def bias_of(layer: nn.Conv2d) -> Tensor:
    """The bias (outputs,) of a convolution that has one, without its gradient."""
    assert layer.bias is not None
    return layer.bias.detach()


def norm_scale_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift that a batch norm applies in evaluation mode, (C,) float64 each."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale, norm.bias.detach().double() - norm.running_mean.double() * scale


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that equals ``norm(conv(x))`` in evaluation mode, in the type of ``conv``."""
    scale, shift = norm_scale_shift(norm)
    weight = conv.weight.detach().double() * scale[:, None, None, None]
    if conv.bias is not None:
        shift = shift + conv.bias.detach().double() * scale
    return weight.to(conv.weight.dtype), shift.to(conv.weight.dtype)
