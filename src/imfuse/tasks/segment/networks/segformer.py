"""SegFormer: a transformer encoder of four resolutions, and a head of linear layers.

Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers", NeurIPS 2021,
arXiv 2105.15203. Inside the encoder a picture is (N, H, W, C), so that linear layers and norms act on its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.tasks.segment.networks._base import DropPath, SegmentationNetwork, drop_rates, resize, size_of, start_conv

HEADS = (1, 2, 5, 8)
REDUCTION = (8, 4, 2, 1)
"""By how much keys and values are fewer than queries, on a side, in each stage."""
EXPANSION = 4
BLOCK_EPS = 1e-6
"""Of the norms in blocks and behind stages; others have 1e-5."""

VARIANTS: dict[str, dict[str, Any]] = {
    "segformer_b0": {"widths": (32, 64, 160, 256), "depths": (2, 2, 2, 2), "head": 256},
    "segformer_b1": {"widths": (64, 128, 320, 512), "depths": (2, 2, 2, 2), "head": 256},
    "segformer_b2": {"widths": (64, 128, 320, 512), "depths": (3, 4, 6, 3), "head": 768},
    "segformer_b3": {"widths": (64, 128, 320, 512), "depths": (3, 4, 18, 3), "head": 768},
    "segformer_b4": {"widths": (64, 128, 320, 512), "depths": (3, 8, 27, 3), "head": 768},
    "segformer_b5": {"widths": (64, 128, 320, 512), "depths": (3, 6, 40, 3), "head": 768},
    "segformer_compact": {"widths": (24, 48, 80, 128), "depths": (1, 1, 2, 1), "head": 64},
}
"""Sizes by name; the compact one is ours."""


def convolve(conv: nn.Conv2d, pixels: Tensor) -> Tensor:
    """A convolution of pixels (N, H, W, C)."""
    maps: Tensor = conv(pixels.permute(0, 3, 1, 2))
    return maps.permute(0, 2, 3, 1)


class Embedding(nn.Module):
    """Overlapping patches become pixels of a lower resolution (section 3.1)."""

    def __init__(self, inputs: int, width: int, side: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, side, stride, side // 2)
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, H, W, inputs) to (N, H / stride, W / stride, width)."""
        normalised: Tensor = self.norm(convolve(self.conv, pixels))
        return normalised


class Reduction(nn.Module):
    """Patches without overlap become one pixel each; rows and columns that fill none are left out."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, side, side)
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, H, W, width) to (N, H // side, W // side, width)."""
        normalised: Tensor = self.norm(convolve(self.conv, pixels))
        return normalised


class Attention(nn.Module):
    """Every pixel looks at all pixels of a reduced picture (eq. 1 and 2)."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.reduce = Reduction(width, reduction) if reduction > 1 else nn.Identity()
        self.merge = nn.Linear(width, width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, H, W, width) to the same shape."""
        query = self._split(self.query(pixels))
        key, value = map(self._split, self.key_value(self.reduce(pixels)).chunk(2, dim=-1))
        seen = F.scaled_dot_product_attention(query, key, value)  # (N, heads, H * W, width / heads)
        merged: Tensor = self.merge(seen.transpose(1, 2).reshape(pixels.shape))
        return merged

    def _split(self, pixels: Tensor) -> Tensor:
        """(N, h, w, width) to (N, heads, h * w, width / heads)."""
        count, *_, width = pixels.shape
        return pixels.reshape(count, -1, self.heads, width // self.heads).transpose(1, 2)


class MixFFN(nn.Module):
    """Two linear layers with a 3x3 convolution between, which tells where a pixel is (eq. 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = EXPANSION * width
        self.widen = nn.Linear(width, inner)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.narrow = nn.Linear(inner, width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, H, W, width) to the same shape."""
        narrowed: Tensor = self.narrow(F.gelu(convolve(self.conv, self.widen(pixels))))
        return narrowed


class Block(nn.Module):
    """Attention and feed-forward layers, each added to what it is computed of."""

    def __init__(self, width: int, heads: int, reduction: int, drop: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, BLOCK_EPS), nn.LayerNorm(width, BLOCK_EPS)
        self.attention, self.mix = Attention(width, heads, reduction), MixFFN(width)
        self.drop = DropPath(drop)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, H, W, width) to the same shape."""
        pixels = pixels + self.drop(self.attention(self.norm1(pixels)))
        mixed: Tensor = pixels + self.drop(self.mix(self.norm2(pixels)))
        return mixed


class Stage(nn.Module):
    """Embedding, blocks and a norm, whose output feeds the next stage too."""

    def __init__(
        self, inputs: int, width: int, heads: int, reduction: int, drops: Sequence[float], *, first: bool
    ) -> None:
        super().__init__()
        self.embed = Embedding(inputs, width, *((7, 4) if first else (3, 2)))
        self.blocks = nn.Sequential(*(Block(width, heads, reduction, drop) for drop in drops))
        self.norm = nn.LayerNorm(width, BLOCK_EPS)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, H, W, inputs) to (N, H / 4, W / 4, width) in the first stage, half the size in others."""
        normalised: Tensor = self.norm(self.blocks(self.embed(pixels)))
        return normalised


class MiT(nn.Module):
    """The encoder, Mix Transformer: maps of a picture at 1/4, 1/8, 1/16 and 1/32 of its size."""

    def __init__(self, channels: int, widths: tuple[int, ...], depths: tuple[int, ...], drop_path: float = 0.1) -> None:
        super().__init__()
        rates = drop_rates(drop_path, depths)
        self.stages = nn.ModuleList(
            Stage(inputs, width, heads, reduction, drops, first=not number)
            for number, (inputs, width, heads, reduction, drops) in enumerate(
                zip((channels, *widths), widths, HEADS, REDUCTION, rates, strict=False)
            )
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, channels, H, W) to four tensors (N, width, h, w)."""
        pixels, levels = images.permute(0, 2, 3, 1), []
        for stage in self.stages:
            pixels = stage(pixels)
            levels.append(pixels.permute(0, 3, 1, 2))
        return levels


class AllMLP(nn.Module):
    """The head: all levels at one width and size, mixed by one more linear layer (section 3.2)."""

    def __init__(self, widths: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Linear(inputs, width) for inputs in widths)
        self.fuse = nn.Conv2d(len(widths) * width, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout2d(0.1)
        self.predict = nn.Conv2d(width, classes, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Maps of all levels to logits (N, classes, H / 4, W / 4)."""
        size = size_of(levels[0])
        maps = [
            resize(linear(level.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), size)
            for linear, level in zip(self.levels, levels, strict=True)
        ]
        fused = torch.relu(self.norm(self.fuse(torch.cat(maps[::-1], dim=1))))  # the deepest level first
        logits: Tensor = self.predict(self.dropout(fused))
        return logits


class SegFormer(SegmentationNetwork):
    """SegFormer in one of the sizes of ``VARIANTS``, from random values.

    >>> network = SegFormer(9, 3, **VARIANTS["segformer_compact"]).eval()
    >>> network(torch.zeros(1, 3, 61, 95)).shape
    torch.Size([1, 9, 61, 95])
    """

    smallest = 29  # a quarter of it still fills the patch of the first reduction
    ends = ("encoder.stages.0.embed.conv.weight", "head.predict.weight")
    ratios = (1.0, 1.1, 1.2, 1.3)
    published = (
        (r"^encoder\.stages\.(\d)\.embed\.conv", r"backbone.patch_embed@\1.proj"),
        (r"^encoder\.stages\.(\d)\.embed\.norm", r"backbone.patch_embed@\1.norm"),
        (r"^encoder\.stages\.(\d)\.blocks", r"backbone.block@\1"),
        (r"^encoder\.stages\.(\d)\.norm", r"backbone.norm@\1"),
        (r"\.attention\.query", ".attn.q"),
        (r"\.attention\.key_value", ".attn.kv"),
        (r"\.attention\.merge", ".attn.proj"),
        (r"\.attention\.reduce\.conv", ".attn.sr"),
        (r"\.attention\.reduce\.norm", ".attn.norm"),
        (r"\.mix\.widen", ".mlp.fc1"),
        (r"\.mix\.conv", ".mlp.dwconv.dwconv"),
        (r"\.mix\.narrow", ".mlp.fc2"),
        (r"^head\.levels\.(\d)", r"decode_head.linear_c@\1.proj"),
        (r"^head\.fuse", "decode_head.linear_fuse.conv"),
        (r"^head\.norm", "decode_head.linear_fuse.bn"),
        (r"^head\.predict", "decode_head.linear_pred"),
        *((f"@{number}", str(number + 1)) for number in range(4)),  # theirs count from 1
    )
    unused = ("decode_head.conv_seg.",)  # made by the class that theirs derives from, and never called

    def __init__(
        self, classes: int, channels: int, *, widths: tuple[int, ...], depths: tuple[int, ...], head: int
    ) -> None:
        super().__init__()
        self.encoder = MiT(channels, widths, depths)
        self.head = AllMLP(widths, head, classes)
        start(self.encoder)
        start_head(self.head)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures (N, channels, H, W) to logits (N, classes, H, W)."""
        size = self.check_size(images)
        return resize(self.head(self.encoder(images)), size)


def start(encoder: nn.Module) -> None:
    """Starting values of an encoder that nothing was learnt with."""
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            start_conv(module)


def start_head(head: AllMLP) -> None:
    """Starting values of the head's only layer that does not keep those of PyTorch."""
    nn.init.kaiming_normal_(head.fuse.weight, mode="fan_out", nonlinearity="relu")
