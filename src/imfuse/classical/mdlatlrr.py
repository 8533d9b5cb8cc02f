"""MDLatLRR: a learned projection parts each patch into base and detail, level by level.

Li, Wu and Kittler, "MDLatLRR: A Novel Decomposition Method for Infrared and Visible Image Fusion", IEEE Transactions on
Image Processing 2020. The projection is learned by ``_latlrr``; there is nothing else to train.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="mdlatlrr",
    title="MDLatLRR",
    paper=Paper(
        title="MDLatLRR: A Novel Decomposition Method for Infrared and Visible Image Fusion",
        venue="IEEE Transactions on Image Processing",
        year=2020,
        doi="10.1109/TIP.2020.2975984",
    ),
    summary="latent low-rank decomposition of all 16x16 patches, details weighted by nuclear norm",
    size=SizeRule(
        min_size=16,
        # 15 pixels a level, and there are up to 4
        halo=60,
    ),
    memory_per_pixel=96,
    options=(
        Option("levels", (1, 2, 3, 4), 2, "how often the base is parted again"),
        Option(
            "mode", ("clean", "faithful"), "clean", "faithful: sums details twice, cuts large pictures, as published"
        ),
    ),
    weights=(
        WeightsSpec(
            name="default",
            file="mdlatlrr.safetensors",
            sha256="f3b569a341d7e104e50a94b54af168c4d3c6e3bff2195e5005a474f9645e0a0a",
            recipe="scripts/learn_projection.py --patches 1000 --seed 0",
            data="RoadScene, the 180 FLIR training pairs",
            date="2026-11-21",
        ),
    ),
)

SIDE = 16
STRIP = 1 << 13
"""Patches at a time."""
LARGE = 512
"""The published program cuts pictures with a longer side into four."""


class MDLatLRR(FusionModel):
    """Multi-level latent low-rank fusion.

    ``levels`` is 1 to 4. ``mode`` faithful adds the detail of a level once more for each further level, which is too
    sharp, and fuses pictures above 512 pixels in four parts. The projection (256, 256) acts on patches row by row;
    without weights it halves what differs from the mean of a patch.
    """

    spec = SPEC
    projection: Tensor

    def __init__(self, levels: int = 2, mode: str = "clean") -> None:
        super().__init__()
        self.levels = levels
        self.faithful = mode == "faithful"
        size = SIDE**2
        self.register_buffer("projection", (torch.eye(size) - 1 / size) / 2)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 16."""
        images = torch.stack([infrared, visible])
        large = max(images.shape[-2:]) > LARGE
        return (self.fuse_in_four(images) if self.faithful and large else self.fuse(images)).clamp(0, 1)

    def fuse(self, images: Tensor) -> Tensor:
        """The two images (2, N, 1, H, W) as one (N, 1, H, W): mean of the last bases, and the details of all levels."""
        details: Tensor | float = 0
        for level in range(self.levels):
            images, detail = self.part(images)
            details = details + (self.levels - level if self.faithful else 1) * detail
        return images.mean(0) + details

    def part(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """One level: the bases (2, N, 1, H, W) and the fused detail (N, 1, H, W).

        Each patch is projected to its salient part, and each pixel takes the mean of the patches that cover it.
        """
        _, count, _, height, width = images.shape
        projection = self.projection.to(images)
        flat = images.flatten(0, 1)
        salient, fused = torch.zeros_like(flat), torch.zeros_like(images[0])
        rows = max(1, STRIP // (len(flat) * (width - SIDE + 1)))
        for first in range(0, height - SIDE + 1, rows):
            strip = slice(first, min(first + rows + SIDE - 1, height))
            size = strip.stop - strip.start, width
            patches = projection @ F.unfold(flat[..., strip, :], SIDE)
            salient[..., strip, :] += F.fold(patches, size, SIDE)
            one, other = patches.view(2, count, SIDE**2, -1)
            weight = share_of_first(*nuclear_norms(patches).view(2, count, 1, -1))
            fused[..., strip, :] += F.fold(torch.lerp(other, one, weight), size, SIDE)
        covered = cover(height, images)[:, None] * cover(width, images)
        return images - (salient / covered).view_as(images), fused / covered

    def fuse_in_four(self, images: Tensor) -> Tensor:
        """Four parts that overlap by four pixels, fused apart; where they overlap, their mean."""
        height, width = images.shape[-2:]
        total, parts = torch.zeros_like(images[0]), torch.zeros_like(images[0])
        for rows in (slice(0, height // 2 + 2), slice(height // 2 - 2, height)):
            for columns in (slice(0, width // 2 + 2), slice(width // 2 - 2, width)):
                total[..., rows, columns] += self.fuse(images[..., rows, columns])
                parts[..., rows, columns] += 1
        return total / parts


def nuclear_norms(patches: Tensor) -> Tensor:
    """Sum of the singular values of each patch: (N, 256, P), columns of 16 x 16, to (N, P).

    They are the roots of the eigenvalues of the 16 x 16 products, which are found faster than singular values.
    """
    matrices = patches.mT.reshape(len(patches), -1, SIDE, SIDE)
    squares: Tensor = torch.linalg.eigvalsh(matrices @ matrices.mT)
    return squares.clamp(min=0).sqrt().sum(-1)


def share_of_first(first: Tensor, second: Tensor) -> Tensor:
    """Weight of the first of two patches by their norms; 1/2 where both are flat."""
    total = first + second
    return torch.where(total > 0, first / total, 0.5)


def cover(size: int, like: Tensor) -> Tensor:
    """How many patches cover each of ``size`` pixels along one axis."""
    place = torch.arange(size, device=like.device)
    last = size - SIDE
    return (place.clamp(max=last) - (place - SIDE + 1).clamp(min=0) + 1).to(like)
