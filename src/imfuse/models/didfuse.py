"""DIDFuse: an encoder decomposes an image into background and detail maps, a decoder with two skips reconstructs it.

Zhao et al., "DIDFuse: Deep Image Decomposition for Infrared and Visible Image Fusion", IJCAI 2020.
The auto-encoder is trained on pairs: it makes their background maps similar and their detail maps different. To fuse,
each of the four sets of maps is fused by a rule, and the result is decoded.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
from imfuse.layers.blocks import NarrowConv, mirror_borders
from imfuse.layers.fusion_rules import fuse_maps
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="didfuse",
    title="DIDFuse",
    paper=Paper(
        title="DIDFuse: Deep Image Decomposition for Infrared and Visible Image Fusion",
        venue="IJCAI",
        year=2020,
        doi="10.24963/ijcai.2020/135",
        arxiv="2003.09210",
    ),
    summary="auto-encoder with background and detail maps of 64 channels each",
    parameters=260_935,
    size=SizeRule(
        min_size=2,
        # six 3x3 convolutions in a row and the activity of rule l1
        halo=7,
    ),
    uneven="zeros beyond the border",
    memory_per_pixel=3200,
    dtypes=("float32", "bfloat16"),
    options=(
        Option("rule", ("sum", "average", "l1"), "sum", "how the maps of the two images are joined"),
        Option("padding", ("zeros", "reflect"), "zeros", "border of the convolutions between the first and the last"),
    ),
    weights=(
        WeightsSpec(
            name="default",
            file="didfuse.safetensors",
            sha256="58019914cedcfa6a8d6a84ebe0f56a67d887e00a8030cc1df45a8da3e9529c19",
            recipe="didfuse_mixed, from the paper weights",
            data="RoadScene train, MSRS train (128x128), frames of M2VD; a tenth of each held out",
            date="2026-11-30",
            bias=2,
        ),
        WeightsSpec(
            name="paper",
            file="didfuse_paper.safetensors",
            sha256="1e91349cd6600450ce12cbad8e126843f8f0a6fdfed8d88dc6d4b2659683b8d0",
            recipe="didfuse with precision=bf16-mixed",
            data="RoadScene, the 180 FLIR training pairs",
            date="2026-11-21",
            bias=43,
        ),
    ),
)

CHANNELS = 64


class Maps(NamedTuple):
    """The output of the encoder: four sets of 64 maps, (N, 64, H, W) each."""

    shallow: Tensor
    middle: Tensor
    background: Tensor
    detail: Tensor


def block(inputs: int, outputs: int, activation: nn.Module, reflect: bool = False) -> nn.Sequential:
    """3x3 convolution, batch norm, activation; the border is mirrored if ``reflect``, else zero."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect" if reflect else "zeros")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), activation)


class Encoder(nn.Module):
    """Image (N, 1, H, W) to its four sets of maps."""

    def __init__(self) -> None:
        super().__init__()
        self.shallow = block(1, CHANNELS, nn.PReLU(), reflect=True)
        self.middle = block(CHANNELS, CHANNELS, nn.PReLU())
        self.background = block(CHANNELS, CHANNELS, nn.Tanh())
        self.detail = block(CHANNELS, CHANNELS, nn.Tanh())

    def forward(self, image: Tensor) -> Maps:
        """The maps of an image (N, 1, H, W) in [0, 1]."""
        shallow = self.shallow(image)
        middle = self.middle(shallow)
        return Maps(shallow, middle, self.background(middle), self.detail(middle))


class Decoder(nn.Module):
    """Four sets of maps to the image (N, 1, H, W) in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = block(2 * CHANNELS, CHANNELS, nn.PReLU())
        self.merge = block(2 * CHANNELS, CHANNELS, nn.PReLU())
        self.image = nn.Sequential(NarrowConv(2 * CHANNELS), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, maps: Maps) -> Tensor:
        """The image (N, 1, H, W) in [0, 1] of the maps."""
        x = self.deep(torch.cat([maps.background, maps.detail], dim=1))
        x = self.merge(torch.cat([x, maps.middle], dim=1))
        image: Tensor = self.image(torch.cat([x, maps.shallow], dim=1))
        return image


class DIDFuse(FusionModel):
    """DIDFuse. ``rule`` fuses the maps of the two images; ``padding`` is the border of the inner convolutions."""

    spec = SPEC

    def __init__(self, rule: str = "sum", padding: str = "zeros") -> None:
        super().__init__()
        self.rule, self.padding = rule, padding
        self.encoder = Encoder()
        self.decoder = Decoder()
        if padding == "reflect":
            encoder, decoder = self.encoder, self.decoder
            for part in (encoder.middle, encoder.background, encoder.detail, decoder.deep, decoder.merge):
                mirror_borders(part)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 2."""
        pairs = zip(self.encoder(infrared), self.encoder(visible), strict=True)
        fused: Tensor = self.decoder(Maps(*(fuse_maps(ir, vi, self.rule) for ir, vi in pairs)))
        return fused

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' two files, merged: Encoder_weight_IJCAI, Decoder_weight_IJCAI."""
        blocks = {
            "cov1": "encoder.shallow",
            "cov2": "encoder.middle",
            "cov3": "encoder.background",
            "cov4": "encoder.detail",
            "cov5": "decoder.deep",
            "cov6": "decoder.merge",
            "cov7": "decoder.image",
        }
        names: dict[str, str] = {}
        for theirs, ours in blocks.items():
            # The authors' blocks with a mirrored border begin with a padding layer, which shifts the numbers by one.
            first = 1 if theirs in ("cov1", "cov7") else 0
            entries = {0: ("weight", "bias"), 1: ("weight", "bias", "running_mean", "running_var")}
            if theirs in ("cov1", "cov2", "cov5", "cov6"):
                entries[2] = ("weight",)
            for i, parts in entries.items():
                names |= {f"{theirs}.{theirs}.{first + i}.{part}": f"{ours}.{i}.{part}" for part in parts}
        return names
