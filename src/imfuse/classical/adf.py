"""ADF: anisotropic diffusion separates base and detail; principal components weight the details.

Bavirisetti and Dhuli, "Fusion of infrared and visible sensor images based on anisotropic diffusion and Karhunen-Loeve
transform", IEEE Sensors Journal 2016. The diffusion is that of Perona and Malik with eight neighbours. The bases are
averaged, the details added with the weights of their Karhunen-Loeve transform.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.classical._grey import grey_levels, unit
from imfuse.classical._weights import principal_weights
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel
from imfuse.ops.windows import Border, pad

SPEC = ModelSpec(
    name="adf",
    title="ADF",
    paper=Paper(
        title="Fusion of infrared and visible sensor images based on anisotropic diffusion and "
        "Karhunen-Loeve transform",
        venue="IEEE Sensors Journal",
        year=2016,
        doi="10.1109/JSEN.2015.2478655",
    ),
    summary="ten steps of anisotropic diffusion, detail weighted by its principal component",
    size=SizeRule(
        not_tileable="the weights of the detail come from the covariance over the whole picture",
    ),
    memory_per_pixel=144,
    options=(Option("mode", ("clean", "faithful"), "clean", "faithful: black border and signed weights as published"),),
    training_free=True,
)

STEPS = 10
STEP_SIZE = 0.15
EDGE = 30.0
"""Differences far above it, in grey levels, are edges, which the diffusion preserves."""


class ADF(FusionModel):
    """Anisotropic diffusion fusion. In mode ``faithful`` borders diffuse into black, as published."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.faithful = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        images = torch.cat([grey_levels(image, self.faithful) for image in (infrared, visible)])
        base = diffuse(images, "zero" if self.faithful else "replicate")
        detail_ir, detail_vi = (images - base).chunk(2)
        weight_ir, weight_vi = principal_weights(detail_ir, detail_vi, self.faithful)
        return unit(weight_ir * detail_ir + weight_vi * detail_vi + sum(base.chunk(2)) / 2)


def diffuse(x: Tensor, border: Border) -> Tensor:
    """Ten steps of diffusion of (N, 1, H, W) in grey levels. With ``replicate`` nothing flows across the border."""
    for _ in range(STEPS):
        x = x + STEP_SIZE * inflow(pad(x, 1, 1, border))
    return x


def inflow(x: Tensor) -> Tensor:
    """Flow from the eight neighbours into each pixel, diagonals by half: (N, 1, H + 2, W + 2) to (N, 1, H, W).

    The inflow of a pixel is the outflow of its neighbour, so four directions suffice.
    """
    down = flow(x[..., 1:, 1:-1] - x[..., :-1, 1:-1])
    right = flow(x[..., 1:-1, 1:] - x[..., 1:-1, :-1])
    falling = flow(x[..., 1:, 1:] - x[..., :-1, :-1])
    rising = flow(x[..., :-1, 1:] - x[..., 1:, :-1])
    straight = down[..., 1:, :] - down[..., :-1, :] + right[..., 1:] - right[..., :-1]
    diagonal = falling[..., 1:, 1:] - falling[..., :-1, :-1] + rising[..., :-1, 1:] - rising[..., 1:, :-1]
    return straight + diagonal / 2


def flow(difference: Tensor) -> Tensor:
    """Difference times conductance, which vanishes at edges."""
    return difference * torch.exp(-(difference / EDGE).square())
