"""ADF: anisotropic diffusion parts base and detail; the detail is weighted by its principal component.

Bavirisetti and Dhuli, "Fusion of infrared and visible sensor images based on anisotropic diffusion and Karhunen-Loeve
transform", IEEE Sensors Journal 2016. The diffusion is that of Perona and Malik with eight neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.classical._gray import gray_levels, unit
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
"""Differences far above it, in gray levels, are edges that the diffusion leaves."""


class ADF(FusionModel):
    """Anisotropic diffusion fusion. ``mode`` faithful lets the borders bleed towards black."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.faithful = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        images = torch.cat([gray_levels(image, self.faithful) for image in (infrared, visible)])
        base = diffuse(images, "zero" if self.faithful else "replicate")
        first, second = (images - base).chunk(2)
        one, other = principal_weights(first, second, self.faithful)
        return unit(one * first + other * second + sum(base.chunk(2)) / 2)


def diffuse(x: Tensor, border: Border) -> Tensor:
    """Ten steps of (N, 1, H, W) in gray levels. With ``replicate`` nothing flows over the border."""
    for _ in range(STEPS):
        x = x + STEP_SIZE * inflow(pad(x, 1, 1, border))
    return x


def inflow(x: Tensor) -> Tensor:
    """What flows from the eight neighbours into each pixel, (N, 1, H + 2, W + 2) to (N, 1, H, W); diagonals by half.

    What one pixel gets its neighbour gives, so four directions are enough.
    """
    down = flow(x[..., 1:, 1:-1] - x[..., :-1, 1:-1])
    right = flow(x[..., 1:-1, 1:] - x[..., 1:-1, :-1])
    falling = flow(x[..., 1:, 1:] - x[..., :-1, :-1])
    rising = flow(x[..., :-1, 1:] - x[..., 1:, :-1])
    straight = down[..., 1:, :] - down[..., :-1, :] + right[..., 1:] - right[..., :-1]
    diagonal = falling[..., 1:, 1:] - falling[..., :-1, :-1] + rising[..., :-1, 1:] - rising[..., 1:, :-1]
    return straight + diagonal / 2


def flow(difference: Tensor) -> Tensor:
    """Difference times conductance, which falls to nothing at edges."""
    return difference * torch.exp(-(difference / EDGE).square())
