"""LRRNet for inference.

The ranges of the images and of the result are those of whole images. Everything in between has a receptive field of
``HALO`` pixels and runs tile by tile and in place, so that the 256 maps of a tile stay in the cache. Convolutions from
256 maps to one are computed as 1x1 convolutions whose outputs are shifted and added, and one such product computes both
output maps of an encoder.

``scripts/speed/networks.py lrrnet`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.blocks import Conv3x3, sum_shifted, tap_weights
from imfuse.layers.output import to_unit_range
from imfuse.models.lrrnet import EPSILON, MAPS, Encoder, LRRNet, normalised
from imfuse.ops.filters import reflect_pad
from imfuse.ops.tiles import fuse_tiled

HALO = 11
"""One convolution, two in each of four steps, two in the decoder."""
TILE = 96
"""Side of a tile: with its halo, 256 maps of it take 14 MiB."""


def fast_form(model: LRRNet) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return TiledLRRNet(model)


class TiledLRRNet(nn.Module):
    """Inference form of an :class:`LRRNet`."""

    def __init__(self, model: LRRNet) -> None:
        super().__init__()
        self.output = model.output
        self.infrared = FastEncoder(model.encoder_ir, (model.low_ir, model.sparse_ir))
        self.visible = FastEncoder(model.encoder_vi, (model.low_vi, model.sparse_vi))
        low, sparse = model.low.weight.detach(), model.sparse.weight.detach()
        assert model.low.bias is not None
        assert model.sparse.bias is not None
        # Inputs: low-rank and sparse part of the infrared image, then those of the visible one. Outputs are summed.
        self.register_buffer("weight", torch.cat([low[:, :1], sparse[:, :1], low[:, 1:], sparse[:, 1:]], dim=1))
        self.register_buffer("bias", (model.low.bias + model.sparse.bias).detach())

    weight: Tensor
    bias: Tensor

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        pair = normalised(infrared), normalised(visible)
        raw = fuse_tiled(self._tile, *pair, tile=TILE, rule=SizeRule(min_size=2, halo=HALO))
        return to_unit_range(raw, self.output, EPSILON)

    def _tile(self, infrared: Tensor, visible: Tensor) -> Tensor:
        parts = torch.cat([self.infrared(infrared), self.visible(visible)], dim=1)
        return F.conv2d(reflect_pad(parts, 1), self.weight, self.bias)


class FastEncoder(nn.Module):
    """Inference form of an encoder and its two output layers: image (N, 1, H, W) to both output maps, (N, 2, H, W).

    The order of the maps is free; they are sorted by threshold, so that those with a negative one come first.
    """

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
        # Nine taps for each output: the low-rank one takes the first half of the maps, the sparse one the second.
        taps = torch.zeros(18, 2 * MAPS, 1, 1)
        biases = []
        for part, conv in enumerate(outputs):
            taps[9 * part : 9 * part + 9, MAPS * part : MAPS * part + MAPS] = tap_weights(conv.weight.detach())
            biases.append(conv.state_dict()["bias"])
        self.register_buffer("parts", taps[:, order])
        self.register_buffer("parts_bias", torch.stack(biases))

    def forward(self, image: Tensor) -> Tensor:
        """The output maps of one tile of a normalised image."""
        maps = self._shrink(F.conv2d(reflect_pad(image, 1), self.first_weight, self.first_bias))
        for explain, explain_bias, correct, correct_bias in zip(
            self.explain, self.explain_bias, self.correct, self.correct_bias, strict=True
        ):
            residual = image - sum_shifted(F.conv2d(maps, explain), explain_bias)
            maps.mul_(self.keep).add_(F.conv2d(reflect_pad(residual, 1), correct, correct_bias))
            maps = self._shrink(maps)
        taps = F.conv2d(maps, self.parts)
        low, sparse = (sum_shifted(part, bias) for part, bias in zip(taps.chunk(2, 1), self.parts_bias, strict=True))
        return torch.cat([low, sparse], dim=1)

    def _shrink(self, maps: Tensor) -> Tensor:
        """:func:`imfuse.models.lrrnet.shrink`, in place."""
        expanding, shrinking = maps[:, : self.negative], maps[:, self.negative :]
        threshold = self.threshold[self.negative :]
        expanding.sub_(expanding.sign().mul_(self.threshold[: self.negative]))
        shrinking.sub_(torch.clamp(shrinking, -threshold, threshold))
        return maps
