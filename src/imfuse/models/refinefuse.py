"""RefineFuse: two encoders whose features interact at four scales, and a decoder with one refined skip.

"RefineFuse", Visual Intelligence, 2025. Each image passes an encoder of its own. The shallow features of both are fused
by shallow feature interaction modules (SFIM, eq. 1), the deep ones by profound semantic interaction modules (PSIM,
eqs. 2 to 4). The decoder upsamples from the deepest level to full size; the skip of level 2 passes a feature
interaction module (FIM, eq. 5) on its way.

The authors published neither code nor weights, and we could obtain the article's prose and tables but not its printed
equations: their numbers stand here for the modules that the prose describes by them. The network is therefore a
**reconstruction**, pinned by two printed figures: 2.21 M parameters and 48.11 G multiply-accumulates at 512x512.
``docs/methods/refinefuse.md`` lists what is from the article and what is not.
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
            sha256="d156225e4ca650279eb9a1f2d13cc959a158021250b03bd5627b40ff9f7d7027",
            recipe="refinefuse_roadscene, then refinefuse_mixed in five runs, the mean of the last two, 1 to 3",
            data="RoadScene train, MSRS train (128x128), frames of M2VD; a tenth of each held out",
            date="2026-11-30",
            bias=2,
        ),
        WeightsSpec(
            name="medical",
            file="refinefuse_medical.safetensors",
            sha256="2c4cb960fd240b85c626175d16e326d79de7cd5c32cdb9dba889a5e002310434",
            recipe="refinefuse_medical, from the default weights",
            data="Harvard atlas, 80 training pairs of MRI with PET and SPECT; before: RoadScene, MSRS, M2VD",
            date="2026-11-30",
            bias=2,
        ),
    ),
)

WIDTHS = (64, 64, 128, 128, 128)
HEAD = (64, 32, 16)
KEY_DIVISOR = 8
ATTENTION_STRIDE = 8
"""Attention runs at 1/8 of the image size, on larger levels after pooling."""
MAX_TOKENS = 16384
"""Most tokens that attention takes, those of 1 megapixel at stride 8; more are pooled by 2, 4, ... first."""

_LOGGER = logging.getLogger(__name__)


class SFIM(nn.Module):
    """Shallow feature interaction module (eq. 1).

    Spatial attention weights each modality pixel by pixel; then a grouped convolution mixes the channels of the same
    index of both.
    """

    def __init__(self, channels: int, padding: str) -> None:
        super().__init__()
        self.attention = Conv3x3(2, 2, padding)
        # Group c holds channel c of the infrared and channel c of the visible features.
        self.mix = Conv3x3(2 * channels, channels, padding, groups=channels)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Infrared and visible features of one level, (N, C, h, w) each, to fused ones, (N, C, h, w)."""
        largest = torch.maximum(infrared.amax(1, keepdim=True), visible.amax(1, keepdim=True))
        mean = (infrared.mean(1, keepdim=True) + visible.mean(1, keepdim=True)) / 2
        attention = torch.sigmoid(self.attention(torch.cat([largest, mean], dim=1)))
        attention_ir, attention_vi = attention.chunk(2, dim=1)
        infrared, visible = infrared + infrared * attention_ir, visible + visible * attention_vi
        # Two depthwise convolutions equal the grouped one, and need no interleaved copy of the channels.
        kernel_ir, kernel_vi = self.mix.weight.chunk(2, dim=1)
        mixed = self.mix.apply_with(infrared, kernel_ir, self.mix.bias, groups=len(kernel_ir))
        return mixed + self.mix.apply_with(visible, kernel_vi, None, groups=len(kernel_vi))


class PSIM(nn.Module):
    """Profound semantic interaction module (eqs. 2 to 4).

    Cross attention: the query comes from both modalities, keys and values from each. The attended values are added to
    the features of their modality, and a convolution fuses both. ``pool`` reduces the level to the size at which
    attention runs.
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
        """Infrared and visible features of one level, (N, C, h, w) each, to fused ones, (N, C, h, w)."""
        pooled_ir, pooled_vi = self.pooled(infrared), self.pooled(visible)
        query = self.query(torch.cat([pooled_ir, pooled_vi], dim=1))
        size = infrared.shape[2:]
        infrared = infrared + self.attended(query, self.key_ir(pooled_ir), self.value_ir(pooled_ir), size)
        visible = visible + self.attended(query, self.key_vi(pooled_vi), self.value_vi(pooled_vi), size)
        fused: Tensor = self.fuse(torch.cat([infrared, visible], dim=1))
        return fused

    def pooled(self, x: Tensor) -> Tensor:
        """Features at the size at which attention runs."""
        pool = pool_for(x.shape[2], x.shape[3], self.pool)
        return x if pool == 1 else F.avg_pool2d(x, pool, ceil_mode=True, count_include_pad=False)

    def attended(self, query: Tensor, key: Tensor, value: Tensor, size: Sequence[int]) -> Tensor:
        """Values of one modality, (N, C, h, w), weighted by attention and brought to ``size``."""
        q, k, v = (part.flatten(2).transpose(1, 2) for part in (query, key, value))
        attended = attend(q, k, v, self.scale).transpose(1, 2).reshape(value.shape)
        return attended if attended.shape[2:] == size else resize_to(attended, size)


def pool_for(height: int, width: int, pool: int) -> int:
    """``pool``, doubled until features of (height, width) have at most ``MAX_TOKENS`` tokens.

    >>> pool_for(192, 256, 2), pool_for(540, 960, 2)
    (2, 8)
    """
    factor = pool
    while -(-height // factor) * -(-width // factor) > MAX_TOKENS:
        factor *= 2
    if factor != pool:
        _LOGGER.info("features of %dx%d are pooled by %d, not %d, for attention", width, height, factor, pool)
    return factor


class Convolution(nn.Module):
    """Concatenation and a 3x3 convolution, in place of SFIM or PSIM in the ablations (Table 9)."""

    def __init__(self, channels: int, padding: str) -> None:
        super().__init__()
        self.fuse = Conv3x3(2 * channels, channels, padding)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Infrared and visible features of one level, (N, C, h, w) each, to fused ones, (N, C, h, w)."""
        fused: Tensor = self.fuse(torch.cat([infrared, visible], dim=1))
        return fused


class FIM(nn.Module):
    """Feature interaction module (eq. 5).

    Channel attention from the deep features and from the skip itself weights the skip, which is then concatenated with
    the deep features. ``spatial`` adds a spatial attention from the deep features, which the article announces in its
    text and gives no equation for.
    """

    def __init__(self, spatial: bool) -> None:
        super().__init__()
        self.spatial = spatial

    def forward(self, skip: Tensor, deep: Tensor) -> Tensor:
        """Skip and deep features, (N, C, h, w) each, to (N, 2C, h, w)."""
        return self.join(skip, deep, channel_weight(skip) + channel_weight(deep))

    def join(self, skip: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        """The same with known channel weights of the skip, (N, C, 1, 1)."""
        if self.spatial:
            weight = weight * torch.sigmoid(deep.mean(1, keepdim=True))
        return torch.cat([skip * weight, deep], dim=1)


def channel_weight(x: Tensor) -> Tensor:
    """Channel attention: the sigmoid of the global average of each channel, (N, C, 1, 1)."""
    return torch.sigmoid(x.mean((2, 3), keepdim=True, dtype=torch.float32)).to(x.dtype)


class Decoder(nn.Module):
    """Two convolutions of one level, to the number of channels of the level above."""

    def __init__(self, inputs: int, outputs: int, padding: str) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, outputs, 1)
        self.refine = Conv3x3(outputs, outputs, padding)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        return F.relu(self.refine(F.relu(self.reduce(x))))


class Features(NamedTuple):
    """Features of both images at each level, from full size down."""

    infrared: list[Tensor]
    visible: list[Tensor]


class RefineFuse(FusionModel):
    """RefineFuse. Its options switch modules off, for the ablations of Tables 9 and 10."""

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
        # Of two levels the second counts as deep (Table 9).
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
        # The deepest level comes first; the other decoders also take the skip of their level.
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
        """Fused features of all levels to the image before its hyperbolic tangent, (N, 1, H, W)."""
        x = fused[-1]
        for number, decoder in enumerate(self.decoders):
            level = len(fused) - 2 - number
            deep = resize_to(decoder(x), fused[level].shape[2:])
            # FIM refines the skip of level 2 alone.
            join = self.fim if level == 1 and self.fim is not None else _concatenated
            x = join(fused[level], deep)
        for layer in self.head[:-1]:
            x = F.relu(layer(x))
        image: Tensor = self.head[-1](x)
        return image


def _concatenated(skip: Tensor, deep: Tensor) -> Tensor:
    return torch.cat([skip, deep], dim=1)
