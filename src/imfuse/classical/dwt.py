"""Discrete wavelet transform (DWT): the stronger Haar coefficients at four scales, and the mean of the low bands.

Li, Manjunath and Mitra, "Multisensor image fusion using the wavelet transform", Graphical Models and Image Processing
57, 1995, as in the toolbox of Liu, Liu and Wang, Information Fusion 24, 2015. The selection has consistency
verification.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.classical._grey import unit
from imfuse.classical._selection import first_is_stronger
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel
from imfuse.ops.padding import crop_to, pad_to

SPEC = ModelSpec(
    name="dwt",
    title="Wavelet transform",
    paper=Paper(
        title="Multisensor image fusion using the wavelet transform",
        venue="Graphical Models and Image Processing",
        year=1995,
        doi="10.1006/gmip.1995.1022",
    ),
    summary="Haar wavelets of 4 levels; the stronger coefficient, the mean of the low bands",
    size=SizeRule(
        not_tileable="its coarsest coefficients lie 16 pixels apart, counted from the corner of the picture",
    ),
    memory_per_pixel=48,
    options=(
        Option("mode", ("clean", "faithful"), "clean", "faithful: the selection has black corners, as published"),
    ),
    training_free=True,
)

LEVELS = 4


class DWT(FusionModel):
    """Fusion by Haar wavelets."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.zero_corners = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1], of any size."""
        # Sums of grey levels are exact, so that equal coefficients of 8-bit images compare equal.
        low = 255 * torch.cat([infrared, visible], 1)
        selected, sizes = [], []
        for _ in range(LEVELS):
            sizes.append(low.shape[2:])
            low, *bands = analyse(pad_to(low, SizeRule(2)))
            selected.append([self._select(*band.chunk(2, 1)) for band in bands])
        fused = low.mean(1, keepdim=True)
        for size, bands in zip(reversed(sizes), reversed(selected), strict=True):
            fused = crop_to(synthesise(fused, *bands), *size)
        return unit(fused)

    def _select(self, infrared: Tensor, visible: Tensor) -> Tensor:
        from_infrared = first_is_stronger(infrared.abs(), visible.abs(), self.zero_corners)
        return torch.where(from_infrared, infrared, visible)


def analyse(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A step of the Haar transform of (N, C, H, W), sides even: low band, differences of rows, of columns, of both."""
    p, q, r, s = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    return (p + q + r + s) / 2, (p + q - r - s) / 2, (p - q + r - s) / 2, (p - q - r + s) / 2


def synthesise(low: Tensor, rows: Tensor, columns: Tensor, both: Tensor) -> Tensor:
    """The image (N, C, H, W) of the four bands: undoes :func:`analyse`."""
    x = low.new_empty(*low.shape[:2], 2 * low.shape[2], 2 * low.shape[3])
    x[..., ::2, ::2] = (low + rows + columns + both) / 2
    x[..., ::2, 1::2] = (low + rows - columns - both) / 2
    x[..., 1::2, ::2] = (low - rows + columns - both) / 2
    x[..., 1::2, 1::2] = (low - rows - columns + both) / 2
    return x
