"""EMMA for inference.

Memory is channels-last, and the blocks of Restormer take their inference form, in which convolutions are merged,
attention is one matrix and wide features exist for some rows at a time. Borders are mirrored without mirrored copies.

``scripts/speed/networks.py emma`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

from imfuse.layers.blocks import Conv3x3, FastConv3x3, channels_last, replace_modules
from imfuse.layers.restormer import ChannelBlock, FastChannelBlock
from imfuse.models.emma import EMMA


def fast_form(model: EMMA) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FastEMMA(model)


class FastEMMA(nn.Module):
    """Inference form of an :class:`EMMA`."""

    def __init__(self, model: EMMA) -> None:
        super().__init__()
        # The copy goes without sensing networks, which are fifty times as large as the rest.
        sensing = {id(network): None for name, network in model.named_children() if name.startswith("sensing")}
        self.model = copy.deepcopy(model, sensing).eval().requires_grad_(False)
        replace_modules(self.model, ChannelBlock, FastChannelBlock)
        replace_modules(self.model, Conv3x3, FastConv3x3)
        channels_last(self.model)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        fused: Tensor = self.model(infrared, visible)
        return fused
