"""CDDFuse: a Transformer encoder decomposes an image into base and detail features; both are fused and decoded.

Zhao et al., "CDDFuse: Correlation-Driven Dual-Branch Feature Decomposition for Multi-Modality Image Fusion", CVPR 2023.
Base features come from attention over the whole image, detail features from an invertible network. Training makes the
base features of the two images correlate, and their detail features not. It has two stages: encoder and decoder learn
to reconstruct each image, then the whole network learns to fuse.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.errors import ModelError
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.layers.output import to_unit_range
from imfuse.layers.restormer import block_layout, lite_block, restormer_block
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="cddfuse",
    title="CDDFuse",
    paper=Paper(
        title="CDDFuse: Correlation-Driven Dual-Branch Feature Decomposition for Multi-Modality Image Fusion",
        venue="CVPR",
        year=2023,
        doi="10.1109/CVPR52729.2023.00572",
        arxiv="2211.14461",
    ),
    summary="Restormer encoder, base and detail features that are fused apart",
    parameters=1_188_272,
    authors_licence="none given",
    size=SizeRule(
        min_size=2,
        not_tileable="attention weighs channels over the whole picture",
    ),
    uneven="zeros beyond the border",
    memory_per_pixel=3200,
    options=(
        Option("output", ("clip", "stretch"), "clip", "the result as computed, or its range stretched to the whole"),
        Option(
            "skip",
            ("visible", "sum", "none"),
            "visible",
            "image that the decoder adds to: of scans, sum with weights of infrared pairs, none with those of scans",
        ),
    ),
)

DIM = 64
HEADS = 8
BLOCKS = 4
NODES = 3
"""Steps of the invertible network in the encoder; the one in the fusion has a single step."""


class Features(NamedTuple):
    """Base and detail features, (N, 64, H, W) each."""

    base: Tensor
    detail: Tensor


class Bottleneck(nn.Module):
    """Inverted bottleneck: 1x1 convolution to twice the channels, depthwise 3x3, 1x1 back; ReLU6 between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 2 * channels
        self.expand = nn.Conv2d(channels, hidden, 1, bias=False)
        self.local = nn.Conv2d(hidden, hidden, 3, padding=1, padding_mode="reflect", groups=hidden, bias=False)
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        projected: Tensor = self.project(F.relu6(self.local(F.relu6(self.expand(x)))))
        return projected


class DetailNode(nn.Module):
    """Step of the invertible network: after a 1x1 convolution, each half of the channels transforms the other."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(DIM, DIM, 1)
        self.phi, self.rho, self.eta = (Bottleneck(DIM // 2) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 64, H, W) to the same."""
        first, second = self.mix(x).chunk(2, dim=1)
        second = second + self.phi(first)
        first = first * self.rho(second).exp() + self.eta(second)
        return torch.cat([first, second], dim=1)


def restormer(blocks: int) -> nn.Sequential:
    """A sequence of Restormer blocks."""
    return nn.Sequential(*(restormer_block(DIM, HEADS) for _ in range(blocks)))


def detail_network(nodes: int) -> nn.Sequential:
    """A sequence of invertible steps."""
    return nn.Sequential(*(DetailNode() for _ in range(nodes)))


class Encoder(nn.Module):
    """Image (N, 1, H, W) to its features; both images share the encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, DIM, 3, padding=1, bias=False)
        self.shared = restormer(BLOCKS)
        self.base = lite_block(DIM, HEADS)
        self.detail = detail_network(NODES)

    def forward(self, image: Tensor) -> Features:
        """Base and detail features."""
        x = self.shared(self.embed(image))
        return Features(self.base(x), self.detail(x))


class Decoder(nn.Module):
    """Features to the image (N, 1, H, W) in [0, 1]; a skip image is added before the sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(2 * DIM, DIM, 1, bias=False)
        self.blocks = restormer(BLOCKS)
        self.narrow = nn.Conv2d(DIM, DIM // 2, 3, padding=1, bias=False)
        self.image = nn.Conv2d(DIM // 2, 1, 3, padding=1, bias=False)

    def forward(self, features: Features, skip: Tensor | None) -> Tensor:
        """The image of the features."""
        logits = self.logits(features)
        return torch.sigmoid(logits if skip is None else logits + skip)

    def logits(self, features: Features) -> Tensor:
        """The values that are added to the skip image before the sigmoid."""
        x = self.blocks(self.reduce(torch.cat(features, dim=1)))
        logits: Tensor = self.image(F.leaky_relu(self.narrow(x), 0.01))
        return logits


class CDDFuse(FusionModel):
    """CDDFuse. ``skip`` selects the image that the decoder's output is added to."""

    spec = SPEC

    def __init__(self, output: str = "clip", skip: str = "visible") -> None:
        super().__init__()
        self.output, self.skip = output, skip
        self.encoder, self.decoder = Encoder(), Decoder()
        self.fuse_base = lite_block(DIM, HEADS)
        self.fuse_detail = detail_network(1)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 2."""
        fused = self.fuse(self.encoder(infrared), self.encoder(visible))
        return to_unit_range(self.decoder(fused, self.skip_image(infrared, visible)), self.output)

    def fuse(self, infrared: Features, visible: Features) -> Features:
        """Features of both images to the fused ones."""
        return Features(
            self.fuse_base(visible.base + infrared.base), self.fuse_detail(visible.detail + infrared.detail)
        )

    def skip_image(self, infrared: Tensor, visible: Tensor) -> Tensor | None:
        """The image that the decoder's output is added to, if any; ``ModelError`` for an unknown ``skip``."""
        if self.skip not in ("visible", "sum", "none"):
            raise ModelError(f"skip={self.skip!r} is not one of visible, sum, none")
        if self.skip == "none":
            return None
        return visible if self.skip == "visible" else infrared + visible

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' ``CDDFuse_IVF.pth`` or ``CDDFuse_MIF.pth``, each with four networks in one file."""
        encoder, decoder = "DIDF_Encoder", "DIDF_Decoder"
        names = {
            f"{encoder}.patch_embed.proj.weight": "encoder.embed.weight",
            f"{decoder}.reduce_channel.weight": "decoder.reduce.weight",
            f"{decoder}.output.0.weight": "decoder.narrow.weight",
            f"{decoder}.output.2.weight": "decoder.image.weight",
        }
        for i in range(BLOCKS):
            names |= block_layout(f"{encoder}.encoder_level1.{i}", f"encoder.shared.{i}", lite=False)
            names |= block_layout(f"{decoder}.encoder_level2.{i}", f"decoder.blocks.{i}", lite=False)
        names |= block_layout(f"{encoder}.baseFeature", "encoder.base", lite=True)
        names |= block_layout("BaseFuseLayer", "fuse_base", lite=True)
        nodes = {f"{encoder}.detailFeature.net.{i}": f"encoder.detail.{i}" for i in range(NODES)}
        for theirs, ours in (nodes | {"DetailFuseLayer.net.0": "fuse_detail.0"}).items():
            names |= {f"{theirs}.shffleconv.{part}": f"{ours}.mix.{part}" for part in ("weight", "bias")}
            for part in ("phi", "rho", "eta"):
                for place, conv in ((0, "expand"), (3, "local"), (5, "project")):
                    names[f"{theirs}.theta_{part}.bottleneckBlock.{place}.weight"] = f"{ours}.{part}.{conv}.weight"
        return names
