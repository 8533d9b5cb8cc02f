"""DIDFuse for inference.

Batch norms are folded into the convolutions before them, and the background and the detail layer are one convolution of
128 outputs. Both images pass the encoder as one batch, in channels-last memory.

``scripts/speed/networks.py didfuse`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.blocks import conv_mirrored, sum_shifted, tap_weights
from imfuse.layers.folding import fold_norm
from imfuse.layers.fusion_rules import fuse_maps
from imfuse.layers.precision import SplitWeights
from imfuse.models.didfuse import DIDFuse
from imfuse.ops.filters import reflect_pad


def fast_form(model: DIDFuse) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FoldedDIDFuse(model)


class FoldedDIDFuse(nn.Module):
    """Inference form of a :class:`DIDFuse`; in float32 its 8-bit results differ by 1 at most."""

    split_weight: Tensor
    split_bias: Tensor
    image_weight: Tensor
    image_bias: Tensor

    def __init__(self, model: DIDFuse) -> None:
        super().__init__()
        self.rule, self.mirrored = model.rule, model.padding == "reflect"
        encoder, decoder = model.encoder, model.decoder
        self.shallow = _Shallow(*_folded(encoder.shallow), _slope(encoder.shallow))
        background, detail = _folded(encoder.background), _folded(encoder.detail)
        layers = {
            "middle": _folded(encoder.middle),
            "split": (torch.cat([background[0], detail[0]]), torch.cat([background[1], detail[1]])),
            "deep": _folded(decoder.deep),
            "merge": _folded(decoder.merge),
        }
        for name, (weight, bias) in layers.items():
            self.register_buffer(f"{name}_weight", weight.contiguous(memory_format=torch.channels_last))
            self.register_buffer(f"{name}_bias", bias)
        weight, bias = _folded(decoder.image)
        self.register_buffer("image_weight", tap_weights(weight))
        self.register_buffer("image_bias", bias)
        blocks = {"middle": encoder.middle, "deep": decoder.deep, "merge": decoder.merge}
        self.slopes = {name: _slope(block) for name, block in blocks.items()}

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1], in the type of the images; computed in the type of the weights."""
        shallow = self.shallow(torch.cat([infrared, visible]))
        middle = self._block(shallow, "middle")
        shallow = self._fuse(shallow)
        split = self._conv(middle, "split").tanh_()
        middle = self._fuse(middle)
        # Background and detail maps already lie side by side as the decoder expects them.
        x = self._block(self._fuse_split(split), "deep")
        x = self._block(torch.cat([x, middle], dim=1), "merge")
        taps = F.conv2d(torch.cat([x, shallow], dim=1), self.image_weight)
        return torch.sigmoid(sum_shifted(taps, self.image_bias.float())).to(infrared.dtype)

    def _block(self, x: Tensor, name: str) -> Tensor:
        return F.leaky_relu_(self._conv(x, name), self.slopes[name])

    def _conv(self, x: Tensor, name: str) -> Tensor:
        weight, bias = getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias")
        return conv_mirrored(x, weight, bias) if self.mirrored else F.conv2d(x, weight, bias, padding=1)

    def _fuse(self, maps: Tensor) -> Tensor:
        infrared, visible = maps.chunk(2)
        return fuse_maps(infrared, visible, self.rule)

    def _fuse_split(self, maps: Tensor) -> Tensor:
        if self.rule != "l1":
            return self._fuse(maps)
        # Each set has its own activity, and so its own weights.
        return torch.cat([self._fuse(part) for part in maps.chunk(2, dim=1)], dim=1)


class _Shallow(SplitWeights):
    """The first layer: (N, 1, H, W) to (N, 64, H, W)."""

    def __init__(self, weight: Tensor, bias: Tensor, slope: float) -> None:
        super().__init__(weight, bias)
        self.slope = slope

    def forward(self, images: Tensor) -> Tensor:
        """Shallow maps of images."""
        x = F.conv2d(self.inputs(reflect_pad(images, 1)), self.weight, self.bias)
        return F.leaky_relu_(x, self.slope)


def _folded(block: nn.Sequential) -> tuple[Tensor, Tensor]:
    conv, norm = block[0], block[1]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return fold_norm(conv, norm)


def _slope(block: nn.Sequential) -> float:
    return float(cast(nn.PReLU, block[2]).weight.detach())
