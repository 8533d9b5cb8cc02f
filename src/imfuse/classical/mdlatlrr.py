"""MDLatLRR: a learned projection decomposes each patch into base and detail, level by level.

Li, Wu and Kittler, "MDLatLRR: A Novel Decomposition Method for Infrared and Visible Image Fusion", IEEE Transactions on
Image Processing 2020. The projection comes from a latent low-rank representation (``_latlrr``); nothing else is
trained. The bases are averaged; the details of two patches are weighted by their nuclear norms.
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
            recipe="scripts/learn_projection.py with 1000 patches and seed 0",
            data="RoadScene, the 180 FLIR training pairs",
            date="2026-11-21",
        ),
    ),
)

SIDE = 16
STRIP = 1 << 13
"""Patches that are processed at a time."""
LARGE = 512
"""Side in pixels above which the published program cuts an image into four."""


class MDLatLRR(FusionModel):
    """Multi-level latent low-rank fusion.

    Mode ``faithful`` adds the detail of a level once more for each further level, which oversharpens, and fuses images
    above 512 pixels in four parts, as published. The projection (256, 256) applies to patches row by row; without
    weights it halves the difference of a patch to its mean.
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
        """Both images (2, N, 1, H, W) to the fused one (N, 1, H, W): mean of the last bases plus all details."""
        details: Tensor | float = 0
        for level in range(self.levels):
            images, detail = self.decompose(images)
            details = details + (self.levels - level if self.faithful else 1) * detail
        return images.mean(0) + details

    def decompose(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """One level of (2, N, 1, H, W): the bases (2, N, 1, H, W) and the fused detail (N, 1, H, W).

        Each patch is projected to its salient part, and each pixel is the mean of the patches that cover it.
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
            patches_ir, patches_vi = patches.view(2, count, SIDE**2, -1)
            weight = share_of_first(*nuclear_norms(patches).view(2, count, 1, -1))
            fused[..., strip, :] += F.fold(torch.lerp(patches_vi, patches_ir, weight), size, SIDE)
        coverage = patches_per_pixel(height, images)[:, None] * patches_per_pixel(width, images)
        return images - (salient / coverage).view_as(images), fused / coverage

    def fuse_in_four(self, images: Tensor) -> Tensor:
        """:meth:`fuse` in four parts that overlap by four pixels, where the mean counts."""
        height, width = images.shape[-2:]
        total, parts = torch.zeros_like(images[0]), torch.zeros_like(images[0])
        for rows in (slice(0, height // 2 + 2), slice(height // 2 - 2, height)):
            for columns in (slice(0, width // 2 + 2), slice(width // 2 - 2, width)):
                total[..., rows, columns] += self.fuse(images[..., rows, columns])
                parts[..., rows, columns] += 1
        return total / parts


def nuclear_norms(patches: Tensor) -> Tensor:
    """Nuclear norm, the sum of the singular values, of each 16 x 16 patch: columns (N, 256, P) to (N, P).

    Singular values are the square roots of the eigenvalues of the matrix times its transpose, which are faster to
    compute.
    """
    matrices = patches.mT.reshape(len(patches), -1, SIDE, SIDE)
    squares: Tensor = torch.linalg.eigvalsh(matrices @ matrices.mT)
    return squares.clamp(min=0).sqrt().sum(-1)


def share_of_first(first: Tensor, second: Tensor) -> Tensor:
    """Weight of the first of two patches by their nuclear norms; 1/2 where both are 0."""
    total = first + second
    return torch.where(total > 0, first / total, 0.5)


def patches_per_pixel(size: int, like: Tensor) -> Tensor:
    """Number of patches that cover each of ``size`` pixels along one axis, (size,)."""
    position = torch.arange(size, device=like.device)
    last = size - SIDE
    return (position.clamp(max=last) - (position - SIDE + 1).clamp(min=0) + 1).to(like)
