"""LRRNet for inference: tile by tile in place, 256 maps to one as nine taps, all four output maps by one product.

What is global, the ranges of the pictures and of the result, is taken of whole pictures. Between them the network sees
no further than ``HALO`` pixels, so its 256 maps exist for one tile at a time and stay in the cache.
``scripts/speed/networks.py lrrnet`` compares it with the plain module, which stays as its oracle.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.blocks import Conv3x3, sum_shifted, tap_weights
from imfuse.layers.output import to_unit_range
from imfuse.models.lrrnet import MAPS, Encoder, LRRNet, normalised
from imfuse.ops.filters import reflect_pad
from imfuse.ops.tiles import fuse_tiled

HALO = 11
"""One convolution, two in each of four steps, two to decode."""
TILE = 96
"""Side of a tile: 256 maps of it and its halo are 14 MiB."""


def fast_form(model: LRRNet) -> nn.Module:
    """What :func:`imfuse.inference.forms.fast_form` uses for this network."""
    return TiledLRRNet(model)


class TiledLRRNet(nn.Module):
    """The fused image of an :class:`LRRNet` in evaluation mode."""

    def __init__(self, model: LRRNet) -> None:
        super().__init__()
        self.output = model.output
        self.infrared = FastEncoder(model.encoder_ir, (model.low_ir, model.sparse_ir))
        self.visible = FastEncoder(model.encoder_vi, (model.low_vi, model.sparse_vi))
        low, sparse = model.low.weight.detach(), model.sparse.weight.detach()
        assert model.low.bias is not None
        assert model.sparse.bias is not None
        # Low-rank and sparse part of the infrared image, then of the visible one; the two results are added.
        self.register_buffer("weight", torch.cat([low[:, :1], sparse[:, :1], low[:, 1:], sparse[:, 1:]], dim=1))
        self.register_buffer("bias", (model.low.bias + model.sparse.bias).detach())

    weight: Tensor
    bias: Tensor

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        pair = normalised(infrared), normalised(visible)
        return to_unit_range(
            fuse_tiled(self._tile, *pair, tile=TILE, rule=SizeRule(min_size=2, halo=HALO)), self.output
        )

    def _tile(self, infrared: Tensor, visible: Tensor) -> Tensor:
        parts = torch.cat([self.infrared(infrared), self.visible(visible)], dim=1)
        return F.conv2d(reflect_pad(parts, 1), self.weight, self.bias)


class FastEncoder(nn.Module):
    """Image (N, 1, H, W) to its low-rank and its sparse output map, (N, 2, H, W)."""

    threshold: Tensor
    first_weight: Tensor
    first_bias: Tensor
    explain: Tensor
    explain_bias: Tensor
    correct: Tensor
    correct_bias: Tensor
    parts: Tensor
    parts_bias: Tensor

    def __init__(self, encoder: Encoder, outputs: Sequence[Conv3x3]) -> None:
        super().__init__()
        state = {name: value.detach() for name, value in encoder.state_dict().items()}
        threshold, order = state["threshold"][0].sort()
        self.keep, self.negative = state["keep"].item(), int((threshold < 0).sum())
        self.register_buffer("threshold", threshold[:, None, None])
        self.register_buffer("first_weight", state["first.weight"][order])
        self.register_buffer("first_bias", state["first.bias"][order])
        steps = range(len(encoder.steps))
        explain = [tap_weights(state[f"steps.{i}.explain.weight"][:, order]) for i in steps]
        self.register_buffer("explain", torch.stack(explain))
        self.register_buffer("explain_bias", torch.stack([state[f"steps.{i}.explain.bias"] for i in steps]))
        self.register_buffer("correct", torch.stack([state[f"steps.{i}.correct.weight"][order] for i in steps]))
        self.register_buffer("correct_bias", torch.stack([state[f"steps.{i}.correct.bias"][order] for i in steps]))
        # Nine taps of each output: the low-rank one reads the first half of the maps, the sparse one the second.
        taps = torch.zeros(18, 2 * MAPS, 1, 1)
        biases = []
        for part, conv in enumerate(outputs):
            taps[9 * part : 9 * part + 9, MAPS * part : MAPS * part + MAPS] = tap_weights(conv.weight.detach())
            biases.append(conv.state_dict()["bias"])
        self.register_buffer("parts", taps[:, order])
        self.register_buffer("parts_bias", torch.stack(biases))

    def forward(self, image: Tensor) -> Tensor:
        """Of an image of one tile, normalised."""
        maps = self._shrink(F.conv2d(reflect_pad(image, 1), self.first_weight, self.first_bias))
        for explain, explain_bias, correct, correct_bias in zip(
            self.explain, self.explain_bias, self.correct, self.correct_bias, strict=True
        ):
            rest = image - sum_shifted(F.conv2d(maps, explain), explain_bias)
            maps.mul_(self.keep).add_(F.conv2d(reflect_pad(rest, 1), correct, correct_bias))
            maps = self._shrink(maps)
        taps = F.conv2d(maps, self.parts)
        low, sparse = (sum_shifted(part, bias) for part, bias in zip(taps.chunk(2, 1), self.parts_bias, strict=True))
        return torch.cat([low, sparse], dim=1)

    def _shrink(self, maps: Tensor) -> Tensor:
        """As ``lrrnet.shrink``, in place. The order of the maps is free, so those of negative thresholds come first."""
        away, towards = maps[:, : self.negative], maps[:, self.negative :]
        threshold = self.threshold[self.negative :]
        away.sub_(away.sign().mul_(self.threshold[: self.negative]))
        towards.sub_(torch.clamp(towards, -threshold, threshold))
        return maps
