"""RFN-Nest for inference.

Most of its time goes into 3x3 convolutions of many channels, which are computed by Winograd's minimal filtering.
Memory is channels-last, borders are mirrored without mirrored copies, and the decoder convolves deep features without
upsampling them.

``scripts/speed/networks.py rfn_nest`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.blocks import Conv3x3, FastConv3x3, channels_last, conv_mirrored, replace_modules
from imfuse.layers.winograd import Winograd
from imfuse.models.rfn_nest import Node, RFNNest, Unit

PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Row and column of each of the four pixels that one deep pixel becomes by upsampling."""


def fast_form(model: RFNNest) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FastRFNNest(model)


class FastRFNNest(nn.Module):
    """Inference form of an :class:`RFNNest`."""

    def __init__(self, model: RFNNest) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        if model.rule != "rfn":
            del self.model.fusion
        replace_modules(self.model, Node, FastNode)
        replace_modules(self.model, Unit, FastUnit)
        channels_last(self.model)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        fused: Tensor = self.model(infrared, visible)
        return fused


class FastUnit(nn.Module):
    """Inference form of a :class:`Unit`."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.conv = Winograd(unit.conv) if Winograd.suits(unit.conv) else unit.conv

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        if isinstance(self.conv, Conv3x3):
            return F.relu_(conv_mirrored(x, self.conv.weight, self.conv.bias))
        return F.relu_(self.conv(x))


class FastNode(nn.Module):
    """Inference form of a :class:`Node`, which does not upsample the deep features.

    Where each deep pixel is repeated to 2x2 pixels, a 3x3 kernel covers only 2x2 different values. So it becomes four
    2x2 kernels on the deep features, one for each of the :data:`PHASES`.
    """

    def __init__(self, node: Node) -> None:
        super().__init__()
        unit, self.last = node
        conv: Any = unit.conv
        fine = Conv3x3(node.fine, conv.out_channels)
        fine.weight, fine.bias = nn.Parameter(conv.weight[:, : node.fine].clone()), conv.bias
        self.fine: nn.Module = Winograd(fine) if Winograd.suits(fine) else FastConv3x3(fine)
        self.deep = nn.ParameterList(
            _merge_taps(_merge_taps(conv.weight[:, node.fine :], 2, row), 3, column) for row, column in PHASES
        ).requires_grad_(False)

    def forward(self, deep: Tensor, *maps: Tensor) -> Tensor:
        """Deep (N, deep, h, w) and fine features (N, C, H, W), ``fine`` channels in all, to (N, outputs, H, W)."""
        y: Tensor = self.fine(torch.cat(maps, dim=1))
        # To mirror upsampled features is to repeat the edge of the deep ones.
        padded = F.pad(deep, (1, 1, 1, 1), mode="replicate")
        for (row, column), kernel in zip(PHASES, self.deep, strict=True):
            phase = y[:, :, row::2, column::2]
            height, width = phase.shape[2:]
            phase += F.conv2d(padded[:, :, row : row + height + 1, column : column + width + 1], kernel)
        joined: Tensor = self.last(F.relu_(y))
        return joined


def _merge_taps(kernel: Tensor, axis: int, second: int) -> Tensor:
    """Merges the three taps of an axis to two: those on the same repeated value add up.

    ``second`` is 1 for the second of the two pixels that a value is repeated to, and 0 for the first.
    """
    before, here, after = kernel.unbind(axis)
    taps = (before + here, after) if second else (before, here + after)
    return torch.stack(taps, axis).contiguous(memory_format=torch.channels_last)
