"""Laplacian pyramid: the stronger detail at each scale, and the mean of the bases.

Burt and Adelson, "The Laplacian pyramid as a compact image code", IEEE Transactions on Communications 31, 1983, with
the selection of the toolbox of Liu, Liu and Wang, Information Fusion 24, 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.classical._pyramid import decompose, expand
from imfuse.classical._selection import first_is_stronger
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel
from imfuse.ops.padding import crop_to

SPEC = ModelSpec(
    name="laplacian_pyramid",
    title="Laplacian pyramid",
    paper=Paper(
        title="The Laplacian pyramid as a compact image code",
        venue="IEEE Transactions on Communications",
        year=1983,
        doi="10.1109/TCOM.1983.1095851",
    ),
    summary="Laplacian pyramid of 4 levels; the stronger detail, the mean of the bases",
    size=SizeRule(
        not_tileable="its coarsest pixels lie 16 apart, counted from the corner of the picture",
    ),
    memory_per_pixel=96,
    options=(Option("mode", ("clean", "faithful"), "clean", "faithful: frames with black corners, as published"),),
    training_free=True,
)

LEVELS = 4


class LaplacianPyramid(FusionModel):
    """Fusion by Laplacian pyramids."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.zero_corners = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1], of any size."""
        levels, bases = decompose(torch.cat([infrared, visible], 1), LEVELS, self.zero_corners)
        fused = bases.mean(1, keepdim=True)
        for level in reversed(levels):
            infrared, visible = (level.image - level.prediction).chunk(2, 1)
            from_infrared = first_is_stronger(infrared.abs(), visible.abs(), self.zero_corners)
            detail = torch.where(from_infrared, infrared, visible)
            fused = crop_to(expand(fused, self.zero_corners) + detail, *level.size)
        return fused.clamp(0, 1)
