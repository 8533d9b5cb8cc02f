"""VSM-WLS: bases weighted by a visual saliency map, details fused by weighted least squares.

Ma, Zhou, Wang and Zong, "Infrared and visible image fusion based on visual saliency map and weighted least square
optimization", Infrared Physics & Technology 82, 2017. A rolling guidance filter separates three detail layers and the
base. The saliency of a grey level is its rarity in the image; the least squares suppress infrared noise in the details.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imfuse.classical._grey import whole_levels
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel
from imfuse.ops.guided import guided_filter
from imfuse.ops.windows import box, filter_separable, gaussian

SPEC = ModelSpec(
    name="vsm_wls",
    title="VSM-WLS",
    paper=Paper(
        title="Infrared and visible image fusion based on visual saliency map and weighted least square optimization",
        venue="Infrared Physics & Technology",
        year=2017,
        doi="10.1016/j.infrared.2017.02.005",
    ),
    summary="rolling guidance filter of 3 scales; saliency of gray levels, detail by weighted least squares",
    size=SizeRule(
        not_tileable="the histogram of the whole picture says which gray levels are salient",
    ),
    memory_per_pixel=224,
    options=(
        Option(
            "mode",
            ("clean", "faithful"),
            "clean",
            "clean: weak infrared detail gives way to visible detail, as the paper means; faithful: the other way"
            " round, as the authors' script calls it",
        ),
    ),
    training_free=True,
)

SCALES = (2, 4, 8)
ROLLS = 4
RANGE = 0.05**2
LAMBDA = 0.01
SMOOTH = gaussian(13, 2.0)


class VSMWLS(FusionModel):
    """Fusion by the saliency of grey levels and weighted least squares."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.infrared_first = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1], of any size."""
        images = torch.cat([infrared, visible] if self.infrared_first else [visible, infrared], 1)
        details, bases = decompose(images)
        first, second = saliency(images).chunk(2, 1)
        weights = 0.5 + 0.5 * torch.cat([first - second, second - first], 1)
        fused = (weights * bases).sum(1, keepdim=True)
        finest, *coarser = (detail.chunk(2, 1) for detail in details)
        fused = fused + torch.where(finest[0].abs() < finest[1].abs(), finest[1], finest[0])
        for layers in coarser:
            fused = fused + join_details(*layers)
        return fused.clamp(0, 1)


def decompose(x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Detail layers of (N, C, H, W), from the finest to the coarsest, and the base."""
    details = []
    for scale in SCALES:
        smooth = roll(x, scale)
        details.append(x - smooth)
        x = smooth
    base = filter_separable(x, SMOOTH, border="replicate")
    return [*details, x - base], base


def roll(x: Tensor, scale: int) -> Tensor:
    """Rolling guidance filter: removes structures below ``scale`` pixels and restores the edges of larger ones."""
    guide = filter_separable(x, gaussian(2 * math.floor(3 * scale) + 1, float(scale)), border="replicate")
    for _ in range(ROLLS):
        guide = guided_filter(guide, x, scale, RANGE)
    return guide


def saliency(x: Tensor) -> Tensor:
    """Visual saliency map of (N, C, H, W): the distance of each grey level to those of all pixels, scaled to [0, 1]."""
    levels = whole_levels(255 * x).long().flatten(2)
    counts = torch.zeros(*levels.shape[:2], 256, dtype=torch.long, device=x.device)
    counts.scatter_add_(2, levels, torch.ones_like(levels))
    grey = torch.arange(256, device=x.device)
    # Integers are exact on every device, whatever the type of the image.
    distance = (counts[..., None, :] * (grey[:, None] - grey).abs()).sum(-1)
    rarity = distance.gather(2, levels).to(x.dtype).view(x.shape)
    low, high = (end((2, 3), keepdim=True) for end in (rarity.amin, rarity.amax))
    return torch.where(high > low, (rarity - low) / (high - low), 0)


def join_details(first: Tensor, second: Tensor) -> Tensor:
    """Weighted least squares: the stronger of two details, drawn to the first where the second is flat."""
    share = filter_separable((first.abs() < second.abs()).to(first.dtype), SMOOTH, border="symmetric")
    stronger = share * second + (1 - share) * first
    # The system of equations is diagonal, so its solution has a closed form.
    flatness = LAMBDA / (filter_separable(second, box(7), border="replicate").abs() + 1e-6)
    return (stronger + flatness * first) / (1 + flatness)
