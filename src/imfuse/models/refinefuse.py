"""RefineFuse: two encoders, interaction of their features at four scales, a decoder with one refining skip.

"RefineFuse" (Visual Intelligence, 2025) published neither code nor weights, and its printed equations were not at hand.
This network is a **reconstruction** from the article's prose, held by two printed figures: 2.21 M parameters and
48.11 G multiply-accumulates at 512x512. ``docs/methods/refinefuse.md`` says what is from the article and what is not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
from imfuse.layers.attention import attend
from imfuse.layers.blocks import Conv3x3
from imfuse.models._base import FusionModel
from imfuse.ops.resize import resize_to

SPEC = ModelSpec(
    name="refinefuse",
    title="RefineFuse",
    paper=Paper(
        title="RefineFuse", venue="Visual Intelligence", year=2025, url="https://link.springer.com/journal/44267"
    ),
    summary="features interact at four scales, with attention at 1/8 size; a reconstruction",
    parameters=2_208_173,
    size=SizeRule(
        multiple=8,
        # The deepest of five levels is 1/16 of the image, and a mirrored border needs two pixels there.
        min_size=32,
        not_tileable="attention and pooled weights see the whole picture; the inference form computes all else in "
        "tiles, and above 1 megapixel the attention pools its tokens",
    ),
    # Of large pictures, where it matters: 4K takes 1.9 GB.
    memory_per_pixel=300,
    dtypes=("float32", "bfloat16"),
    options=(
        Option("levels", (1, 2, 3, 4, 5), 4, "scales of the encoders (Table 10)"),
        Option("sfim", (True, False), True, "spatial attention of shallow levels, else a convolution (Table 9)"),
        Option("psim", (True, False), True, "cross attention of deep levels, else a convolution (Table 9)"),
        Option("fim", ("on", "off", "spatial"), "on", "weights of the skip at level 2 (Table 9); spatial: places too"),
        Option("scale", ("root", "one"), "root", "attention scores are divided by the root of the key width, or not"),
        Option("padding", ("reflect", "zeros"), "reflect", "border of all 3x3 convolutions"),
    ),
    weights=(
        WeightsSpec(
            name="default",
            file="refinefuse.safetensors",
            sha256="c217413d0c200ecdbbc38ea40097935c68a07c7fc84d560437b1db678967ba17",
            recipe="refinefuse_roadscene, then 40 epochs of it with loss.gain=1.1",
            data="RoadScene, the 180 FLIR training pairs",
            date="2026-11-21",
        ),
        WeightsSpec(
            name="medical",
            file="refinefuse_medical.safetensors",
            sha256="063c42942323a5bc8d67bd0384d0b48bdc405ca9bff63a93803549098abad464",
            recipe="refinefuse_medical, from the default weights",
            data="Harvard atlas, the 80 training pairs of MRI with PET and SPECT",
            date="2026-11-21",
        ),
    ),
)

WIDTHS = (64, 64, 128, 128, 128)
HEAD = (64, 32, 16)
KEY_DIVISOR = 8
ATTENTION_STRIDE = 8
"""Attention runs at this fraction of the image, on all levels above it."""
MAX_TOKENS = 16384
"""More tokens than this, 1 megapixel at stride 8, are pooled by 2, 4, ... until they are fewer."""

_LOGGER = logging.getLogger(__name__)


class SFIM(nn.Module):
    """Shallow feature interaction (eq. 1): each modality is weighted by place, then same channels are mixed.

    (N, C, h, w) of infrared and visible to (N, C, h, w).
    """

    def __init__(self, channels: int, padding: str) -> None:
        super().__init__()
        self.attention = Conv3x3(2, 2, padding)
        # Group c holds channel c of the infrared and channel c of the visible features.
        self.mix = Conv3x3(2 * channels, channels, padding, groups=channels)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Interaction of the features of one level."""
        largest = torch.maximum(infrared.amax(1, keepdim=True), visible.amax(1, keepdim=True))
        mean = (infrared.mean(1, keepdim=True) + visible.mean(1, keepdim=True)) / 2
        weight_ir, weight_vi = torch.sigmoid(self.attention(torch.cat([largest, mean], dim=1))).chunk(2, dim=1)
        infrared, visible = infrared + infrared * weight_ir, visible + visible * weight_vi
        # Two depthwise convolutions are the grouped one without putting the channels side by side.
        first, second = self.mix.weight.chunk(2, dim=1)
        mixed = self.mix.apply_with(infrared, first, self.mix.bias, groups=len(first))
        return mixed + self.mix.apply_with(visible, second, None, groups=len(second))


class PSIM(nn.Module):
    """Progressive semantic interaction (eqs. 2 to 4): a shared query asks each modality for its values.

    (N, C, h, w) of infrared and visible to (N, C, h, w). ``pool`` brings the level to the size of the attention.
    """

    def __init__(self, channels: int, padding: str, pool: int, scaled: bool) -> None:
        super().__init__()
        width = channels // KEY_DIVISOR
        self.pool, self.scale = pool, width**-0.5 if scaled else 1.0
        self.key_ir = Conv3x3(channels, width, padding)
        self.value_ir = Conv3x3(channels, channels, padding)
        self.key_vi = Conv3x3(channels, width, padding)
        self.value_vi = Conv3x3(channels, channels, padding)
        self.query = Conv3x3(2 * channels, width, padding)
        self.fuse = Conv3x3(2 * channels, channels, padding)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Interaction of the features of one level."""
        small_ir, small_vi = self.pooled(infrared), self.pooled(visible)
        query = self.query(torch.cat([small_ir, small_vi], dim=1))
        infrared = infrared + self.answer(query, self.key_ir(small_ir), self.value_ir(small_ir), infrared.shape[2:])
        visible = visible + self.answer(query, self.key_vi(small_vi), self.value_vi(small_vi), visible.shape[2:])
        fused: Tensor = self.fuse(torch.cat([infrared, visible], dim=1))
        return fused

    def pooled(self, x: Tensor) -> Tensor:
        """Features at the size of the attention."""
        pool = pool_for(x.shape[2], x.shape[3], self.pool)
        return x if pool == 1 else F.avg_pool2d(x, pool, ceil_mode=True, count_include_pad=False)

    def answer(self, query: Tensor, key: Tensor, value: Tensor, size: Sequence[int]) -> Tensor:
        """What the query gets from one image, at ``size``."""
        q, k, v = (part.flatten(2).transpose(1, 2) for part in (query, key, value))
        answer = attend(q, k, v, self.scale).transpose(1, 2).reshape(value.shape)
        return answer if answer.shape[2:] == size else resize_to(answer, size)


def pool_for(height: int, width: int, pool: int) -> int:
    """``pool``, doubled until (height, width) features give at most ``MAX_TOKENS`` tokens.

    >>> pool_for(192, 256, 2), pool_for(540, 960, 2)
    (2, 8)
    """
    wanted = pool
    while -(-height // pool) * -(-width // pool) > MAX_TOKENS:
        pool *= 2
    if pool != wanted:
        _LOGGER.info("features of %dx%d are pooled by %d, not %d, for attention", width, height, pool, wanted)
    return pool


class Convolution(nn.Module):
    """What stands in for SFIM or PSIM in the ablations: features side by side and a 3x3 convolution."""

    def __init__(self, channels: int, padding: str) -> None:
        super().__init__()
        self.fuse = Conv3x3(2 * channels, channels, padding)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """(N, C, h, w) of infrared and visible to (N, C, h, w)."""
        fused: Tensor = self.fuse(torch.cat([infrared, visible], dim=1))
        return fused


class FIM(nn.Module):
    """Feature integration (eq. 5): the skip, its channels weighted by the deep and by its own means, then both.

    (N, C, h, w) of the skip and of the deep features to (N, 2C, h, w). ``spatial`` weights places too, by the deep
    features; the article's text announces that, no equation has it.
    """

    def __init__(self, spatial: bool) -> None:
        super().__init__()
        self.spatial = spatial

    def forward(self, skip: Tensor, deep: Tensor) -> Tensor:
        """The weighted skip and the deep features side by side."""
        return self.join(skip, deep, channel_weight(skip) + channel_weight(deep))

    def join(self, skip: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        """The same for a given weight of the skip's channels, (N, C, 1, 1)."""
        if self.spatial:
            weight = weight * torch.sigmoid(deep.mean(1, keepdim=True))
        return torch.cat([skip * weight, deep], dim=1)


def channel_weight(x: Tensor) -> Tensor:
    """Sigmoid of the mean of each channel, (N, C, 1, 1)."""
    return torch.sigmoid(x.mean((2, 3), keepdim=True, dtype=torch.float32)).to(x.dtype)


class Decoder(nn.Module):
    """Two convolutions of one level, to the width of the level above."""

    def __init__(self, inputs: int, outputs: int, padding: str) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, outputs, 1)
        self.refine = Conv3x3(outputs, outputs, padding)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        return F.relu(self.refine(F.relu(self.reduce(x))))


class Features(NamedTuple):
    """Features of each level, from full size down: those of the two images."""

    infrared: list[Tensor]
    visible: list[Tensor]


class RefineFuse(FusionModel):
    """RefineFuse. The options switch its modules, for the ablations of Tables 9 and 10."""

    spec = SPEC

    def __init__(
        self,
        levels: int = 4,
        sfim: bool = True,
        psim: bool = True,
        fim: str = "on",
        scale: str = "root",
        padding: str = "reflect",
    ) -> None:
        super().__init__()
        widths = WIDTHS[:levels]
        self.has_fast_form = len(widths) > 2 and padding == "reflect"
        # With one or two levels the last one is deep already (Table 9).
        shallow = 2 if len(widths) > 2 else 1

        def interaction(level: int, channels: int) -> nn.Module:
            if level < shallow:
                return SFIM(channels, padding) if sfim else Convolution(channels, padding)
            if not psim:
                return Convolution(channels, padding)
            return PSIM(channels, padding, max(1, ATTENTION_STRIDE >> level), scaled=scale == "root")

        def encoder() -> nn.ModuleList:
            pairs = zip((1, *widths), widths, strict=False)
            return nn.ModuleList(Conv3x3(a, b, padding, stride=2 if i else 1) for i, (a, b) in enumerate(pairs))

        self.encoder_ir, self.encoder_vi = encoder(), encoder()
        self.fusion = nn.ModuleList(interaction(level, channels) for level, channels in enumerate(widths))
        self.fim = FIM(fim == "spatial") if fim != "off" and len(widths) > 2 else None
        deepest = len(widths) - 1
        # The first decoder is that of the deepest level; the others get the skip of their level too.
        self.decoders = nn.ModuleList(
            Decoder(widths[level] * (1 if level == deepest else 2), widths[level - 1], padding)
            for level in range(deepest, 0, -1)
        )
        head = (widths[0] * (2 if deepest else 1), *HEAD, 1)
        self.head = nn.ModuleList(Conv3x3(a, b, padding) for a, b in pairwise(head))

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H and W multiples of 8."""
        features = self.encode(infrared, visible)
        levels = zip(self.fusion, features.infrared, features.visible, strict=True)
        return (torch.tanh(self.decode([fuse(ir, vi) for fuse, ir, vi in levels])) + 1) / 2

    def encode(self, infrared: Tensor, visible: Tensor) -> Features:
        """Features of both images; level i has (N, C, H / 2^i, W / 2^i)."""
        features = Features([], [])
        for layer_ir, layer_vi in zip(self.encoder_ir, self.encoder_vi, strict=True):
            infrared, visible = F.relu(layer_ir(infrared)), F.relu(layer_vi(visible))
            features.infrared.append(infrared)
            features.visible.append(visible)
        return features

    def decode(self, fused: list[Tensor]) -> Tensor:
        """Fused features of all levels to the image before its hyperbolic tangent."""
        x = fused[-1]
        for number, decoder in enumerate(self.decoders):
            level = len(fused) - 2 - number
            deep = resize_to(decoder(x), fused[level].shape[2:])
            # FIM refines the skip of level 2 alone.
            skip_and_deep = self.fim if level == 1 and self.fim is not None else _side_by_side
            x = skip_and_deep(fused[level], deep)
        for layer in self.head[:-1]:
            x = F.relu(layer(x))
        image: Tensor = self.head[-1](x)
        return image


def _side_by_side(skip: Tensor, deep: Tensor) -> Tensor:
    return torch.cat([skip, deep], dim=1)
