"""SegNeXt: convolutions as attention in the encoder, a matrix decomposition as global context in the head.

Guo et al., "SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation", NeurIPS 2022,
arXiv 2209.08575; the head is that of Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.tasks.segment.networks._base import DropPath, SegmentationNetwork, drop_rates, resize, size_of, start_conv

RATIOS = (8, 8, 4, 4)
"""By how much the middle of a block's second half is wider than the block, in each stage."""
LENGTHS = (7, 11, 21)
"""Of the strips that the attention looks along."""
STEPS_IN_TRAINING, STEPS = 6, 7
"""Of the decomposition."""
EPS = 1e-6
GROUPS = 32

VARIANTS: dict[str, dict[str, Any]] = {
    "segnext_t": {"widths": (32, 64, 160, 256), "depths": (3, 3, 5, 2), "head": 256, "rank": 16},
    "segnext_s": {"widths": (64, 128, 320, 512), "depths": (2, 2, 4, 2), "head": 256, "rank": 16},
    "segnext_b": {"widths": (64, 128, 320, 512), "depths": (3, 3, 12, 3), "head": 512, "rank": 64},
    "segnext_l": {"widths": (64, 128, 320, 512), "depths": (3, 5, 27, 3), "head": 1024, "rank": 64, "drop_path": 0.3},
    "segnext_compact": {
        "widths": (24, 48, 80, 128),
        "depths": (1, 1, 2, 1),
        "head": 64,
        "rank": 16,
        "ratios": (4, 4, 4, 4),
        "groups": 8,
    },
}
"""Sizes by name; the compact one is ours."""


class Gate(nn.Module):
    """Multi-scale convolutional attention: every pixel is multiplied by what strips around it say (eq. 1 and 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.across = nn.ModuleList(
            nn.Conv2d(width, width, (1, side), padding=(0, side // 2), groups=width) for side in LENGTHS
        )
        self.down = nn.ModuleList(
            nn.Conv2d(width, width, (side, 1), padding=(side // 2, 0), groups=width) for side in LENGTHS
        )
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, width, h, w) to the same shape."""
        near: Tensor = self.local(maps)
        seen = sum((down(across(near)) for across, down in zip(self.across, self.down, strict=True)), start=near)
        weights: Tensor = self.mix(seen)
        return maps * weights


class Attention(nn.Module):
    """The gate between two linear layers; its input is added to what comes out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.gate, self.second = nn.Conv2d(width, width, 1), Gate(width), nn.Conv2d(width, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, width, h, w) to the same shape."""
        changed: Tensor = self.second(self.gate(F.gelu(self.first(maps))))
        return maps + changed


class FeedForward(nn.Module):
    """Two linear layers with a 3x3 convolution of single maps between."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        inner = ratio * width
        self.widen, self.narrow = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, width, h, w) to the same shape."""
        narrowed: Tensor = self.narrow(F.gelu(self.conv(self.widen(maps))))
        return narrowed


class Block(nn.Module):
    """Attention and feed-forward layers, each added, with a factor for each map, to what it is computed of."""

    def __init__(self, width: int, ratio: int, drop: float) -> None:
        super().__init__()
        self.scale1, self.scale2 = (nn.Parameter(torch.full((width,), 0.01)) for _ in range(2))
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.attention, self.forward_layers = Attention(width), FeedForward(width, ratio)
        self.drop = DropPath(drop)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, width, h, w) to the same shape."""
        maps = maps + self.drop(self.scale1[:, None, None] * self.attention(self.norm1(maps)))
        added: Tensor = maps + self.drop(self.scale2[:, None, None] * self.forward_layers(self.norm2(maps)))
        return added


class Stage(nn.Module):
    """Downsampling, blocks and a norm over the maps, whose output feeds the next stage too."""

    def __init__(self, inputs: int, width: int, ratio: int, drops: Sequence[float], *, first: bool) -> None:
        super().__init__()
        steps = [inputs, width // 2, width] if first else [inputs, width]
        layers: list[nn.Module] = []
        for before, after in pairwise(steps):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.GELU()]
        self.embed = nn.Sequential(*layers[:-1])
        self.blocks = nn.Sequential(*(Block(width, ratio, drop) for drop in drops))
        self.norm = nn.LayerNorm(width)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, width, H / 4, W / 4) in the first stage, half the size in others."""
        maps = self.blocks(self.embed(maps))
        normalised: Tensor = self.norm(maps.permute(0, 2, 3, 1))
        return normalised.permute(0, 3, 1, 2)


class MSCAN(nn.Module):
    """The encoder: maps of a picture at 1/4, 1/8, 1/16 and 1/32 of its size."""

    def __init__(
        self,
        channels: int,
        widths: tuple[int, ...],
        depths: tuple[int, ...],
        ratios: tuple[int, ...],
        drop_path: float,
    ) -> None:
        super().__init__()
        rates = drop_rates(drop_path, depths)
        self.stages = nn.ModuleList(
            Stage(inputs, width, ratio, drops, first=not number)
            for number, (inputs, width, ratio, drops) in enumerate(
                zip((channels, *widths), widths, ratios, rates, strict=False)
            )
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, channels, H, W) to four tensors (N, width, h, w)."""
        maps, levels = images, []
        for stage in self.stages:
            maps = stage(maps)
            levels.append(maps)
        return levels


class Decomposition(nn.Module):
    """Maps as a product of few bases and their shares, both not negative: what is common to distant pixels.

    The bases start from numbers in [0, 1). In training, and with ``random``, these are drawn anew for every picture, as
    the authors do in evaluation as well, so that no two of their results are quite alike; else they are fixed.
    """

    fixed: Tensor

    def __init__(self, width: int, rank: int, random: bool = False) -> None:
        super().__init__()
        self.random = random
        # NumPy has frozen this stream: a trained network gives the same classes with every version and device.
        bases = np.random.RandomState(0).random_sample((width, rank))
        self.register_buffer("fixed", torch.from_numpy(bases.astype(np.float32)), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, width, h, w), not negative, to the same shape."""
        drawn = self.training or self.random
        bases = torch.rand(len(maps), *self.fixed.shape).to(maps) if drawn else self.fixed[None]
        return decomposed(maps.flatten(2), bases, STEPS_IN_TRAINING if self.training else STEPS).view_as(maps)


def decomposed(x: Tensor, bases: Tensor, steps: int) -> Tensor:
    """``x`` (N, width, pixels) as the product of bases and shares, from bases (N or 1, width, rank) on."""
    bases = F.normalize(bases, dim=1)
    shares = torch.softmax(x.mT @ bases, dim=-1)  # (N, pixels, rank)
    for _ in range(steps):
        shares = _multiplied(shares, x.mT @ bases, bases.mT @ bases)
        bases = _multiplied(bases, x @ shares, shares.mT @ shares)
    shares = _multiplied(shares, x.mT @ bases, bases.mT @ bases)
    return bases @ shares.mT


def _multiplied(factor: Tensor, wanted: Tensor, other: Tensor) -> Tensor:
    """One multiplicative update of a factor, given the square of the other."""
    return factor * wanted / (factor @ other + EPS)


class GroupNormed(nn.Sequential):
    """1x1 convolution without a bias, and a norm of groups of maps."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 1, bias=False), nn.GroupNorm(groups, outputs))


class LightHam(nn.Module):
    """The head: the three deeper levels at one size, and the decomposition of their mixture added (section 3.2)."""

    def __init__(
        self, widths: Sequence[int], width: int, rank: int, classes: int, groups: int, random_bases: bool
    ) -> None:
        super().__init__()
        self.squeeze = GroupNormed(sum(widths), width, groups)
        self.enter = nn.Conv2d(width, width, 1)
        self.decompose = Decomposition(width, rank, random_bases)
        self.leave = GroupNormed(width, width, groups)
        self.align = GroupNormed(width, width, groups)
        self.dropout = nn.Dropout2d(0.1)
        self.predict = nn.Conv2d(width, classes, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Maps at 1/8, 1/16 and 1/32 to logits (N, classes, H / 8, W / 8)."""
        maps = self.mix(torch.cat([resize(level, size_of(levels[0])) for level in levels], dim=1))
        logits: Tensor = self.predict(self.dropout(torch.relu(self.align(maps))))
        return logits

    def mix(self, maps: Tensor) -> Tensor:
        """Maps of all levels to those that the context is added to."""
        squeezed = torch.relu(self.squeeze(maps))
        context = self.leave(self.decompose(torch.relu(self.enter(squeezed))))
        return torch.relu(squeezed + context)


class SegNeXt(SegmentationNetwork):
    """SegNeXt in one of the sizes of ``VARIANTS``, from random values.

    ``random_bases`` has the head start from other numbers in every evaluation, as published: 2 to 3 pixels in 100 then
    change their class from one to the next.

    >>> network = SegNeXt(9, 3, **VARIANTS["segnext_compact"]).eval()
    >>> network(torch.zeros(1, 3, 61, 95)).shape
    torch.Size([1, 9, 61, 95])
    """

    ends = ("encoder.stages.0.embed.0.weight", "head.predict.weight")
    ratios = (1.0, 1.1, 1.2, 1.25, 1.3, 1.5)
    published = (
        (r"^encoder\.stages\.0\.embed\.(\d)", r"backbone.patch_embed1.proj.\1"),
        (r"^encoder\.stages\.(\d)\.embed\.0", r"backbone.patch_embed@\1.proj"),
        (r"^encoder\.stages\.(\d)\.embed\.1", r"backbone.patch_embed@\1.norm"),
        (r"^encoder\.stages\.(\d)\.blocks", r"backbone.block@\1"),
        (r"^encoder\.stages\.(\d)\.norm", r"backbone.norm@\1"),
        (r"\.scale(\d)$", r".layer_scale_\1"),
        (r"\.attention\.first", ".attn.proj_1"),
        (r"\.attention\.second", ".attn.proj_2"),
        (r"\.attention\.gate\.local", ".attn.spatial_gating_unit.conv0"),
        (r"\.attention\.gate\.across\.(\d)", r".attn.spatial_gating_unit.conv\1_1"),
        (r"\.attention\.gate\.down\.(\d)", r".attn.spatial_gating_unit.conv\1_2"),
        (r"\.attention\.gate\.mix", ".attn.spatial_gating_unit.conv3"),
        (r"\.forward_layers\.widen", ".mlp.fc1"),
        (r"\.forward_layers\.conv", ".mlp.dwconv.dwconv"),
        (r"\.forward_layers\.narrow", ".mlp.fc2"),
        (r"^head\.predict", "decode_head.conv_seg"),
        (r"^head\.enter", "decode_head.hamburger.ham_in.conv"),
        (r"^head\.leave", "decode_head.hamburger.ham_out"),
        (r"^head\.(squeeze|align)", r"decode_head.\1"),
        (r"(squeeze|align|ham_out)\.0", r"\1.conv"),
        (r"(squeeze|align|ham_out)\.1", r"\1.gn"),
        *((f"@{number}", str(number + 1)) for number in range(4)),  # theirs count from 1
    )

    def __init__(
        self,
        classes: int,
        channels: int,
        *,
        widths: tuple[int, ...],
        depths: tuple[int, ...],
        head: int,
        rank: int,
        ratios: tuple[int, ...] = RATIOS,
        groups: int = GROUPS,
        drop_path: float = 0.1,
        random_bases: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = MSCAN(channels, widths, depths, ratios, drop_path)
        self.head = LightHam(widths[1:], head, rank, classes, groups, random_bases)
        for module in self.encoder.modules():
            if isinstance(module, nn.Conv2d):
                start_conv(module)
        for module in self.head.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.head.predict.weight, std=0.01)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures (N, channels, H, W) to logits (N, classes, H, W)."""
        size = self.check_size(images)
        return resize(self.head(self.encoder(images)[1:]), size)
