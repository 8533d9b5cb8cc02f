"""SeAFusion for inference: channels-last, in parts, each block's two narrow layers in one."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.output import to_unit_range
from imfuse.models.seafusion import Block, SeAFusion
from imfuse.ops.tiles import in_tiles


class FastBlock(nn.Module):
    """A block whose dense maps and edges go through one 1x1 convolution."""

    weight: Tensor
    bias: Tensor

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.first, self.second, self.sobel = block.first, block.second, block.sobel
        merge, edges = block.merge, block.edges
        assert merge.bias is not None
        assert edges.bias is not None
        self.register_buffer("weight", torch.cat([merge.weight, edges.weight], dim=1).detach())
        self.register_buffer("bias", (merge.bias + edges.bias).detach())

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        first = F.leaky_relu_(self.first(x), 0.2)
        second = F.leaky_relu_(self.second(torch.cat([x, first], dim=1)), 0.2)
        maps = torch.cat([x, first, second, self.sobel(x)], dim=1)
        return F.leaky_relu_(F.conv2d(maps, self.weight, self.bias), 0.1)


def fast_form(model: SeAFusion) -> nn.Module:
    """What :func:`imfuse.inference.forms.fast_form` uses for this network."""
    return FastSeAFusion(model)


class FastSeAFusion(nn.Module):
    """The fused image of a :class:`SeAFusion`."""

    def __init__(self, model: SeAFusion) -> None:
        super().__init__()
        self.output, self.size = model.output, SizeRule(halo=model.spec.size.halo)
        # The segmentation network, where there is one, is not copied: it is eighty times as large as the rest.
        judge = {id(part): None for name, part in model.named_children() if name == "segmenter"}
        copied = copy.deepcopy(model, judge).eval().requires_grad_(False)
        for encoder in (copied.visible, copied.infrared):
            encoder.blocks = nn.ModuleList(FastBlock(cast("Block", block)) for block in encoder.blocks)
        self.model = copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        raw = in_tiles(self._raw, infrared, visible, self.size)
        return to_unit_range(torch.tanh(raw) / 2 + 0.5, self.output)

    def _raw(self, infrared: Tensor, visible: Tensor) -> Tensor:
        infrared, visible = (x.contiguous(memory_format=torch.channels_last) for x in (infrared, visible))
        maps = torch.cat([self.model.visible(visible), self.model.infrared(infrared)], dim=1)
        raw: Tensor = self.model.decoder(maps)
        return raw
