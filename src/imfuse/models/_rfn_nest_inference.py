"""RFN-Nest for inference: channels-last, wide convolutions by Winograd's filtering, no mirrored copies, in place.

``benchmarks/speed.py rfn_nest`` compares it with the plain module, which stays as its oracle. Its time goes into 3x3
convolutions of many channels.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.blocks import Conv3x3, conv_mirrored, replace_modules
from imfuse.layers.winograd import Winograd
from imfuse.models.rfn_nest import Unit

if TYPE_CHECKING:
    from imfuse.models.rfn_nest import RFNNest


class FastRFNNest(nn.Module):
    """The fused image of an :class:`RFNNest` in evaluation mode."""

    def __init__(self, model: RFNNest) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        if model.rule != "rfn":
            del self.model.fusion
        replace_modules(self.model, Unit, FastUnit)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        fused: Tensor = self.model(infrared, visible)
        return fused


class FastUnit(nn.Module):
    """A :class:`Unit`, in place."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.conv = Winograd(unit.conv) if Winograd.suits(unit.conv) else unit.conv

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        if isinstance(self.conv, Conv3x3):
            return F.relu_(conv_mirrored(x, self.conv.weight, self.conv.bias))
        return F.relu_(self.conv(x))
