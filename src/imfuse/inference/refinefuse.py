"""RefineFuse for inference: channels-last, both encoders in one, no mirrored copies, all that is local in tiles.

Attention and the weights of FIM see the whole picture; they are computed once, at 1/8, 1/4 and 1/2 size. All else is
local and runs tile by tile with a halo, so that 64 maps of a large picture are never in memory at once. Tiles pay for
small pictures too: maps of a tile stay in memory that the process has, those of a picture are fresh pages each time.
``scripts/speed/networks.py refinefuse`` compares it with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.blocks import conv_mirrored
from imfuse.layers.folding import in_two
from imfuse.models.refinefuse import PSIM, SFIM, Convolution, RefineFuse, channel_weight
from imfuse.ops.resize import resize_to
from imfuse.ops.tiles import Tile

TILE = 256
"""Side of a tile in pixels, halo not counted."""
HALO = 8
"""Four convolutions of the head at stride 1, one at stride 2 and the enlargement from there."""


def fast_form(model: RefineFuse) -> nn.Module | None:
    """What :func:`imfuse.inference.forms.fast_form` uses; the small networks of the ablations, and zero borders, have
    no form."""
    return FastRefineFuse(model) if model.has_fast_form else None


class FastRefineFuse(nn.Module):
    """The fused image of a :class:`RefineFuse` of three or more levels in evaluation mode."""

    def __init__(self, model: RefineFuse) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # From here on infrared features come first, visible ones behind.
        self.stem = _Stem(_conv(model.encoder_ir[0]), _conv(model.encoder_vi[0]))
        self.encoders = nn.ModuleList(
            _Grouped(_conv(ir), _conv(vi)) for ir, vi in zip(model.encoder_ir[1:], model.encoder_vi[1:], strict=True)
        )

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; computed in the type of the weights, given in that of the images."""
        images = torch.cat([infrared, visible], dim=1)
        # All layers must meet the rows that they meet in the whole picture.
        step = 1 << len(self.encoders)
        rule = SizeRule(step, halo=max(HALO, step))
        tiles = [Tile(*spans) for spans in rule.tiles(images.shape[2], images.shape[3], TILE)]
        skip, deep = self._see_all(images, tiles)
        fim = self.model.fim
        weight = None if fim is None else channel_weight(skip) + channel_weight(deep)
        fused = torch.empty_like(infrared)
        for tile in tiles:
            parts = tile.seen(skip, 1), tile.seen(deep, 1)
            x = torch.cat(parts, dim=1) if fim is None or weight is None else fim.join(*parts, weight)
            shallow = _interact(self.model.fusion[0], self.stem(tile.seen(images)))
            deep_part = resize_to(self.model.decoders[-1](x), shallow.shape[2:])
            tile.store(fused, (torch.tanh(self._head(shallow, deep_part)) + 1) / 2)
        return fused

    def _see_all(self, images: Tensor, tiles: list[Tile]) -> tuple[Tensor, Tensor]:
        """Fused features of level 2, and what the levels below say there: (N, 64, H / 2, W / 2) each."""
        maps: list[Tensor] = []
        for tile in tiles:
            x = self.stem(tile.seen(images))
            for level, encoder in enumerate(self.encoders, 1):
                x = encoder(x)
                # Features of both are needed below, so they are not changed in place.
                part = _interact(self.model.fusion[1], x.clone()) if level == 1 else x
                if len(maps) < level:
                    size = [-(-side >> level) for side in images.shape[2:]]
                    whole = part.new_empty((len(images), part.shape[1], *size))
                    maps.append(whole.contiguous(memory_format=torch.channels_last))
                tile.store(maps[level - 1], part, level)
        skip = maps.pop(0)
        # The features of both are given back as soon as they are fused.
        fused = [_interact(fuse, maps.pop(0)) for fuse in self.model.fusion[2:]]
        x = fused.pop()
        for decoder in self.model.decoders[:-1]:
            x = decoder(x)
            if fused:
                above = fused.pop()
                x = torch.cat([above, resize_to(x, above.shape[2:])], dim=1)
        return skip, resize_to(x, skip.shape[2:])

    def _head(self, shallow: Tensor, deep: Tensor) -> Tensor:
        first, *middle, last = (_conv(layer) for layer in self.model.head)
        # The sum of two convolutions instead of one of features that were copied side by side.
        of_shallow, of_deep = first.weight.tensor_split([shallow.shape[1]], dim=1)
        x = conv_mirrored(shallow, of_shallow, _bias(first))
        x = F.relu_(x.add_(conv_mirrored(deep, of_deep)))
        for layer in middle:
            x = F.relu_(conv_mirrored(x, layer.weight, _bias(layer)))
        # Eight bits of a picture need more digits than bfloat16 has.
        return conv_mirrored(x.float(), last.weight.float(), _bias(last).float())


class _Stem(nn.Module):
    """First layers of both encoders as one: (N, 2, H, W) to (N, 128, H, W).

    In less than 32 bits it takes the images in two parts, high and low: bfloat16 has fewer levels than a picture.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, infrared: nn.Conv2d, visible: nn.Conv2d) -> None:
        super().__init__()
        blank = torch.zeros_like(infrared.weight)
        weight = torch.cat([torch.cat([infrared.weight, blank], 1), torch.cat([blank, visible.weight], 1)])
        self.register_buffer("weight", weight.detach().contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", torch.cat([_bias(infrared), _bias(visible)]))

    def forward(self, images: Tensor) -> Tensor:
        """Features of both images."""
        dtype = self.weight.dtype
        if self.weight.shape[1] > 2:
            high, low = in_two(images, dtype)
            images = torch.cat([high, low, high], dim=1)
        images = images.to(dtype).contiguous(memory_format=torch.channels_last)
        return F.relu_(conv_mirrored(images, self.weight, self.bias))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        exact = self.weight
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.weight.dtype.itemsize < exact.dtype.itemsize:
            high, low = in_two(exact, self.weight.dtype)
            weight = torch.cat([high, high, low], dim=1).to(self.weight.device)
            self.weight = weight.contiguous(memory_format=torch.channels_last)
        return self


class _Grouped(nn.Module):
    """Layers of both encoders as one of two groups, with their activation."""

    weight: Tensor
    bias: Tensor

    def __init__(self, infrared: nn.Conv2d, visible: nn.Conv2d) -> None:
        super().__init__()
        weight = torch.cat([infrared.weight, visible.weight]).detach()
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", torch.cat([_bias(infrared), _bias(visible)]))

    def forward(self, x: Tensor) -> Tensor:
        """Features of both at half the size."""
        return F.relu_(conv_mirrored(x, self.weight, self.bias, stride=2, groups=2))


def _interact(fuse: nn.Module, features: Tensor) -> Tensor:
    """An interaction of features that lie side by side, which may be changed."""
    if isinstance(fuse, SFIM):
        return _weight_and_mix(fuse, features)
    if isinstance(fuse, PSIM):
        _add_answers(fuse, features)
    # What stands in for the modules in ablations is this convolution alone.
    last = _conv(cast(PSIM | Convolution, fuse).fuse)
    return conv_mirrored(features, last.weight, _bias(last))


def _weight_and_mix(fuse: SFIM, features: Tensor) -> Tensor:
    number, channels, height, width = features.shape
    mean = F.conv2d(features, features.new_full((1, channels, 1, 1), 1 / channels))
    weight = torch.sigmoid(fuse.attention(torch.cat([features.amax(1, keepdim=True), mean], dim=1))) + 1
    by_image = features.permute(0, 2, 3, 1).view(number, height, width, 2, -1)
    by_image.mul_(weight.permute(0, 2, 3, 1)[..., None])
    # Group c of the mix holds channel c of both images.
    bias = torch.cat([_bias(fuse.mix), torch.zeros_like(_bias(fuse.mix))])
    mixed = conv_mirrored(features, torch.cat(fuse.mix.weight.chunk(2, dim=1)), bias, groups=channels)
    infrared, visible = mixed.chunk(2, dim=1)
    return infrared + visible


def _add_answers(fuse: PSIM, features: Tensor) -> None:
    small = fuse.pooled(features)
    query = fuse.query(small)
    halves = zip(features.chunk(2, dim=1), small.chunk(2, dim=1), strict=True)
    for (half, source), (key, value) in zip(
        halves, ((fuse.key_ir, fuse.value_ir), (fuse.key_vi, fuse.value_vi)), strict=True
    ):
        source = source.contiguous(memory_format=torch.channels_last)
        half += fuse.answer(query, key(source), value(source), half.shape[2:])


def _conv(layer: nn.Module) -> nn.Conv2d:
    assert isinstance(layer, nn.Conv2d)
    return layer


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias.detach()
