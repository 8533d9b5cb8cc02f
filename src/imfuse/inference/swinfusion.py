"""SwinFusion for inference: one row of windows at a time through a whole block, in place; large pictures in tiles.

All that a block does stays within its windows, so that a row of them goes through attention and network before the next
one begins and never leaves the cache. ``scripts/speed/networks.py swinfusion`` compares it with the plain module, which
stays as its oracle.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.blocks import replace_modules
from imfuse.models import swinfusion
from imfuse.models.swinfusion import (
    HEADS,
    WINDOW,
    CrossBlock,
    SwinBlock,
    SwinFusion,
    from_windows,
    shift_mask,
    to_windows,
)
from imfuse.ops.tiles import fuse_tiled

HALO = 120
"""Sixteen blocks reach 7 pixels each, six convolutions one each; rounded up to whole windows."""
TILE = 640


def fast_form(model: SwinFusion) -> nn.Module:
    """What :func:`imfuse.inference.forms.fast_form` uses for this network."""
    return FastSwinFusion(model)


class FastSwinFusion(nn.Module):
    """The fused image of a :class:`SwinFusion` in evaluation mode."""

    def __init__(self, model: SwinFusion) -> None:
        super().__init__()
        self.border = model.border
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        replace_modules(self.model, CrossBlock, FastCrossBlock)
        replace_modules(self.model, SwinBlock, FastBlock)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        height, width = infrared.shape[2:]
        pad = swinfusion._reflected if self.border == "reflect" else swinfusion._flipped
        fused = fuse_tiled(self.model.network, pad(infrared), pad(visible), tile=TILE, rule=SizeRule(WINDOW, halo=HALO))
        return fused[..., :height, :width].clamp(0, 1)


class FastBlock(nn.Module):
    """A :class:`SwinBlock`, within an image or across two."""

    bias: Tensor

    def __init__(self, block: SwinBlock) -> None:
        super().__init__()
        self.shift = block.shift
        self.norm1, self.norm2, self.attention, self.mlp = block.norm1, block.norm2, block.attention, block.mlp
        self.register_buffer("bias", block.attention.bias().detach().contiguous())

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Tokens (N, H, W, C) to the same; ``other`` are normalised tokens of the other image."""
        size = (x.shape[1], x.shape[2])
        moved = (-self.shift, -self.shift)
        # A shifted picture is a copy already.
        x = x.roll(moved, (1, 2)) if self.shift else x.clone()
        if other is not None and self.shift:
            other = other.roll(moved, (1, 2))
        mask = shift_mask(*size).to(x).reshape(size[0] // WINDOW, -1, 1, WINDOW**2, WINDOW**2) if self.shift else None
        for row in range(size[0] // WINDOW):
            strip = slice(row * WINDOW, (row + 1) * WINDOW)
            looked_at = None if other is None else to_windows(other[:, strip])
            last = row == size[0] // WINDOW - 1
            windows = self._strip(to_windows(x[:, strip]), looked_at, None if mask is None else mask[row], last)
            x[:, strip] = from_windows(windows, (WINDOW, size[1]))
        return x.roll((self.shift, self.shift), (1, 2)) if self.shift else x

    def _strip(self, x: Tensor, other: Tensor | None, mask: Tensor | None, last: bool) -> Tensor:
        """Windows of one row, (N windows, 64, C), through the block."""
        normal = self.norm1(x)
        query, key, value = self.attention.triple(normal, normal if other is None else other)
        if mask is None:
            mixed = _attend(query, key, value, self.bias)
        elif last:
            bias = (self.bias + mask).repeat(len(x) // len(mask), 1, 1, 1)
            mixed = _attend(query, key, value, bias)
        else:
            # Of the other rows only the last window holds pixels from both sides of the picture.
            mixed = _attend(query, key, value, self.bias)
            ends = slice(len(mask) - 1, None, len(mask))
            mixed[ends] = _attend(query[ends], key[ends], value[ends], self.bias + mask[-1])
        x = self.attention.project(mixed.transpose(1, 2).flatten(2)).add_(x)
        refined: Tensor = self.mlp(self.norm2(x)).add_(x)
        return refined


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Of windows, (windows, heads, 64, 10)."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias.expand(len(query), HEADS, -1, -1))


class FastCrossBlock(nn.Module):
    """A :class:`CrossBlock`."""

    def __init__(self, block: CrossBlock) -> None:
        super().__init__()
        self.infrared, self.visible = FastBlock(block.infrared), FastBlock(block.visible)

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of both images."""
        of_ir, of_vi = self.infrared.norm1(infrared), self.visible.norm1(visible)
        return self.infrared(infrared, of_vi), self.visible(visible, of_ir)
