"""U2Fusion: one densely connected network for several fusion tasks.

Xu, Ma, Jiang, Guo and Ling, "U2Fusion: A Unified Unsupervised Image Fusion Network", IEEE TPAMI 2022. Training is
unsupervised: the fused image has to stay similar to both sources, to each as much as its information content demands.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
from imfuse.layers.blocks import Conv3x3
from imfuse.layers.output import to_unit_range
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="u2fusion",
    title="U2Fusion",
    paper=Paper(
        title="U2Fusion: A Unified Unsupervised Image Fusion Network",
        venue="IEEE Transactions on Pattern Analysis and Machine Intelligence",
        year=2022,
        doi="10.1109/TPAMI.2020.3012548",
    ),
    summary="both images through one dense network, trained by the information of each",
    parameters=659_217,
    authors_licence="none given",
    size=SizeRule(
        min_size=2,
        # ten 3x3 convolutions in a row
        halo=10,
    ),
    memory_per_pixel=600,
    dtypes=("float32", "bfloat16"),
    options=(
        Option(
            "first",
            ("infrared", "visible"),
            "infrared",
            "the first of the two inputs; training knows both orders, the published pictures this one",
        ),
        Option(
            "output",
            ("clip", "stretch", "max"),
            "clip",
            "clip: as computed; stretch: least and largest value become black and white, as in the published pictures; "
            "max: the largest alone, as in the authors' script",
            whole=("stretch", "max"),
        ),
    ),
    weights=(
        WeightsSpec(
            name="default",
            file="u2fusion.safetensors",
            sha256="dd7cb89801bb0d712a523f23d6fc8283bdb1d6ba8b0c21b8e06f9973ed20326e",
            recipe="u2fusion_roadscene",
            data="RoadScene train (180 pairs)",
            date="2026-11-22",
            bias=29,
        ),
    ),
)

MAPS = 44
"""Maps that each layer of the encoder adds."""
SLOPE = 0.2
"""Slope of the leaky ReLU below 0."""


class Encoder(nn.Module):
    """Two images to 264 maps: each layer takes all maps before it, those of the last layer first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Conv3x3(2, MAPS)
        self.dense = nn.ModuleList(Conv3x3(MAPS * count, MAPS) for count in range(1, 6))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 2, H, W) to (N, 264, H, W)."""
        maps = F.leaky_relu(self.first(images), SLOPE)
        for conv in self.dense:
            maps = torch.cat([F.leaky_relu(conv(maps), SLOPE), maps], dim=1)
        return maps


class Decoder(nn.Module):
    """264 maps to one, without the last activation."""

    def __init__(self) -> None:
        super().__init__()
        widths = (6 * MAPS, 128, 64, 32)
        self.inner = nn.ModuleList(Conv3x3(a, b) for a, b in pairwise(widths))
        self.image = Conv3x3(32, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, 264, H, W) to (N, 1, H, W)."""
        for conv in self.inner:
            maps = F.leaky_relu(conv(maps), SLOPE)
        image: Tensor = self.image(maps)
        return image


class U2Fusion(FusionModel):
    """U2Fusion. ``first`` orders the inputs, ``output`` brings the result into [0, 1]."""

    spec = SPEC

    def __init__(self, first: str = "infrared", output: str = "clip") -> None:
        super().__init__()
        self.first, self.output = first, output
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.apply(_initialise)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 2."""
        return to_unit_range(self.fuse(self.join(infrared, visible)), self.output)

    def join(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """The two inputs, concatenated in their order, (N, 2, H, W)."""
        return torch.cat([infrared, visible] if self.first == "infrared" else [visible, infrared], dim=1)

    def fuse(self, images: Tensor) -> Tensor:
        """The output of the network, (N, 1, H, W) in [0, 1], for its two inputs (N, 2, H, W)."""
        return torch.tanh(self.decoder(self.encoder(images))) / 2 + 0.5

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' TensorFlow checkpoint, one for all their tasks."""
        layers = {"Generator/encoder/conv1_1": "encoder.first", "Generator_1/decoder/conv2_4": "decoder.image"}
        layers |= {f"Generator/encoder/dense_block_conv{i + 1}": f"encoder.dense.{i}" for i in range(5)}
        layers |= {f"Generator_1/decoder/conv2_{i + 1}": f"decoder.inner.{i}" for i in range(3)}
        names = {f"{theirs}/kernel": f"{ours}.weight" for theirs, ours in layers.items()}
        return names | {f"{theirs}/bias": f"{ours}.bias" for theirs, ours in layers.items()}


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.05, a=-0.1, b=0.1)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
