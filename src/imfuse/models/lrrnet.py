"""LRRNet: unrolled low-rank representation decomposes each image; few convolutions fuse the parts.

Li, Xu, Wu, Lu and Kittler, "LRRNet: A Novel Representation Learning Guided Fusion Network for Infrared and Visible
Images", IEEE TPAMI 2023. Each encoder consists of a few iterations of a learned low-rank representation of the image.
One half of its maps is the low-rank part, which holds the large structures, the other the sparse part, which holds the
salient ones. The parts of both images are fused separately and added.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
from imfuse.layers.blocks import Conv3x3
from imfuse.layers.output import stretched, to_unit_range
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="lrrnet",
    title="LRRNet",
    paper=Paper(
        title="LRRNet: A Novel Representation Learning Guided Fusion Network for Infrared and Visible Images",
        venue="IEEE Transactions on Pattern Analysis and Machine Intelligence",
        year=2023,
        doi="10.1109/TPAMI.2023.3268209",
        arxiv="2304.05172",
    ),
    summary="unrolled low-rank and sparse decomposition, 4 steps per image",
    parameters=49_204,
    authors_licence="none given",
    size=SizeRule(
        min_size=2,
        not_tileable="the ranges of both pictures and of the result are those of the whole picture",
    ),
    memory_per_pixel=128,
    options=(
        Option(
            "output",
            ("clip", "stretch", "stretch-cut"),
            "stretch",
            "clip: as computed; stretch: least and largest value become black and white; stretch-cut: the same with "
            "levels truncated, 254 the largest, as in the published pictures",
        ),
    ),
    weights=(
        WeightsSpec(
            name="default",
            file="lrrnet.safetensors",
            sha256="95886b9536ca557fe830cb8e1fa50cad86ccd57e54b17e1a5b507dbc180f80b0",
            recipe="lrrnet_roadscene",
            data="RoadScene train (180 pairs)",
            date="2026-11-22",
            bias=253,
        ),
    ),
)

MAPS = 128
"""Low-rank maps of an image, and the same number of sparse ones."""
STEPS = 4
EPSILON = 1e-5
"""What is added to the range that is divided by: gray levels for an image, values for a truncated result."""


class Step(nn.Module):
    """Correction of the maps z by the residual of the image x: ``W2 (x - W1 z)``."""

    def __init__(self) -> None:
        super().__init__()
        self.explain = Conv3x3(2 * MAPS, 1)
        self.correct = Conv3x3(1, 2 * MAPS)

    def forward(self, image: Tensor, maps: Tensor) -> Tensor:
        """Image (N, 1, H, W) and maps (N, 256, H, W) to the correction (N, 256, H, W)."""
        correction: Tensor = self.correct(image - self.explain(maps))
        return correction


class Encoder(nn.Module):
    """Image (N, 1, H, W) to 128 low-rank and 128 sparse maps; all steps share thresholds and the factor ``keep``."""

    def __init__(self) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.rand(1, 2 * MAPS))
        self.keep = nn.Parameter(torch.rand(1, 1))
        self.first = Conv3x3(1, 2 * MAPS)
        self.steps = nn.ModuleList(Step() for _ in range(STEPS))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Low-rank and sparse maps, (N, 128, H, W) each."""
        threshold = self.threshold[..., None, None]
        maps = shrink(self.first(image), threshold)
        for step in self.steps:
            maps = shrink(self.keep * maps + step(image, maps), threshold)
        low_rank, sparse = maps.chunk(2, dim=1)
        return low_rank, sparse


def shrink(x: Tensor, threshold: Tensor) -> Tensor:
    """Soft threshold: values move towards 0 by ``threshold``, and those within it become 0.

    A negative threshold, as in the published weights, moves values away from 0.

    >>> shrink(torch.tensor([-2.0, 0.5, 2.0]), torch.tensor(1.0)).tolist()
    [-1.0, 0.0, 1.0]
    """
    return x.sign() * (x.abs() - threshold).relu()


class LRRNet(FusionModel):
    """LRRNet. ``output`` brings the result, whose range the training leaves open, into [0, 1]."""

    spec = SPEC

    def __init__(self, output: str = "stretch") -> None:
        super().__init__()
        self.output = output
        self.encoder_ir, self.encoder_vi = Encoder(), Encoder()
        self.low_ir, self.sparse_ir, self.low_vi, self.sparse_vi = (Conv3x3(MAPS, 1) for _ in range(4))
        self.low, self.sparse = Conv3x3(2, 1), Conv3x3(2, 1)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 2."""
        return to_unit_range(self.raw(infrared, visible), self.output, EPSILON)

    def raw(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """The sum of both fused parts, (N, 1, H, W) without a fixed range; the images are normalised first."""
        low, sparse = self.parts(normalised(infrared), normalised(visible))
        return low + sparse

    def parts(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Fused low-rank and fused sparse part of normalised images, (N, 1, H, W) each."""
        low_ir, sparse_ir = self.encoder_ir(infrared)
        low_vi, sparse_vi = self.encoder_vi(visible)
        low = self.low(torch.cat([self.low_ir(low_ir), self.low_vi(low_vi)], dim=1))
        sparse = self.sparse(torch.cat([self.sparse_ir(sparse_ir), self.sparse_vi(sparse_vi)], dim=1))
        return low, sparse

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' ``final_lrr_net_....model``: 52 entries."""
        names: dict[str, str] = {}

        def add(theirs: str, ours: str) -> None:
            names.update({f"{theirs}.conv2d.{part}": f"{ours}.{part}" for part in ("weight", "bias")})

        for theirs, ours in (("get_ls1", "encoder_ir"), ("get_ls2", "encoder_vi")):
            names |= {f"{theirs}.lamj": f"{ours}.threshold", f"{theirs}.lamz": f"{ours}.keep"}
            add(f"{theirs}.conv_W00", f"{ours}.first")
            for step in range(STEPS):
                add(f"{theirs}.lrrblock{step}.conv_Wdz", f"{ours}.steps.{step}.explain")
                add(f"{theirs}.lrrblock{step}.conv_Wdtz", f"{ours}.steps.{step}.correct")
        for theirs, ours in (("ReZx", "low_ir"), ("ReUx", "sparse_ir"), ("ReZy", "low_vi"), ("ReUy", "sparse_vi")):
            add(f"decoder.conv_{theirs}", ours)
        add("decoder.conv_ReL", "low")
        add("decoder.conv_ReH", "sparse")
        return names


def normalised(image: Tensor) -> Tensor:
    """The image stretched so that its least value is 0 and its largest nearly 1."""
    return stretched(image, EPSILON / 255)
