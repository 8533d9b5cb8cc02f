"""Dual-tree complex wavelet transform (DTCWT): coefficients of larger modulus, and the mean of the low bands.

Lewis, O'Callaghan, Nikolov, Bull and Canagarajah, "Pixel- and region-based image fusion with complex wavelets",
Information Fusion 8, 2007, as in the toolbox of Liu, Liu and Wang, Information Fusion 24, 2015. The selection is made
at each scale and in each direction, with consistency verification.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.classical._dual_tree import Bands, analyse, synthesise
from imfuse.classical._grey import unit
from imfuse.classical._selection import first_is_stronger
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel
from imfuse.ops.padding import crop_to, pad_to

SPEC = ModelSpec(
    name="dtcwt",
    title="Dual-tree complex wavelet transform",
    paper=Paper(
        title="Pixel- and region-based image fusion with complex wavelets",
        venue="Information Fusion",
        year=2007,
        doi="10.1016/j.inffus.2005.09.006",
    ),
    summary="complex wavelets of 4 levels and 6 directions; the larger modulus, the mean of the low bands",
    size=SizeRule(
        not_tileable="its coarsest coefficients lie 16 pixels apart, counted from the corner of the picture",
    ),
    memory_per_pixel=144,
    options=(
        Option("mode", ("clean", "faithful"), "clean", "faithful: the selection has black corners, as published"),
    ),
    training_free=True,
)

LEVELS = 4


class DTCWT(FusionModel):
    """Fusion by dual-tree complex wavelets."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.zero_corners = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1], of any size."""
        # Sums of grey levels are exact at the finest scale, so that equal coefficients of 8-bit images compare equal.
        images = 255 * torch.cat([infrared, visible], 1)
        scales, low = analyse(pad_to(images, SizeRule(2)), LEVELS)
        fused = synthesise([self._select(bands) for bands in scales], low.mean(1, keepdim=True))
        return unit(crop_to(fused, *images.shape[2:]))

    def _select(self, bands: Bands) -> Bands:
        """The bands (2, 3, N, 1, H, W) of the stronger of two channels."""
        modulus_ir, modulus_vi = bands.modulus.chunk(2, -3)
        from_infrared = first_is_stronger(modulus_ir, modulus_vi, self.zero_corners)
        real, imaginary = (torch.where(from_infrared, part[..., :1, :, :], part[..., 1:, :, :]) for part in bands)
        return Bands(real, imaginary)
