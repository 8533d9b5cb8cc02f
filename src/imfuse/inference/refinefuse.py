"""RefineFuse for inference.

Both encoders are joined: their first layers into one convolution of two input channels, the others into convolutions
of two groups. Memory is channels-last, and borders are mirrored without mirrored copies of the features.

Attention (PSIM) and the channel weights of FIM depend on the whole image. They are computed once, from features at 1/8,
1/4 and 1/2 of its size. Everything else is local and runs tile by tile with a halo, so that the 64 full-size maps of a
large image are never in memory at once. Small images gain too: the maps of a tile reuse memory that the process already
holds, those of a whole image are fresh pages each time.

``scripts/speed/networks.py refinefuse`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.blocks import channels_last, conv_mirrored
from imfuse.layers.folding import bias_of
from imfuse.layers.precision import SplitWeights
from imfuse.models.refinefuse import PSIM, SFIM, Convolution, RefineFuse, channel_weight
from imfuse.ops.resize import resize_to
from imfuse.ops.tiles import Tile

TILE = 256
"""Side of a tile in pixels, without its halo."""
HALO = 8
"""Four convolutions of the head at stride 1, one at stride 2 and the upsampling from there."""


def fast_form(model: RefineFuse) -> nn.Module | None:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`.

    ``None`` for the networks of one and two levels (Table 9) and for zero borders, which have none.
    """
    return FastRefineFuse(model) if model.has_fast_form else None


class FastRefineFuse(nn.Module):
    """Inference form of a :class:`RefineFuse` of three or more levels."""

    def __init__(self, model: RefineFuse) -> None:
        super().__init__()
        # The joined layers below replace both encoders, so the copy goes without them.
        encoders = {id(encoder): None for encoder in (model.encoder_ir, model.encoder_vi)}
        self.model = channels_last(copy.deepcopy(model, encoders).requires_grad_(False))
        # In joined features the infrared channels come first, then the visible ones.
        self.stem = _Stem(_conv(model.encoder_ir[0]), _conv(model.encoder_vi[0]))
        self.encoders = nn.ModuleList(
            _Grouped(_conv(ir), _conv(vi)) for ir, vi in zip(model.encoder_ir[1:], model.encoder_vi[1:], strict=True)
        )

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1], in the type of the images; computed in the type of the weights."""
        images = torch.cat([infrared, visible], dim=1)
        # Strided layers sample a tile at the rows and columns where they sample the whole image.
        step = 1 << len(self.encoders)
        rule = SizeRule(step, halo=max(HALO, step))
        tiles = [Tile(*spans) for spans in rule.tiles(images.shape[2], images.shape[3], TILE)]
        skip, deep = self._features_at_half_size(images, tiles)
        fim = self.model.fim
        weight = None if fim is None else channel_weight(skip) + channel_weight(deep)
        fused = torch.empty_like(infrared)
        for tile in tiles:
            parts = tile.with_halo(skip, 1), tile.with_halo(deep, 1)
            x = torch.cat(parts, dim=1) if fim is None or weight is None else fim.join(*parts, weight)
            shallow = _fuse_level(self.model.fusion[0], self.stem(tile.with_halo(images)))
            deep_part = resize_to(self.model.decoders[-1](x), shallow.shape[2:])
            tile.store(fused, (torch.tanh(self._head(shallow, deep_part)) + 1) / 2)
        return fused

    def _features_at_half_size(self, images: Tensor, tiles: list[Tile]) -> tuple[Tensor, Tensor]:
        """Fused features of level 2, and the upsampled ones of level 3, for the whole image: (N, 64, H/2, W/2) each."""
        maps: list[Tensor] = []
        for tile in tiles:
            x = self.stem(tile.with_halo(images))
            for level, encoder in enumerate(self.encoders, 1):
                x = encoder(x)
                # The next encoder layer needs the unfused features, and fusion works in place.
                part = _fuse_level(self.model.fusion[1], x.clone()) if level == 1 else x
                if len(maps) < level:
                    size = [-(-side >> level) for side in images.shape[2:]]
                    whole = part.new_empty((len(images), part.shape[1], *size))
                    maps.append(whole.contiguous(memory_format=torch.channels_last))
                tile.store(maps[level - 1], part, level)
        skip = maps.pop(0)
        # Popping frees the encoder features of a level as soon as they are fused.
        fused = [_fuse_level(fuse, maps.pop(0)) for fuse in self.model.fusion[2:]]
        x = fused.pop()
        for decoder in self.model.decoders[:-1]:
            x = decoder(x)
            if fused:
                above = fused.pop()
                x = torch.cat([above, resize_to(x, above.shape[2:])], dim=1)
        return skip, resize_to(x, skip.shape[2:])

    def _head(self, shallow: Tensor, deep: Tensor) -> Tensor:
        first, *middle, last = (_conv(layer) for layer in self.model.head)
        # The sum of two convolutions saves a copy of the features side by side.
        shallow_weight, deep_weight = first.weight.tensor_split([shallow.shape[1]], dim=1)
        x = conv_mirrored(shallow, shallow_weight, bias_of(first))
        x = F.relu_(x.add_(conv_mirrored(deep, deep_weight)))
        for layer in middle:
            x = F.relu_(conv_mirrored(x, layer.weight, bias_of(layer)))
        # An 8-bit image needs more digits than bfloat16 has.
        return conv_mirrored(x.float(), last.weight.float(), bias_of(last).float())


class _Stem(SplitWeights):
    """First layers of both encoders as one: (N, 2, H, W) to (N, 128, H, W)."""

    def __init__(self, infrared: nn.Conv2d, visible: nn.Conv2d) -> None:
        zero = torch.zeros_like(infrared.weight)
        weight = torch.cat([torch.cat([infrared.weight, zero], 1), torch.cat([zero, visible.weight], 1)])
        super().__init__(weight.detach(), torch.cat([bias_of(infrared), bias_of(visible)]))

    def forward(self, images: Tensor) -> Tensor:
        """Features of both images."""
        return F.relu_(conv_mirrored(self.inputs(images), self.weight, self.bias))


class _Grouped(nn.Module):
    """A strided layer of both encoders as a convolution of two groups, with its activation."""

    weight: Tensor
    bias: Tensor

    def __init__(self, infrared: nn.Conv2d, visible: nn.Conv2d) -> None:
        super().__init__()
        weight = torch.cat([infrared.weight, visible.weight]).detach()
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", torch.cat([bias_of(infrared), bias_of(visible)]))

    def forward(self, x: Tensor) -> Tensor:
        """Features of both images at half the size."""
        return F.relu_(conv_mirrored(x, self.weight, self.bias, stride=2, groups=2))


def _fuse_level(fuse: nn.Module, features: Tensor) -> Tensor:
    """Fuses the joined features (N, 2C, h, w) of a level, which it overwrites, to (N, C, h, w)."""
    if isinstance(fuse, SFIM):
        return _shallow_interaction(fuse, features)
    if isinstance(fuse, PSIM):
        _add_attended(fuse, features)
    # In the ablations this convolution stands alone.
    last = _conv(cast(PSIM | Convolution, fuse).fuse)
    return conv_mirrored(features, last.weight, bias_of(last))


def _shallow_interaction(fuse: SFIM, features: Tensor) -> Tensor:
    number, channels, height, width = features.shape
    mean = F.conv2d(features, features.new_full((1, channels, 1, 1), 1 / channels))
    weight = torch.sigmoid(fuse.attention(torch.cat([features.amax(1, keepdim=True), mean], dim=1))) + 1
    by_modality = features.permute(0, 2, 3, 1).view(number, height, width, 2, -1)
    by_modality.mul_(weight.permute(0, 2, 3, 1)[..., None])
    # Group c of the mixing convolution holds channel c of both modalities.
    bias = torch.cat([bias_of(fuse.mix), torch.zeros_like(bias_of(fuse.mix))])
    mixed = conv_mirrored(features, torch.cat(fuse.mix.weight.chunk(2, dim=1)), bias, groups=channels)
    infrared, visible = mixed.chunk(2, dim=1)
    return infrared + visible


def _add_attended(fuse: PSIM, features: Tensor) -> None:
    pooled = fuse.pooled(features)
    query = fuse.query(pooled)
    modalities = zip(
        features.chunk(2, dim=1),
        pooled.chunk(2, dim=1),
        ((fuse.key_ir, fuse.value_ir), (fuse.key_vi, fuse.value_vi)),
        strict=True,
    )
    for own_features, source, (key, value) in modalities:
        source = source.contiguous(memory_format=torch.channels_last)
        own_features += fuse.attended(query, key(source), value(source), own_features.shape[2:])


def _conv(layer: nn.Module) -> nn.Conv2d:
    assert isinstance(layer, nn.Conv2d)
    return layer
