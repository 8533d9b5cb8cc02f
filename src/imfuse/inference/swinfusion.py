"""SwinFusion for inference.

A block computes nothing across its windows, so one row of windows passes the whole block, attention and MLP, before the
next one begins; its tokens are updated in place and stay in the cache. Large images are processed in tiles.

``scripts/speed/networks.py swinfusion`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.blocks import channels_last, replace_modules
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
"""Sixteen blocks reach 7 pixels each, six convolutions 1 each; rounded up to whole windows."""
TILE = 640
"""Side of a tile in pixels, without its halo."""


def fast_form(model: SwinFusion) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FastSwinFusion(model)


class FastSwinFusion(nn.Module):
    """Inference form of a :class:`SwinFusion`."""

    def __init__(self, model: SwinFusion) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        replace_modules(self.model, CrossBlock, FastCrossBlock)
        replace_modules(self.model, SwinBlock, FastBlock)
        channels_last(self.model)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        height, width = infrared.shape[2:]
        pair, rule = (self.model.padded(infrared), self.model.padded(visible)), SizeRule(WINDOW, halo=HALO)
        fused = fuse_tiled(self.model.network, *pair, tile=TILE, rule=rule)
        return fused[..., :height, :width].clamp(0, 1)


class FastBlock(nn.Module):
    """Inference form of a :class:`SwinBlock`, within one image or across both."""

    bias: Tensor

    def __init__(self, block: SwinBlock) -> None:
        super().__init__()
        self.shift = block.shift
        self.norm1, self.norm2, self.attention, self.mlp = block.norm1, block.norm2, block.attention, block.mlp
        self.register_buffer("bias", block.attention.bias().detach().contiguous())

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Tokens (N, H, W, C) to the same; ``other`` are normalised tokens of the other image."""
        size = (x.shape[1], x.shape[2])
        shifts = (-self.shift, -self.shift)
        # A shifted image is a copy already.
        x = x.roll(shifts, (1, 2)) if self.shift else x.clone()
        if other is not None and self.shift:
            other = other.roll(shifts, (1, 2))
        mask = shift_mask(*size).to(x).reshape(size[0] // WINDOW, -1, 1, WINDOW**2, WINDOW**2) if self.shift else None
        for row in range(size[0] // WINDOW):
            strip = slice(row * WINDOW, (row + 1) * WINDOW)
            other_windows = None if other is None else to_windows(other[:, strip])
            last = row == size[0] // WINDOW - 1
            windows = self._strip(to_windows(x[:, strip]), other_windows, None if mask is None else mask[row], last)
            x[:, strip] = from_windows(windows, (WINDOW, size[1]))
        return x.roll((self.shift, self.shift), (1, 2)) if self.shift else x

    def _strip(self, x: Tensor, other: Tensor | None, mask: Tensor | None, last: bool) -> Tensor:
        """The output of the block for one row of windows, (N windows, 64, C)."""
        normal = self.norm1(x)
        query, key, value = self.attention.triple(normal, normal if other is None else other)
        if mask is None:
            mixed = _attend(query, key, value, self.bias)
        elif last:
            bias = (self.bias + mask).repeat(len(x) // len(mask), 1, 1, 1)
            mixed = _attend(query, key, value, bias)
        else:
            # In the other rows the cyclic shift brings distant pixels together in the last window alone.
            mixed = _attend(query, key, value, self.bias)
            masked = slice(len(mask) - 1, None, len(mask))
            mixed[masked] = _attend(query[masked], key[masked], value[masked], self.bias + mask[-1])
        x = self.attention.project(mixed.transpose(1, 2).flatten(2)).add_(x)
        refined: Tensor = self.mlp(self.norm2(x)).add_(x)
        return refined


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attention within windows, (windows, heads, 64, 10)."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias.expand(len(query), HEADS, -1, -1))


class FastCrossBlock(nn.Module):
    """Inference form of a :class:`CrossBlock`."""

    def __init__(self, block: CrossBlock) -> None:
        super().__init__()
        self.infrared, self.visible = FastBlock(block.infrared), FastBlock(block.visible)

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of both images, (N, H, W, C) each, to the same."""
        normalised_ir, normalised_vi = self.infrared.norm1(infrared), self.visible.norm1(visible)
        return self.infrared(infrared, normalised_vi), self.visible(visible, normalised_ir)
