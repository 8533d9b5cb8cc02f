"""EMMA for inference: channels-last, merged convolutions, attention as one matrix, the gated networks row by row.

``scripts/speed/networks.py emma`` compares it with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from imfuse.layers.blocks import Conv3x3, FastConv3x3, replace_modules
from imfuse.layers.restormer import ChannelBlock, FastChannelBlock
from imfuse.models.emma import EMMA


def fast_form(model: EMMA) -> nn.Module:
    """What :func:`imfuse.inference.forms.fast_form` uses for this network."""
    return FastEMMA(model)


class FastEMMA(nn.Module):
    """The fused image of an :class:`EMMA` in evaluation mode."""

    def __init__(self, model: EMMA) -> None:
        super().__init__()
        # The sensing networks, where there are any, are not copied: they are fifty times as large as the rest.
        judges = {id(judge): None for name, judge in model.named_children() if name.startswith("sensing")}
        self.model = copy.deepcopy(model, judges).eval().requires_grad_(False)
        replace_modules(self.model, ChannelBlock, FastChannelBlock)
        replace_modules(self.model, Conv3x3, FastConv3x3)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        fused: Tensor = self.model(infrared, visible)
        return fused
