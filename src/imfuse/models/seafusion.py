"""SeAFusion: two streams of gradient residual dense blocks, trained in the loop of a segmentation network.

Tang, Yuan and Ma, "Image fusion in the loop of high-level vision tasks: A semantic-aware real-time infrared and visible
image fusion network", Information Fusion 2022. Fusion network and segmentation network are trained in turn, each with
the other fixed; fusion needs the first alone.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
from imfuse.layers.bisenet import BiSeNet
from imfuse.layers.blocks import Conv3x3
from imfuse.layers.output import to_unit_range
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="seafusion",
    title="SeAFusion",
    paper=Paper(
        title=(
            "Image fusion in the loop of high-level vision tasks: "
            "A semantic-aware real-time infrared and visible image fusion network"
        ),
        venue="Information Fusion",
        year=2022,
        doi="10.1016/j.inffus.2021.12.004",
    ),
    summary="gradient residual dense blocks in two streams",
    parameters=166_657,
    authors_licence="MIT",
    size=SizeRule(
        # 3x3 convolutions in a row: one, two in each of two blocks, four to decode
        halo=9,
    ),
    uneven="zeros beyond the border",
    memory_per_pixel=350,
    options=(
        Option(
            "output",
            ("clip", "stretch", "stretch-cut"),
            "clip",
            "clip: as computed; stretch: least and largest value become black and white; stretch-cut: the same with "
            "the decimals of the levels cut off, as in the published pictures",
            whole=("stretch", "stretch-cut"),
        ),
        Option(
            "semantic", (False, True), False, "on: with the segmentation network that judges results in training alone"
        ),
    ),
    training_parts=("segmenter.",),
    weights=(
        WeightsSpec(
            name="default",
            file="seafusion.safetensors",
            sha256="49f239643bbda7a40e215f6d2cb3ffd87399747426e0c4c6c9c9eed847f57211",
            recipe="seafusion_roadscene (both stages)",
            data="RoadScene train (180 pairs)",
            date="2026-11-22",
            bias=88,
        ),
    ),
)

SLOPE = 0.2
"""Slope of the leaky ReLU below 0, in all layers except the last of each block."""
CLASSES = 9
"""Classes of the MSRS data set."""
SOBEL = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))


class Sobel(nn.Module):
    """Magnitude of the gradient: two trained filters for each channel, initially those of Sobel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        across = torch.tensor(SOBEL).expand(channels, 1, 3, 3)
        self.across = nn.Parameter(across.clone())
        self.down = nn.Parameter(across.transpose(2, 3).clone())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        groups = x.shape[1]
        across, down = (F.conv2d(x, kernels, padding=1, groups=groups) for kernels in (self.across, self.down))
        return across.abs() + down.abs()


class Block(nn.Module):
    """Gradient residual dense block: two dense layers, to whose output the gradient of the input is added."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = Conv3x3(inputs, inputs, padding="zeros")
        self.second = Conv3x3(2 * inputs, inputs, padding="zeros")
        self.merge = nn.Conv2d(3 * inputs, outputs, 1)
        self.sobel = Sobel(inputs)
        self.edges = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        maps = torch.cat([x, F.leaky_relu(self.first(x), SLOPE)], dim=1)
        maps = torch.cat([maps, F.leaky_relu(self.second(maps), SLOPE)], dim=1)
        return F.leaky_relu(self.merge(maps) + self.edges(self.sobel(x)), 0.1)


class Encoder(nn.Module):
    """One image to 48 maps."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Conv3x3(1, 16, padding="zeros")
        self.blocks = nn.ModuleList([Block(16, 32), Block(32, 48)])

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, 48, H, W)."""
        maps = F.leaky_relu(self.first(image), SLOPE)
        for block in self.blocks:
            maps = block(maps)
        return maps


class Decoder(nn.Module):
    """Maps of both images to one, without the last activation."""

    def __init__(self) -> None:
        super().__init__()
        widths = (96, 64, 32, 16, 1)
        pairs = pairwise(widths)
        self.convs = nn.ModuleList(Conv3x3(a, b, padding="zeros") for a, b in pairs)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of both images, concatenated, (N, 96, H, W), to (N, 1, H, W)."""
        for conv in self.convs[:-1]:
            maps = F.leaky_relu(conv(maps), SLOPE)
        image: Tensor = self.convs[-1](maps)
        return image


class SeAFusion(FusionModel):
    """SeAFusion. ``output`` brings the result into [0, 1]; ``semantic`` adds the segmentation network."""

    spec = SPEC

    def __init__(self, output: str = "clip", semantic: bool = False) -> None:
        super().__init__()
        self.output = output
        self.visible, self.infrared = Encoder(), Encoder()
        self.decoder = Decoder()
        if semantic:
            self.segmenter = BiSeNet(CLASSES)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        maps = torch.cat([self.visible(visible), self.infrared(infrared)], dim=1)
        return to_unit_range(torch.tanh(self.decoder(maps)) / 2 + 0.5, self.output)

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' ``SeAFusion.pth``."""
        layers = {f"decode{4 - i}.conv": f"decoder.convs.{i}" for i in range(4)}
        names: dict[str, str] = {}
        for short, side in (("vis", "visible"), ("inf", "infrared")):
            layers[f"{short}_conv.conv"] = f"{side}.first"
            for i in range(2):
                theirs, ours = f"{short}_rgbd{i + 1}", f"{side}.blocks.{i}"
                layers |= {
                    f"{theirs}.dense.conv1.conv": f"{ours}.first",
                    f"{theirs}.dense.conv2.conv": f"{ours}.second",
                }
                layers |= {f"{theirs}.convdown.conv": f"{ours}.merge", f"{theirs}.convup.conv": f"{ours}.edges"}
                names[f"{theirs}.sobelconv.convx.weight"] = f"{ours}.sobel.across"
                names[f"{theirs}.sobelconv.convy.weight"] = f"{ours}.sobel.down"
        parts = ("weight", "bias")
        return names | {f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours in layers.items() for part in parts}

    @classmethod
    def published_extras(cls) -> tuple[str, ...]:
        """Norms of the decoder, which the authors' network never applies."""
        return ("decode?.bn.*",)
