"""DenseFuse: an auto-encoder with a dense block; a fixed rule fuses the feature maps of two images.

Li and Wu, "DenseFuse: A Fusion Approach to Infrared and Visible Images", IEEE TIP 2019.
The auto-encoder is trained to reconstruct single images of any kind, not pairs. To fuse, both images are encoded, their
maps are fused by a rule, and the result is decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
from imfuse.layers.blocks import Conv3x3
from imfuse.layers.fusion_rules import fuse_maps
from imfuse.layers.output import to_unit_range
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="densefuse",
    title="DenseFuse",
    paper=Paper(
        title="DenseFuse: A Fusion Approach to Infrared and Visible Images",
        venue="IEEE Transactions on Image Processing",
        year=2019,
        doi="10.1109/TIP.2018.2887342",
        arxiv="1804.08361",
    ),
    summary="auto-encoder with a dense block, maps of the two images joined by a rule",
    parameters=74_193,
    authors_licence="none given",
    size=SizeRule(
        min_size=2,
        # eight 3x3 convolutions in a row and the activity of rule l1
        halo=9,
    ),
    memory_per_pixel=400,
    options=(
        Option(
            "rule",
            ("average", "sum", "l1", "l1-pixel", "softmax"),
            "average",
            "how the maps of the two images are joined; the published pictures are by sum, with output=stretch",
        ),
        Option(
            "output",
            ("clip", "stretch", "clip-cut"),
            "clip",
            "what is done with levels out of range; stretch: least and largest value become black and white",
            whole=("stretch",),
        ),
    ),
    weights=(
        WeightsSpec(
            name="default",
            file="densefuse.safetensors",
            sha256="df3bd6443a404e42250b5bcf06dc12a80f2ea4fb921a3444a71f868eb9cb9805",
            recipe="densefuse",
            data="RoadScene train (180 pairs)",
            date="2026-11-22",
        ),
    ),
)

MAPS = 16
"""Maps that each layer of the dense block adds."""
WHITE = 255
"""The network works on grey levels from 0 to 255."""


class Encoder(nn.Module):
    """Image to 64 maps: each layer of the dense block takes all maps before it, those of the last layer first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Conv3x3(1, MAPS)
        self.dense = nn.ModuleList(Conv3x3(MAPS * count, MAPS) for count in (1, 2, 3))

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, H, W), 0 to 255, to (N, 64, H, W)."""
        maps = torch.relu(self.first(image))
        for conv in self.dense:
            maps = torch.cat([torch.relu(conv(maps)), maps], dim=1)
        return maps


class Decoder(nn.Module):
    """64 maps to an image; the last layer has no activation."""

    def __init__(self) -> None:
        super().__init__()
        widths = (64, 64, 32, 16)
        self.inner = nn.ModuleList(Conv3x3(a, b) for a, b in pairwise(widths))
        self.image = Conv3x3(16, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, 64, H, W) to (N, 1, H, W)."""
        for conv in self.inner:
            maps = torch.relu(conv(maps))
        image: Tensor = self.image(maps)
        return image


class DenseFuse(FusionModel):
    """DenseFuse. ``rule`` fuses the maps, ``output`` brings the result into [0, 1]."""

    spec = SPEC

    def __init__(self, rule: str = "average", output: str = "clip") -> None:
        super().__init__()
        self.rule, self.output = rule, output
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.apply(_initialise)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 2."""
        return to_unit_range(self.raw(infrared, visible), self.output)

    def raw(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """The decoded image before :func:`to_unit_range`, (N, 1, H, W); with rule ``sum`` about twice as bright."""
        maps = fuse_maps(self.encoder(WHITE * infrared), self.encoder(WHITE * visible), self.rule)
        fused: Tensor = self.decoder(maps)
        return fused / WHITE

    def reconstruct(self, image: Tensor) -> Tensor:
        """An image (N, 1, H, W) encoded and decoded, without bounds: the auto-encoder that is trained."""
        reconstructed: Tensor = self.decoder(self.encoder(WHITE * image))
        return reconstructed / WHITE

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' TensorFlow checkpoint; its reader leaves out the state of the optimiser."""
        layers = {"encoder/conv1_1": "encoder.first"}
        layers |= {f"encoder/dense_block_conv{i + 1}": f"encoder.dense.{i}" for i in range(3)}
        layers |= {f"decoder/conv2_{i + 1}": f"decoder.inner.{i}" for i in range(3)}
        layers["decoder/conv2_4"] = "decoder.image"
        names = {f"{theirs}/kernel": f"{ours}.weight" for theirs, ours in layers.items()}
        return names | {f"{theirs}/bias": f"{ours}.bias" for theirs, ours in layers.items()}

    @classmethod
    def from_release(cls, entries: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The authors' PyTorch checkpoint (``densefuse_gray.model``), in which the maps of the last layer come last.

        Its last layer has a ReLU, which makes no difference: negative levels are clipped anyway.
        """
        layers = {"conv1": "encoder/conv1_1"}
        layers |= {f"DB1.denseblock.{i}.dense_conv": f"encoder/dense_block_conv{i + 1}" for i in range(3)}
        layers |= {f"conv{i + 1}": f"decoder/conv2_{i}" for i in range(1, 5)}
        parts = {"weight": "kernel", "bias": "bias"}
        names = {f"{a}.conv2d.{part}": f"{b}/{name}" for a, b in layers.items() for part, name in parts.items()}
        if not names.keys() & entries.keys():
            return entries
        reordered = ("encoder/dense_block_conv2/kernel", "encoder/dense_block_conv3/kernel", "decoder/conv2_1/kernel")
        renamed = {names.get(name, name): value for name, value in entries.items()}
        return {name: _reverse_inputs(value) if name in reordered else value for name, value in renamed.items()}


def _reverse_inputs(weight: Tensor) -> Tensor:
    """A kernel (outputs, inputs, h, w) whose sets of 16 input maps are in reverse order."""
    return torch.cat(torch.split(weight, MAPS, dim=1)[::-1], dim=1) if weight.ndim == 4 else weight


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.1, a=-0.2, b=0.2)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
