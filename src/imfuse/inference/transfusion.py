"""TransFusion for inference.

Most of its time goes into 3x3 convolutions of many channels, which are computed by Winograd's minimal filtering.
Memory is channels-last, and the first convolution takes one grey channel instead of three equal ones.

``scripts/speed/networks.py transfusion`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.blocks import channels_last, replace_modules
from imfuse.layers.precision import InFloat32
from imfuse.layers.winograd import Winograd
from imfuse.models.transfusion import TransFusion


def fast_form(model: TransFusion) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FastTransFusion(model)


class FastTransFusion(nn.Module):
    """Inference form of a :class:`TransFusion`.

    In bfloat16 the layers near the images stay in float32, since they would cause nearly all visible rounding errors:
    two stages of the encoder, the selection at full size, the last level of the decoder and most of the one before.
    """

    def __init__(self, model: TransFusion) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(False)
        stages: Any = self.model.encoder.stages
        _merge_colour_channels(stages[0][0])
        replace_modules(self.model, nn.Conv2d, lambda conv: Winograd(conv) if Winograd.suits(conv) else conv)
        channels_last(self.model)
        decoder = self.model.decoder
        stages[0], stages[1] = InFloat32(stages[0]), InFloat32(stages[1])
        for parts in (self.model.perception, self.model.attention, self.model.selection):
            parts[0] = InFloat32(parts[0])
        half: Any = decoder.levels[-2]
        for place in range(2, len(half.convs)):
            half.convs[place] = InFloat32(half.convs[place])
        decoder.levels[-1] = InFloat32(decoder.levels[-1])
        self.narrow, self.image = InFloat32(decoder.narrow), InFloat32(decoder.image)
        del decoder.narrow, decoder.image

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1], in the type of the images; computed in the type of the weights."""
        features = self._encode(torch.cat([infrared, visible]))
        halves = [x.chunk(2) for x in features]
        del features
        x, skips = self._selected(halves)
        for level in self.model.decoder.levels:
            x = level(x, skips.pop())
        fused: Tensor = self.image(F.gelu(self.narrow(x)))
        return fused.clamp_(0, 1).to(infrared.dtype)

    def _encode(self, images: Tensor) -> list[Tensor]:
        """Features of five levels, those of the last three in the type of the weights."""
        first: Any = self.model.decoder.levels[0]
        dtype = first.enlarge.weight.dtype
        x, features = images.contiguous(memory_format=torch.channels_last), []
        for number, stage in enumerate(self.model.encoder.stages):
            x = stage(x.to(dtype) if number > 1 else x)
            features.append(x)
        return features

    def _selected(self, halves: list[tuple[Tensor, ...]]) -> tuple[Tensor, list[Tensor]]:
        """Selected features of the deepest level, and those of the others in the order of the levels."""
        model = self.model
        dtype = halves[-1][0].dtype
        # Popping frees the encoded features level by level.
        merged = []
        for number, perceive in enumerate(model.perception):
            merged.append(perceive(*(x.to(dtype) if number == 1 else x for x in halves.pop(0))))
        maps = model.spatial_maps(merged)
        modules = zip(model.selection, maps, strict=True)
        selected = [select(merged.pop(0).mul_(1 + spatial)) for select, spatial in modules]
        return selected.pop(), selected


def _merge_colour_channels(first: nn.Conv2d) -> None:
    """Makes a convolution of three equal colour channels one of a single channel, in place: their kernels add up."""
    first.weight = nn.Parameter(first.weight.sum(1, keepdim=True), requires_grad=False)
    first.in_channels = 1
