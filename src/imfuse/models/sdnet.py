"""SDNet: two small dense streams are squeezed into one image, from which training decomposes both sources again.

Zhang and Ma, "SDNet: A Versatile Squeeze-and-Decomposition Network for Real-Time Image Fusion", IJCV 2021. Fusion needs
the squeeze network alone; the decomposition network makes the fused image keep the content of its sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
from imfuse.layers.output import to_unit_range
from imfuse.models._base import FusionModel, Prediction

SPEC = ModelSpec(
    name="sdnet",
    title="SDNet",
    paper=Paper(
        title="SDNet: A Versatile Squeeze-and-Decomposition Network for Real-Time Image Fusion",
        venue="International Journal of Computer Vision",
        year=2021,
        doi="10.1007/s11263-021-01501-8",
    ),
    summary="two small dense streams squeezed into one image",
    parameters=67_091,
    authors_licence="MIT",
    size=SizeRule(
        # a 5x5 and three 3x3 convolutions in a row
        halo=5,
    ),
    uneven="zeros beyond the border",
    memory_per_pixel=160,
    options=(
        Option(
            "output",
            ("clip", "stretch"),
            "clip",
            "clip: as computed; stretch: least and largest value become black and white, as in the published pictures",
            whole=("stretch",),
        ),
        Option(
            "levels",
            ("exact", "published"),
            "exact",
            "published: gray levels as the authors' reader gave them, 22 of the 256 one too low; for comparisons only",
        ),
    ),
    weights=(
        WeightsSpec(
            name="default",
            file="sdnet.safetensors",
            sha256="30f108cb40817bb0f2275d46e57af1362e0cbb3a0891acca70f6db6fbfa11ca3",
            recipe="sdnet_roadscene",
            data="RoadScene train (180 pairs)",
            date="2026-11-22",
            bias=46,
        ),
    ),
)

MAPS = 16
SLOPE = 0.2
"""Slope of the leaky ReLU below 0."""


@dataclass(frozen=True)
class Decomposition(Prediction):
    """The fused image, and both sources decomposed from it, (N, 1, H, W) in [-1, 1] each, not clipped."""

    infrared: Tensor
    visible: Tensor


class Stream(nn.Module):
    """One image to four sets of 16 maps; each layer takes all maps before it, those of the first layer first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, MAPS, 5, padding=2)
        self.dense = nn.ModuleList(nn.Conv2d(MAPS * count, MAPS, 3, padding=1) for count in (1, 2, 3))

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, H, W) in [-1, 1] to (N, 64, H, W)."""
        maps = F.leaky_relu(self.first(image), SLOPE)
        for conv in self.dense:
            maps = torch.cat([maps, F.leaky_relu(conv(maps), SLOPE)], dim=1)
        return maps


class Source(nn.Module):
    """128 maps of the fused image to one of its sources."""

    def __init__(self) -> None:
        super().__init__()
        widths = (128, 16, 4, 1)
        pairs = pairwise(widths)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, 128, H, W) to (N, 1, H, W) in [-1, 1]."""
        for conv in self.convs[:-1]:
            maps = F.leaky_relu(conv(maps), SLOPE)
        return torch.tanh(self.convs[-1](maps))


class SDNet(FusionModel):
    """SDNet. ``output`` brings the result into [0, 1], ``levels`` selects how grey levels are read."""

    spec = SPEC

    def __init__(self, output: str = "clip", levels: str = "exact") -> None:
        super().__init__()
        self.output, self.levels = output, levels
        self.infrared, self.visible = Stream(), Stream()
        self.squeeze = nn.Conv2d(128, 1, 1)
        self.unfold = nn.Conv2d(1, 128, 1)
        self.to_infrared, self.to_visible = Source(), Source()
        self.apply(_initialise)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        return self.to_picture(self.fuse(*self.prepare(infrared, visible)))

    def prepare(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Both images in [-1, 1], the range of the network."""
        if self.levels == "published":
            infrared, visible = published_levels(infrared), published_levels(visible)
        return 2 * infrared - 1, 2 * visible - 1

    def fuse(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Images in [-1, 1] to the fused one in [-1, 1], (N, 1, H, W) each."""
        # The maps of the two streams alternate: the first 16 of each, the second 16 of each ...
        parts = zip(
            *(stream.chunk(4, dim=1) for stream in (self.infrared(infrared), self.visible(visible))), strict=True
        )
        return torch.tanh(self.squeeze(torch.cat([maps for pair in parts for maps in pair], dim=1)))

    def to_picture(self, fused: Tensor) -> Tensor:
        """The fused image in [-1, 1] to [0, 1]."""
        # Stretching needs all digits of values that may lie close together, so nothing is added before.
        return to_unit_range(fused if self.output == "stretch" else (fused + 1) / 2, self.output)

    def decompose(self, fused: Tensor) -> tuple[Tensor, Tensor]:
        """Infrared and visible image, decomposed from the fused one, (N, 1, H, W) in [-1, 1] each."""
        maps = F.leaky_relu(self.unfold(fused), SLOPE)
        return self.to_infrared(maps), self.to_visible(maps)

    def predict(self, infrared: Tensor, visible: Tensor) -> Decomposition:
        """The fused image and both sources decomposed from it."""
        fused = self.fuse(*self.prepare(infrared, visible))
        return Decomposition(self.to_picture(fused), *self.decompose(fused))

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' TensorFlow checkpoints; in that of medical pairs "ir" is the functional scan."""
        layers = {"layer5_fuse/{}5_fuse": "squeeze", "layer6_sept/{}6_sept": "unfold"}
        for short, side in (("ir", "infrared"), ("vi", "visible")):
            layers[f"layer1_{short}/{{}}1_{short}"] = f"{side}.first"
            layers |= {f"layer{i + 2}_{short}/{{}}{i + 2}_{short}": f"{side}.dense.{i}" for i in range(3)}
            layers |= {f"layer{i + 7}_{short}/{{}}{i + 7}_{short}": f"to_{side}.convs.{i}" for i in range(3)}
        parts = {"w": "weight", "b": "bias"}
        return {
            f"fusion_model/{theirs.format(letter)}": f"{ours}.{part}"
            for theirs, ours in layers.items()
            for letter, part in parts.items()
        }


def published_levels(image: Tensor) -> Tensor:
    """The image in the grey levels of the authors' reader: luminance in fixed-point arithmetic, truncated to 8 bits."""
    level = (255 * image).round()
    red, green, blue = ((64 * weight * level + 0.5).floor() for weight in (0.299, 0.587, 0.114))
    return ((red + green + blue) / 64).floor() / 255


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=1e-3, a=-2e-3, b=2e-3)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
