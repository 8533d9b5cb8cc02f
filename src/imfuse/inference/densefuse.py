"""DenseFuse for inference.

Memory is channels-last, the image is processed in tiles, and the last layer, from many channels to one, is computed as
a 1x1 convolution whose outputs are shifted and added.

``scripts/speed/networks.py`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.blocks import NarrowConv, channels_last
from imfuse.layers.fusion_rules import fuse_maps
from imfuse.layers.output import to_unit_range
from imfuse.layers.precision import InFloat32
from imfuse.models.densefuse import DenseFuse
from imfuse.models.u2fusion import U2Fusion
from imfuse.ops.filters import reflect_pad
from imfuse.ops.tiles import in_tiles


class DenseLayers(nn.Module):
    """Encoder with a dense block, and decoder, of DenseFuse or U2Fusion; ``slope`` is that of ReLU below 0."""

    def __init__(self, model: DenseFuse | U2Fusion, slope: float) -> None:
        super().__init__()
        self.slope = slope
        encoder, decoder = model.encoder, model.decoder
        self.dense, self.inner = len(encoder.dense), len(decoder.inner)
        # The first and the last layer stay in float32: bfloat16 has fewer levels than an 8-bit image.
        image = NarrowConv(decoder.image.in_channels)
        image.load_state_dict(decoder.image.state_dict())
        self.first, self.image = InFloat32(copy.deepcopy(encoder.first)), InFloat32(image)
        channels_last(self.requires_grad_(False))
        for i, conv in enumerate([*encoder.dense, *decoder.inner]):
            weight = conv.weight.detach().contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"weight{i}", weight)
            self.register_buffer(f"bias{i}", conv.bias.detach())

    def layer(self, x: Tensor, number: int) -> Tensor:
        """A convolution and its activation."""
        y = F.conv2d(reflect_pad(x, 1), getattr(self, f"weight{number}"), getattr(self, f"bias{number}"))
        return F.leaky_relu_(y, self.slope)

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to maps; those of the last layer come first."""
        first = self.first(images.contiguous(memory_format=torch.channels_last))
        maps = F.leaky_relu_(first, self.slope).to(self.get_buffer("weight0").dtype)
        for i in range(self.dense):
            maps = torch.cat([self.layer(maps, i), maps], dim=1)
        return maps

    def decode(self, maps: Tensor) -> Tensor:
        """Maps to the output of the last convolution, (N, 1, H, W) float32."""
        for i in range(self.inner):
            maps = self.layer(maps, self.dense + i)
        image: Tensor = self.image(maps)
        return image


def fast_form(model: DenseFuse) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FastDenseFuse(model)


class FastDenseFuse(nn.Module):
    """Inference form of a :class:`DenseFuse`."""

    def __init__(self, model: DenseFuse) -> None:
        super().__init__()
        self.rule, self.output = model.rule, model.output
        self.size = SizeRule(min_size=2, halo=model.spec.size.halo)
        self.layers = DenseLayers(model, slope=0.0)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        return to_unit_range(in_tiles(self._raw, infrared, visible, self.size), self.output)

    def _raw(self, infrared: Tensor, visible: Tensor) -> Tensor:
        first, second = self.layers.encode(255 * torch.cat([infrared, visible])).chunk(2)
        return self.layers.decode(fuse_maps(first, second, self.rule)) / 255
