"""Ratio of low-pass pyramid: the stronger local contrast at each scale, and the mean of the bases.

Toet, "Image fusion by a ratio of low-pass pyramid", Pattern Recognition Letters 9, 1989, with the selection of the
toolbox of Liu, Liu and Wang, Information Fusion 24, 2015. Where a Laplacian pyramid subtracts the prediction from the
coarser level, this one divides by it: its levels hold local contrasts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.classical._grey import unit
from imfuse.classical._pyramid import decompose, expand
from imfuse.classical._selection import first_is_stronger
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel
from imfuse.ops.padding import crop_to

SPEC = ModelSpec(
    name="ratio_pyramid",
    title="Ratio of low-pass pyramid",
    paper=Paper(
        title="Image fusion by a ratio of low-pass pyramid",
        venue="Pattern Recognition Letters",
        year=1989,
        doi="10.1016/0167-8655(89)90003-2",
    ),
    summary="pyramid of local contrasts, 4 levels; the stronger contrast, the mean of the bases",
    size=SizeRule(
        not_tileable="its coarsest pixels lie 16 apart, counted from the corner of the picture",
    ),
    memory_per_pixel=112,
    options=(
        Option(
            "mode",
            ("clean", "faithful"),
            "clean",
            "faithful: contrasts to 1e-6 of a gray level, bright specks in black areas, frames with black corners",
        ),
    ),
    training_free=True,
)

LEVELS = 4


class RatioPyramid(FusionModel):
    """Fusion by pyramids of ratios."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        faithful = self.zero_corners = mode == "faithful"
        # In grey levels: ratios to almost 0 are huge, those to at least one level are at most 256.
        self.lift, self.epsilon = (0.0, 1e-6) if faithful else (1.0, 0.0)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1], of any size."""
        images = 255 * torch.cat([infrared, visible], 1) + self.lift
        levels, bases = decompose(images, LEVELS, self.zero_corners)
        fused = bases.mean(1, keepdim=True)
        for level in reversed(levels):
            infrared, visible = (level.image / (level.prediction + self.epsilon)).chunk(2, 1)
            from_infrared = first_is_stronger(infrared.abs(), visible.abs(), self.zero_corners)
            contrast = torch.where(from_infrared, infrared, visible)
            fused = crop_to((expand(fused, self.zero_corners) + self.epsilon) * contrast, *level.size)
        return unit(fused - self.lift)
