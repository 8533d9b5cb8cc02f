"""FPDE: fourth-order diffusion separates base and detail; principal components weight the details.

Bavirisetti, Xiao and Liu, "Multi-sensor image fusion based on fourth order partial differential equations", FUSION
2017. The diffusion is that of You and Kaveh. The bases are averaged, the details added with the weights of their
Karhunen-Loeve transform.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.classical._grey import grey_levels, unit, whole_levels
from imfuse.classical._weights import principal_weights
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="fpde",
    title="FPDE",
    paper=Paper(
        title="Multi-sensor image fusion based on fourth order partial differential equations",
        venue="FUSION",
        year=2017,
        doi="10.23919/ICIF.2017.8009719",
    ),
    summary="fifteen steps of fourth-order diffusion, detail weighted by its principal component",
    size=SizeRule(
        not_tileable="the weights of the detail come from the covariance over the whole picture",
    ),
    memory_per_pixel=112,
    options=(Option("mode", ("clean", "faithful"), "clean", "faithful: 8-bit base and signed weights as published"),),
    training_free=True,
)

STEPS = 15
STEP_SIZE = 0.9
EDGE = 4.0
"""Curvature far above it, in grey levels, is preserved."""


class FPDE(FusionModel):
    """Fourth-order diffusion fusion. Mode ``faithful`` rounds the bases to 8 bits, and their halves again."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.faithful = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        images = torch.cat([grey_levels(image, self.faithful) for image in (infrared, visible)])
        base = diffuse(images)
        if self.faithful:
            base = whole_levels(base)
        detail_ir, detail_vi = (images - base).chunk(2)
        weight_ir, weight_vi = principal_weights(detail_ir, detail_vi, self.faithful)
        return unit(weight_ir * detail_ir + weight_vi * detail_vi + self.mean(*base.chunk(2)))

    def mean(self, first: Tensor, second: Tensor) -> Tensor:
        """Mean of the two bases, (N, 1, H, W) in grey levels."""
        if self.faithful:
            return (whole_levels(first / 2) + whole_levels(second / 2)).clamp(max=255)
        return (first + second) / 2


def diffuse(x: Tensor) -> Tensor:
    """Fifteen steps of diffusion of (N, 1, H, W) in grey levels: small curvature vanishes, edges are preserved."""
    for _ in range(STEPS):
        down, across = slope(slope(x, -2), -2), slope(slope(x, -1), -1)
        conductance = 1 / (1 + (down.square() + across.square()) / EDGE**2)
        down, across = conductance * down, conductance * across
        x = x - STEP_SIZE * (slope(slope(down, -2), -2) + slope(slope(across, -1), -1))
    return x


def slope(x: Tensor, axis: int) -> Tensor:
    """Central difference along an axis, one-sided at both ends."""
    size = x.shape[axis]
    if size == 1:
        return torch.zeros_like(x)
    inner = (x.narrow(axis, 2, size - 2) - x.narrow(axis, 0, size - 2)) / 2
    first = x.narrow(axis, 1, 1) - x.narrow(axis, 0, 1)
    last = x.narrow(axis, size - 1, 1) - x.narrow(axis, size - 2, 1)
    return torch.cat([first, inner, last], axis)
