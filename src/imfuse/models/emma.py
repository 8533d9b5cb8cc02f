"""EMMA: a U-shaped fusion network of channel attention and residual blocks, trained by equivariance.

Zhao et al., "Equivariant Multi-Modality Image Fusion", CVPR 2024. Training has two stages. First, two sensing networks
learn to predict from a fused image what each camera recorded. Then the fusion network learns that the sensing networks
recover its inputs from its output, and that fusion commutes with shifts, rotations and reflections of the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import Span
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.layers.blocks import Conv3x3
from imfuse.layers.output import to_unit_range
from imfuse.layers.restormer import block_layout, lite_block
from imfuse.models._base import FusionModel, Prediction
from imfuse.ops.padding import crop_to, pad_to

SPEC = ModelSpec(
    name="emma",
    title="EMMA",
    paper=Paper(
        title="Equivariant Multi-Modality Image Fusion",
        venue="CVPR",
        year=2024,
        doi="10.1109/CVPR52733.2024.02448",
        arxiv="2305.11443",
    ),
    summary="U-shaped fuser of channel attention and residual blocks",
    parameters=1_517_657,
    authors_licence="none given",
    size=SizeRule(
        min_size=16,
        not_tileable="attention weighs channels over the whole picture",
    ),
    uneven="zeros beyond the border",
    memory_per_pixel=600,
    options=(
        Option("output", ("clip", "stretch"), "clip", "the result as computed, or its range stretched to the whole"),
        Option(
            "parts",
            ("whole", "released"),
            "whole",
            "released: up to four parts where sides are no multiples of 32, as the authors' test program does",
        ),
        Option("sensing", (False, True), False, "on: with the sensing networks, which serve training alone"),
    ),
    training_parts=("sensing_ir.", "sensing_vi."),
)

HEADS = 8
WIDTHS = (8, 16, 32, 32)
SENSING_WIDTHS = (64, 128, 256, 512, 1024)
WHOLE = SizeRule(8)
"""The deepest of four scales has 1 / 8 of the size."""
RELEASED_STEP = 32


class ResidualBlock(nn.Module):
    """Residual block of two 3x3 convolutions with mirrored borders."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = Conv3x3(width, width), Conv3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        rest: Tensor = self.second(F.relu(self.first(x)))
        return x + rest


class Block(nn.Module):
    """Restormer-CNN block: channel attention and residual blocks in parallel, joined by a convolution."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.embed = Conv3x3(inputs, width, bias=False)
        self.wide = lite_block(width, HEADS, mirrored=True)
        self.near = nn.Sequential(ResidualBlock(width), ResidualBlock(width))
        self.join = Conv3x3(2 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, width, H, W)."""
        x = self.embed(x)
        joined: Tensor = self.join(torch.cat([self.wide(x), self.near(x)], dim=1))
        return joined


class Encoder(nn.Module):
    """Image (N, 1, H, W) to features at four scales."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(a, b) for a, b in zip((1, *WIDTHS), WIDTHS, strict=False))
        self.halve = nn.ModuleList(Conv3x3(width, width, stride=2, bias=False) for width in WIDTHS[:-1])

    def forward(self, image: Tensor) -> list[Tensor]:
        """The features, from the finest scale to the coarsest."""
        features = [self.blocks[0](image)]
        for halve, block in zip(self.halve, self.blocks[1:], strict=True):
            features.append(block(halve(features[-1])))
        return features


class Enlarge(nn.Module):
    """Transposed convolution to twice the size, then ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, 2 H, 2 W)."""
        return F.relu(self.conv(x))


class Sensing(nn.Module):
    """Sensing network: a U-Net of five levels that predicts the image of one camera from the fused image.

    (N, 1, H, W) in [0, 1] to the same, with H and W multiples of 16.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = SENSING_WIDTHS
        self.down = nn.ModuleList(double_conv(a, b) for a, b in zip((1, *widths), widths, strict=False))
        upwards = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(Enlarge(a, b) for a, b in upwards)
        self.up = nn.ModuleList(double_conv(2 * b, b) for _, b in upwards)
        self.image = nn.Conv2d(widths[0], 1, 3, padding=1)

    def forward(self, fused: Tensor) -> Tensor:
        """The predicted image of the camera."""
        features = [self.down[0](fused)]
        for block in self.down[1:]:
            features.append(block(F.max_pool2d(features[-1], 2)))
        x = features.pop()
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            x = block(torch.cat([enlarge(x), features.pop()], dim=1))
        return torch.sigmoid(self.image(x))


def double_conv(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution, batch norm and ReLU, twice."""
    layers: list[nn.Module] = []
    for first in (inputs, outputs):
        layers += [nn.Conv2d(first, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class SensedPrediction(Prediction):
    """The fused image, and the images of both cameras that the sensing networks predict from it, (N, 1, H, W) each."""

    infrared: Tensor
    visible: Tensor


class EMMA(FusionModel):
    """EMMA's fusion network; ``sensing`` adds the sensing networks, which training uses."""

    spec = SPEC

    def __init__(self, output: str = "clip", parts: str = "whole", sensing: bool = False) -> None:
        super().__init__()
        self.output, self.in_parts = output, parts == "released"
        self.encoder_ir, self.encoder_vi = Encoder(), Encoder()
        self.fuse = nn.ModuleList(Block(2 * width, width) for width in WIDTHS)
        self.decode = nn.ModuleList([Block(32, 32), Block(64, 32), Block(32, 16), Block(16, 8)])
        self.enlarge = nn.ModuleList([Enlarge(32, 32), Enlarge(32, 16), Enlarge(16, 8)])
        self.image = Conv3x3(8, 1)
        if sensing:
            self.sensing_ir, self.sensing_vi = Sensing(), Sensing()

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 16."""
        fuse = self.fuse_parts if self.in_parts and min(infrared.shape[2:]) >= RELEASED_STEP else self.fuse_whole
        return to_unit_range(fuse(infrared, visible), self.output)

    def predict(self, infrared: Tensor, visible: Tensor) -> Prediction:
        """The fused image and, with sensing networks, their predictions; H and W are multiples of 16 then."""
        fused = self(infrared, visible)
        if not hasattr(self, "sensing_ir"):
            return Prediction(fused)
        return SensedPrediction(fused, self.sensing_ir(fused), self.sensing_vi(fused))

    def fuse_whole(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """The fused image before :func:`to_unit_range`; sides that are no multiples of 8 are padded by mirroring."""
        height, width = infrared.shape[2:]
        return crop_to(torch.sigmoid(self.logits(pad_to(infrared, WHOLE), pad_to(visible, WHOLE))), height, width)

    def fuse_parts(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """:meth:`fuse_whole` in parts, as the authors' test program does.

        The first part is the largest from the top left whose sides are multiples of 32. What remains at the right, at
        the bottom and in the corner comes from further parts of the same sides, shifted to end there.
        """
        fused = torch.empty_like(infrared)
        rows, columns = (_spans(side) for side in infrared.shape[2:])
        for row in rows:
            for column in columns:
                area = (..., row.with_halo, column.with_halo)
                part = torch.sigmoid(self.logits(infrared[area], visible[area]))
                fused[..., row.core, column.core] = part[..., row.inner, column.inner]
        return fused

    def logits(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """The fused image before its sigmoid; H, W are multiples of 8."""
        pairs = zip(self.fuse, self.encoder_ir(infrared), self.encoder_vi(visible), strict=True)
        *skips, x = (fuse(torch.cat([of_ir, of_vi], dim=1)) for fuse, of_ir, of_vi in pairs)
        x = self.decode[0](x)
        for enlarge, decode in zip(self.enlarge, self.decode[1:], strict=True):
            x = decode(torch.cat([enlarge(x), skips.pop()], dim=1))
        logits: Tensor = self.image(x)
        return logits

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' ``EMMA.pth``: 347 entries."""
        blocks = {f"{side}_en_{k + 1}": f"encoder_{ours}.blocks.{k}" for side, ours in _SIDES for k in range(4)}
        blocks |= {f"f_{k + 1}": f"fuse.{k}" for k in range(4)}
        blocks |= {f"de_{4 - k}": f"decode.{k}" for k in range(4)}
        names = {
            f"{side}_down{k + 1}.weight": f"encoder_{ours}.halve.{k}.weight" for side, ours in _SIDES for k in range(3)
        }
        names |= {f"up{4 - k}.0.weight": f"enlarge.{k}.conv.weight" for k in range(3)}
        names |= {f"last.0.{part}": f"image.{part}" for part in ("weight", "bias")}
        for theirs, ours in blocks.items():
            names |= {f"{theirs}.embed.weight": f"{ours}.embed.weight", f"{theirs}.FFN.weight": f"{ours}.join.weight"}
            names |= block_layout(f"{theirs}.GlobalFeature", f"{ours}.wide", lite=True)
            for i in range(2):
                for place, conv in ((0, "first"), (2, "second")):
                    for part in ("weight", "bias"):
                        published = f"{theirs}.LocalFeature.Extraction.{i}.conv.{place}.{part}"
                        names[published] = f"{ours}.near.{i}.{conv}.{part}"
        return names


_SIDES = (("I", "ir"), ("V", "vi"))


def _spans(side: int) -> list[Span]:
    """The parts of an axis, each with the core that it contributes."""
    whole = side - side % RELEASED_STEP
    spans = [Span(slice(0, whole), slice(0, whole))]
    if whole < side:
        spans.append(Span(slice(whole, side), slice(side - whole, side)))
    return spans
