"""GFF: two scales, fused with saliency weights that guided filters align with the edges of the images.

Li, Kang and Hu, "Image fusion with guided filtering", IEEE Transactions on Image Processing 22(7), 2013. Each image is
split into a base, its mean, and a detail layer. Masks show which image is more salient at each pixel; guided filters
turn them into weights, strongly smoothed for the bases and lightly for the details.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.classical._grey import whole_levels
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel
from imfuse.ops.guided import guided_filter
from imfuse.ops.windows import box, filter_separable, gaussian, pad

SPEC = ModelSpec(
    name="gff",
    title="GFF",
    paper=Paper(
        title="Image fusion with guided filtering",
        venue="IEEE Transactions on Image Processing",
        year=2013,
        doi="10.1109/TIP.2013.2244222",
    ),
    summary="two scales, weighted by saliency that guided filters fit to the edges",
    size=SizeRule(
        # two windows of radius 45, the Gaussian of radius 5 and the Laplacian
        halo=96,
    ),
    memory_per_pixel=208,
    options=(
        Option("mode", ("clean", "faithful"), "clean", "faithful: weights of 8 bits; rounding decides flat areas"),
    ),
    training_free=True,
)

# Radius of the guided filter in pixels, and its epsilon for images in [0, 1].
BASE = (45, 0.3)
DETAIL = (7, 1e-6)
TINY = 1e-12
TIE = 1e-6
"""Saliencies this close count as equal: otherwise rounding would decide which image a flat area comes from."""


class GFF(FusionModel):
    """Fusion by guided filtering. Where both images are equally salient, the visible one counts."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.faithful = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1], of any size."""
        images = torch.cat([visible, infrared], 1)
        mask = self._visible_mask(*saliency(images).chunk(2, 1))
        masks = torch.cat([mask, 1 - mask], 1)
        bases = filter_separable(images, box(31), border="replicate")
        fused = self._weights(images, masks, *BASE) * bases + self._weights(images, masks, *DETAIL) * (images - bases)
        return fused.sum(1, keepdim=True).clamp(0, 1)

    def _visible_mask(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Mask (N, 1, H, W): 1 where the visible image is at least as salient, else 0."""
        if not self.faithful:
            return (visible >= infrared - TIE).to(visible.dtype)
        visible, infrared = visible + TINY, infrared + TINY
        total = visible + infrared
        return (visible / total >= infrared / total).to(visible.dtype)

    def _weights(self, images: Tensor, masks: Tensor, radius: int, epsilon: float) -> Tensor:
        weights = guided_filter(images, masks, radius, epsilon).clamp(0, 1)
        if self.faithful:
            weights = whole_levels(255 * weights) / 255
        weights = weights + TINY
        return weights / weights.sum(1, keepdim=True)


def saliency(x: Tensor) -> Tensor:
    """Saliency of (N, C, H, W): the blurred magnitude of its Laplacian."""
    framed = pad(x, 1, 1, "replicate")
    across = framed[..., 1:-1, :-2] + framed[..., 1:-1, 2:]
    down = framed[..., :-2, 1:-1] + framed[..., 2:, 1:-1]
    return filter_separable((across + down - 4 * x).abs(), gaussian(11, 5.0), border="replicate")
