"""TIF: two-scale fusion, with details weighted by visual saliency.

Bavirisetti and Dhuli, "Two-scale image fusion of visible and infrared images using saliency detection", Infrared
Physics & Technology 2016. The base is a mean over 35x35 pixels. The saliency that weights the details is the squared
difference between that mean and the median of 3x3 pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.classical._grey import grey_levels, unit
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel
from imfuse.ops.windows import Border, box, filter_separable, pad

SPEC = ModelSpec(
    name="tif",
    title="TIF",
    paper=Paper(
        title="Two-scale image fusion of visible and infrared images using saliency detection",
        venue="Infrared Physics & Technology",
        year=2016,
        doi="10.1016/j.infrared.2016.01.009",
    ),
    summary="35x35 mean and the detail above it, weighted by mean against median",
    size=SizeRule(
        halo=17,
    ),
    memory_per_pixel=144,
    options=(Option("mode", ("clean", "faithful"), "clean", "faithful: borders and 0/0 of the published program"),),
    training_free=True,
)

MEAN_SIZE = 35


class TIF(FusionModel):
    """Two-scale fusion. In mode ``faithful`` the mean has a circular border and the median a black one."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.faithful = mode == "faithful"
        self.mean_border: Border = "circular" if self.faithful else "replicate"
        self.median_border: Border = "zero" if self.faithful else "replicate"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        images = torch.stack([grey_levels(image, self.faithful) for image in (infrared, visible)])
        flat = images.flatten(0, 1)
        base = filter_separable(flat, box(MEAN_SIZE), border=self.mean_border).view_as(images)
        median = median3x3(pad(flat, 1, 1, self.median_border)).view_as(images)
        detail = images - base
        saliency = (base - median).square()
        total = saliency.sum(0)
        # In flat regions both saliencies are 0; the published 0/0 becomes black.
        weight = torch.where(total > 0, saliency / total, 0.5)
        fused = (weight * detail).sum(0) + base.mean(0)
        return unit(torch.where(total > 0, fused, 0) if self.faithful else fused)


def median3x3(x: Tensor) -> Tensor:
    """Median over 3x3 pixels, (N, C, H + 2, W + 2) to (N, C, H, W).

    Each column of three pixels is sorted once for three windows. The median of a window is the median of the largest
    of the low, the median of the middle and the smallest of the high values of its columns.
    """
    top, middle, bottom = x[..., :-2, :], x[..., 1:-1, :], x[..., 2:, :]
    low, high = torch.minimum(top, middle), torch.maximum(top, middle)
    high, bottom = torch.maximum(high, bottom), torch.minimum(high, bottom)
    low, middle = torch.minimum(low, bottom), torch.maximum(low, bottom)
    left, centre, right = slice(None, -2), slice(1, -1), slice(2, None)
    lows = torch.maximum(torch.maximum(low[..., left], low[..., centre]), low[..., right])
    highs = torch.minimum(torch.minimum(high[..., left], high[..., centre]), high[..., right])
    return median_of_three(lows, median_of_three(*(middle[..., part] for part in (left, centre, right))), highs)


def median_of_three(first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """Median of three tensors, element by element."""
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    return torch.maximum(low, torch.minimum(high, third))
