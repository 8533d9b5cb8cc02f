"""TE-MST: target-enhanced multiscale transform, a Laplacian pyramid whose base keeps infrared targets bright.

Chen, Li, Luo, Mei and Ma, "Infrared and visible image fusion based on target-enhanced multiscale transform
decomposition", Information Sciences 508, 2020. Details are selected by their magnitude; the base is the infrared one
where that is bright.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from imfuse.classical._pyramid import decompose, expand
from imfuse.classical._selection import take_larger
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel
from imfuse.ops.padding import crop_to

SPEC = ModelSpec(
    name="te_mst",
    title="TE-MST",
    paper=Paper(
        title="Infrared and visible image fusion based on target-enhanced multiscale transform decomposition",
        venue="Information Sciences",
        year=2020,
        doi="10.1016/j.ins.2019.08.066",
    ),
    summary="Laplacian pyramid; the base is infrared where that is bright",
    size=SizeRule(
        not_tileable="the brightest pixel of the infrared base weighs all others",
    ),
    memory_per_pixel=64,
    options=(
        Option(
            "preset",
            ("authors", "refinefuse"),
            "authors",
            "authors: 4 levels, lambda 40, as in their pictures; refinefuse: 1 level, lambda 10, MST in that article",
        ),
        Option("mode", ("clean", "faithful"), "clean", "faithful: frames with black corners, as published"),
    ),
    training_free=True,
)

PRESETS: Final = {"authors": (4, 40.0), "refinefuse": (1, 10.0)}
"""Levels of the pyramid and lambda, which regulates the weight of the infrared base."""


class TEMST(FusionModel):
    """TE-MST with the levels and the lambda of a ``preset``."""

    spec = SPEC

    def __init__(self, preset: str = "authors", mode: str = "clean") -> None:
        super().__init__()
        self.levels, self.share = PRESETS[preset]
        self.zero_corners = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1], of any size."""
        levels, bases = decompose(torch.cat([infrared, visible], 1), self.levels, self.zero_corners)
        base_ir, base_vi = bases.chunk(2, 1)
        fused = enhance_targets(base_ir, base_vi, self.share)
        for level in reversed(levels):
            detail = take_larger(*(level.image - level.prediction).chunk(2, 1))
            fused = crop_to(expand(fused, self.zero_corners) + detail, *level.size)
        return fused.clamp(0, 1)


def enhance_targets(infrared: Tensor, visible: Tensor, share: float) -> Tensor:
    """Fused base (N, 1, H, W): infrared where that is bright, visible elsewhere; ``share`` is lambda."""
    brightness = infrared.abs()
    brightest = brightness.amax((1, 2, 3), keepdim=True)
    saliency = torch.where(brightest > 0, brightness / brightest, 0)
    weight = torch.atan(share * saliency) / math.atan(share)
    return weight * infrared + (1 - weight) * visible
