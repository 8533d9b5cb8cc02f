"""RFN-Nest for inference: channels-last, wide convolutions by Winograd's filtering, nothing mirrored or enlarged.

``scripts/speed/networks.py rfn_nest`` compares it with the plain module, which stays as its oracle. Its time goes into
3x3 convolutions of many channels.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.blocks import Conv3x3, FastConv3x3, conv_mirrored, replace_modules
from imfuse.layers.winograd import Winograd
from imfuse.models.rfn_nest import Node, RFNNest, Unit

PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Row and column, within the four that one becomes."""


def fast_form(model: RFNNest) -> nn.Module:
    """What :func:`imfuse.inference.forms.fast_form` uses for this network."""
    return FastRFNNest(model)


class FastRFNNest(nn.Module):
    """The fused image of an :class:`RFNNest` in evaluation mode."""

    def __init__(self, model: RFNNest) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        if model.rule != "rfn":
            del self.model.fusion
        replace_modules(self.model, Node, FastNode)
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


class FastNode(nn.Module):
    """A :class:`Node` that enlarges nothing: where one value became four, a 3x3 kernel sees but 2x2 different ones."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        unit, self.last = node
        conv: Any = unit.conv
        fine = Conv3x3(node.fine, conv.out_channels)
        fine.weight, fine.bias = nn.Parameter(conv.weight[:, : node.fine].clone()), conv.bias
        self.fine: nn.Module = Winograd(fine) if Winograd.suits(fine) else FastConv3x3(fine)
        self.deep = nn.ParameterList(
            _merged(_merged(conv.weight[:, node.fine :], 2, row), 3, column) for row, column in PLACES
        ).requires_grad_(False)

    def forward(self, deep: Tensor, *maps: Tensor) -> Tensor:
        """(N, deep, h, w) and (N, C, H, W), the C of all together ``fine``, to (N, outputs, H, W)."""
        y: Tensor = self.fine(torch.cat(maps, dim=1))
        # Mirrored after it was enlarged is repeated before.
        repeated = F.pad(deep, (1, 1, 1, 1), mode="replicate")
        for (row, column), kernel in zip(PLACES, self.deep, strict=True):
            place = y[:, :, row::2, column::2]
            height, width = place.shape[2:]
            place += F.conv2d(repeated[:, :, row : row + height + 1, column : column + width + 1], kernel)
        joined: Tensor = self.last(F.relu_(y))
        return joined


def _merged(kernel: Tensor, axis: int, second: int) -> Tensor:
    """Three taps as two: those that meet the same value, for the first or the ``second`` of two equal ones, add up."""
    before, here, after = kernel.unbind(axis)
    taps = (before + here, after) if second else (before, here + after)
    return torch.stack(taps, axis).contiguous(memory_format=torch.channels_last)
