"""SeAFusion for inference.

Memory is channels-last, and the image is processed in tiles. The two 1x1 convolutions at the end of each block, of its
dense maps and of its edges, are merged.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.blocks import channels_last
from imfuse.layers.folding import bias_of
from imfuse.layers.output import to_unit_range
from imfuse.models.seafusion import Block, SeAFusion
from imfuse.ops.tiles import in_tiles


class FastBlock(nn.Module):
    """Inference form of a :class:`Block`: one 1x1 convolution for both dense maps and edges."""

    weight: Tensor
    bias: Tensor

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.first, self.second, self.sobel = block.first, block.second, block.sobel
        merge, edges = block.merge, block.edges
        self.register_buffer("weight", torch.cat([merge.weight, edges.weight], dim=1).detach())
        self.register_buffer("bias", bias_of(merge) + bias_of(edges))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        first = F.leaky_relu_(self.first(x), 0.2)
        second = F.leaky_relu_(self.second(torch.cat([x, first], dim=1)), 0.2)
        maps = torch.cat([x, first, second, self.sobel(x)], dim=1)
        return F.leaky_relu_(F.conv2d(maps, self.weight, self.bias), 0.1)


def fast_form(model: SeAFusion) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FastSeAFusion(model)


class FastSeAFusion(nn.Module):
    """Inference form of a :class:`SeAFusion`."""

    def __init__(self, model: SeAFusion) -> None:
        super().__init__()
        self.output, self.size = model.output, SizeRule(halo=model.spec.size.halo)
        # The copy goes without the segmentation network, which is eighty times as large as the rest.
        segmenter = {id(part): None for name, part in model.named_children() if name == "segmenter"}
        fast = copy.deepcopy(model, segmenter).eval().requires_grad_(False)
        for encoder in (fast.visible, fast.infrared):
            encoder.blocks = nn.ModuleList(FastBlock(cast("Block", block)) for block in encoder.blocks)
        self.model = channels_last(fast)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        raw = in_tiles(self._raw, infrared, visible, self.size)
        return to_unit_range(torch.tanh(raw) / 2 + 0.5, self.output)

    def _raw(self, infrared: Tensor, visible: Tensor) -> Tensor:
        infrared, visible = (x.contiguous(memory_format=torch.channels_last) for x in (infrared, visible))
        maps = torch.cat([self.model.visible(visible), self.model.infrared(infrared)], dim=1)
        raw: Tensor = self.model.decoder(maps)
        return raw
