"""RFN-Nest: a nested auto-encoder of four scales, and a residual fusion network (RFN) for each scale.

Li, Wu and Kittler, "RFN-Nest: An end-to-end residual fusion network for infrared and visible images", Information
Fusion 73 (2021). Training has two stages: the auto-encoder learns to reconstruct single images; then it is fixed, and
the residual fusion networks learn.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.errors import ModelError
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.layers.blocks import Conv3x3
from imfuse.layers.output import to_unit_range
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="rfn_nest",
    title="RFN-Nest",
    paper=Paper(
        title="RFN-Nest: An end-to-end residual fusion network for infrared and visible images",
        venue="Information Fusion",
        year=2021,
        doi="10.1016/j.inffus.2021.02.023",
        arxiv="2103.04286",
    ),
    summary="nested auto-encoder of four scales with residual fusion networks",
    parameters=7_524_249,
    authors_licence="none given",
    size=SizeRule(
        min_size=16,
        not_tileable="the range of the result is that of the whole picture",
    ),
    memory_per_pixel=4000,
    options=(
        Option(
            "rule",
            ("rfn", "sum", "average", "max", "spatial", "nuclear"),
            "rfn",
            "how features are joined: by the trained networks, or by a fixed rule",
        ),
        Option("output", ("clip", "stretch"), "stretch", "the result as computed, or its range stretched to the whole"),
        Option(
            "parts", ("whole", "quarters"), "whole", "quarters: as released, four parts of pictures above 512 pixels"
        ),
    ),
)

WIDTHS = (64, 112, 160, 208)
WHITE = 255.0
"""The network works on grey levels from 0 to 255."""
FIXED_RULES = ("sum", "average", "max", "spatial", "nuclear")
LARGE, BEYOND = 512, (3, 2)
"""Side above which ``parts="quarters"`` halves each axis, and how far the first and the second half overlap, in pixels
beyond the middle."""


class Unit(nn.Module):
    """1x1 or 3x3 convolution with a mirrored border, then ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3) -> None:
        super().__init__()
        self.conv = Conv3x3(inputs, outputs) if size == 3 else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        return F.relu(self.conv(x))


class Block(nn.Sequential):
    """3x3 convolution to half the channels, then 1x1 convolution to the output channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(Unit(inputs, inputs // 2), Unit(inputs // 2, outputs, 1))


class Node(Block):
    """A block of the decoder, of ``fine`` channels of its scale and ``deep`` upsampled ones of the next coarser."""

    def __init__(self, fine: int, deep: int, outputs: int) -> None:
        super().__init__(fine + deep, outputs)
        self.fine = fine

    def forward(self, deep: Tensor, *maps: Tensor) -> Tensor:
        """Deep (N, deep, h, w) and fine features (N, C, H, W), ``fine`` channels in all, to (N, outputs, H, W)."""
        narrow, widen = self
        joined: Tensor = widen(narrow(concatenate_upsampled(deep, *maps)))
        return joined


class Encoder(nn.Module):
    """Image in grey levels (N, 1, H, W) to features at four scales, (N, WIDTHS[k], H / 2^k, W / 2^k)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Unit(1, 16, 1)
        self.levels = nn.ModuleList(Block(a, b) for a, b in zip((16, *WIDTHS), WIDTHS, strict=False))

    def forward(self, image: Tensor) -> list[Tensor]:
        """The features, from the finest scale to the coarsest."""
        features = [self.levels[0](self.first(image))]
        for level in self.levels[1:]:
            features.append(level(F.max_pool2d(features[-1], 2)))
        return features


class Decoder(nn.Module):
    """Nest decoder: features at four scales to an image in grey levels; all coarser scales refine each, as in U-Net++.

    Node ``x21`` is the first of scale 2: rows are scales, columns the successive refinements.
    """

    def __init__(self) -> None:
        super().__init__()
        w1, w2, w3, w4 = WIDTHS
        self.x11, self.x21, self.x31 = Node(w1, w2, w1), Node(w2, w3, w2), Node(w3, w4, w3)
        self.x12, self.x22 = Node(2 * w1, w2, w1), Node(2 * w2, w3, w2)
        self.x13 = Node(3 * w1, w2, w1)
        self.image = Unit(w1, 1, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """The image (N, 1, H, W), non-negative and without an upper bound."""
        f1, f2, f3, f4 = features
        x11 = self.x11(f2, f1)
        x21 = self.x21(f3, f2)
        x12 = self.x12(x21, f1, x11)
        x31 = self.x31(f4, f3)
        x22 = self.x22(x31, f2, x21)
        image: Tensor = self.image(self.x13(x22, f1, x11, x12))
        return image


def concatenate_upsampled(deep: Tensor, *fine: Tensor) -> Tensor:
    """Features of one scale and, last, those of the next coarser one, each pixel of which is repeated to 2x2."""
    upsampled = F.interpolate(deep, scale_factor=2, mode="nearest")
    height, width = fine[0].shape[2:]
    rows, columns = height - upsampled.shape[2], width - upsampled.shape[3]
    if rows or columns:
        # Pooling drops the last row or column of an odd side.
        upsampled = F.pad(upsampled, (0, columns, 0, rows), mode="reflect")
    return torch.cat([*fine, upsampled], dim=1)


class ResidualFusion(nn.Module):
    """Residual fusion network: a convolution of both features, to which a deeper branch adds a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.guess = Unit(2 * width, width)
        self.infrared, self.visible = Unit(width, width), Unit(width, width)
        self.rest = nn.Sequential(Unit(2 * width, width, 1), Unit(width, width), Unit(width, width))

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Features of both images, (N, C, H, W) each, to fused ones, (N, C, H, W)."""
        residual: Tensor = self.rest(torch.cat([self.infrared(infrared), self.visible(visible)], dim=1))
        guess: Tensor = self.guess(torch.cat([infrared, visible], dim=1))
        return guess + residual


def fuse_fixed(infrared: Tensor, visible: Tensor, rule: str) -> Tensor:
    """Fuses features (N, C, H, W) of both images by a rule that is not learned.

    ``spatial`` weights pixels by the mean of their channels, ``nuclear`` channels by their nuclear norm, the sum of the
    singular values of their map. Raises ``ModelError`` for an unknown rule.
    """
    if rule not in FIXED_RULES:
        raise ModelError(f"unknown fusion rule {rule!r}; there are {', '.join(FIXED_RULES)}")
    if rule == "sum":
        return infrared + visible
    if rule == "average":
        return (infrared + visible) / 2
    if rule == "max":
        return torch.maximum(infrared, visible)
    if rule == "spatial":
        # The softmax of both means, in the form that does not overflow.
        weight = torch.sigmoid(infrared.mean(1, keepdim=True) - visible.mean(1, keepdim=True))
    else:
        first, second = (torch.linalg.svdvals(x).sum(-1)[..., None, None] for x in (infrared, visible))
        weight = first / (first + second + 1e-10)
    return weight * infrared + (1 - weight) * visible


class RFNNest(FusionModel):
    """RFN-Nest. ``rule`` fuses the features; ``output`` brings the result, whose range is open, into [0, 1]."""

    spec = SPEC

    def __init__(self, rule: str = "rfn", output: str = "stretch", parts: str = "whole") -> None:
        super().__init__()
        self.rule, self.output, self.in_quarters = rule, output, parts == "quarters"
        self.encoder = Encoder()
        self.fusion = nn.ModuleList(ResidualFusion(width) for width in WIDTHS)
        self.decoder = Decoder()

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 16."""
        fuse = self.fuse_quarters if self.in_quarters and max(infrared.shape[2:]) > LARGE else self.raw
        return to_unit_range(fuse(infrared, visible), self.output)

    def raw(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """The fused image (N, 1, H, W), where 1 is white, without an upper bound."""
        pairs = zip(self.encode(infrared), self.encode(visible), strict=True)
        return self.decode([self.fuse(level, *pair) for level, pair in enumerate(pairs)])

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features at four scales of an image (N, 1, H, W) in [0, 1]."""
        features: list[Tensor] = self.encoder(WHITE * image)
        return features

    def decode(self, features: list[Tensor]) -> Tensor:
        """Features at four scales to the image (N, 1, H, W), where 1 is white."""
        image: Tensor = self.decoder(features) / WHITE
        return image

    def reconstruct(self, image: Tensor) -> Tensor:
        """An image (N, 1, H, W) encoded and decoded: the auto-encoder that stage 1 trains."""
        return self.decode(self.encode(image))

    def fuse(self, level: int, infrared: Tensor, visible: Tensor) -> Tensor:
        """Features of both images at one scale, (N, C, h, w) each, to fused ones."""
        if self.rule != "rfn":
            return fuse_fixed(infrared, visible, self.rule)
        fused: Tensor = self.fusion[level](infrared, visible)
        return fused

    def fuse_quarters(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """:meth:`raw` in four parts that overlap in the middle, where the mean counts."""
        total, count = torch.zeros_like(infrared), torch.zeros_like(infrared)
        rows, columns = (
            (slice(0, side // 2 + BEYOND[0]), slice(side // 2 - BEYOND[1], side)) for side in infrared.shape[2:]
        )
        for row in rows:
            for column in columns:
                part = (..., row, column)
                total[part] += self.raw(infrared[part], visible[part])
                count[part] += 1
        return total / count

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' two files, merged: nestfuse_gray_1e2 and Final_rfn_alpha_700_..., 92 entries."""
        units = {"conv0": "encoder.first", "conv_out": "decoder.image"}
        for level in range(4):
            units |= {f"DB{level + 1}_0.denseblock.{i}": f"encoder.levels.{level}.{i}" for i in range(2)}
        for node in ("11", "21", "31", "12", "22", "13"):
            units |= {f"DB{node[0]}_{node[1]}.denseblock.{i}": f"decoder.x{node}.{i}" for i in range(2)}
        for level in range(4):
            theirs, ours = f"fusion_block{level + 1}", f"fusion.{level}"
            units |= {
                f"{theirs}.conv_fusion": f"{ours}.guess",
                f"{theirs}.conv_ir": f"{ours}.infrared",
                f"{theirs}.conv_vi": f"{ours}.visible",
            }
            units |= {f"{theirs}.bottelblock.{i}": f"{ours}.rest.{i}" for i in range(3)}
        return {
            f"{theirs}.conv2d.{part}": f"{ours}.conv.{part}"
            for theirs, ours in units.items()
            for part in ("weight", "bias")
        }
