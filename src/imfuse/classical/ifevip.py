"""IFEVIP: what is hotter than a reconstructed infrared background is added to the visible image.

Zhang, Zhang, Bai and Zhang, "Infrared and visual image fusion through infrared feature extraction and visual
information preservation", Infrared Physics & Technology 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.classical._bicubic import resize_matrix
from imfuse.classical._gray import gray_levels, unit, whole_levels
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.metrics.information import entropy
from imfuse.models._base import FusionModel
from imfuse.ops.windows import filter_separable, gaussian

SPEC = ModelSpec(
    name="ifevip",
    title="IFEVIP",
    paper=Paper(
        title="Infrared and visual image fusion through infrared feature extraction and visual information "
        "preservation",
        venue="Infrared Physics & Technology",
        year=2017,
        doi="10.1016/j.infrared.2017.05.007",
    ),
    summary="hot objects above a background of Bezier surfaces on a quadtree, added to the visible image",
    size=SizeRule(
        not_tileable="the quadtree, the entropies and the gain are of the whole picture",
    ),
    memory_per_pixel=96,
    options=(Option("mode", ("clean", "faithful"), "clean", "faithful: 8-bit steps and black border as published"),),
    training_free=True,
)

SIDE = 512
"""The background is built at this size, whatever that of the picture."""
SMALLEST = 32
SPREAD = 51
"""A block of the quadtree is split where its levels differ by more."""
BRIGHTEST, HIGHEST_GAIN = 0.001, 0.8


class IFEVIP(FusionModel):
    """Infrared feature extraction and visual information preservation: never darker than the visible image.

    ``mode`` faithful rounds to 8 bit after each step as published, and smooths with black outside.
    """

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.faithful = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        infrared, visible = (gray_levels(image, self.faithful) for image in (infrared, visible))
        hot = (infrared - self.whole(self.background(infrared))).clamp(min=0)
        addition = hot + (infrared - visible) * self.share(infrared, visible)
        addition = (addition * self.gain(addition, visible)).clamp(min=0)
        return unit(visible + self.whole(addition))

    def whole(self, levels: Tensor) -> Tensor:
        """Rounded to 8 bit where the published program does so."""
        return whole_levels(levels) if self.faithful else levels

    def background(self, infrared: Tensor) -> Tensor:
        """The picture without its hot objects, (N, 1, H, W) in gray levels: smooth surfaces through local minima."""
        size = infrared.shape[-2:]
        image = self.resized(infrared)
        surface = quadtree_surface(erode(image), leaves(image)).to(infrared)
        back = [resize_matrix(SIDE, length).to(infrared) for length in size]
        surface = back[0] @ surface @ back[1].mT
        return filter_separable(surface, gaussian(9, 4.5), border="zero" if self.faithful else "replicate")

    def resized(self, image: Tensor) -> Tensor:
        """Bicubic to 512 x 512, (N, 1, 512, 512); the axis that shrinks more first."""
        height, width = image.shape[-2:]
        down, across = (resize_matrix(length, SIDE).to(image) for length in (height, width))
        if height >= width:
            return self.whole(self.whole(down @ image) @ across.mT)
        return self.whole(down @ self.whole(image @ across.mT))

    def share(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Entropy of the infrared image over that of the visible one, (N, 1, 1, 1); 1 where that is 0."""
        first, second = (entropy(whole_levels(image), data_range=255) for image in (infrared, visible))
        return torch.where(second > 0, first / second, 1).to(infrared)[:, None, None, None]

    def gain(self, addition: Tensor, visible: Tensor) -> Tensor:
        """What keeps the brightest pixels within range, (N, 1, 1, 1)."""
        bright = (addition.clamp(min=0) + visible).flatten(1)
        count = max(1, int(BRIGHTEST * bright.shape[1] + 0.5))
        top = bright.topk(count).values.mean(1)
        return (255 / top).clamp(max=HIGHEST_GAIN)[:, None, None, None]


def erode(image: Tensor) -> Tensor:
    """Minimum over 32 x 32 neighbours, 15 before to 16 after each pixel, as far as there are any."""
    padded = F.pad(-image, (15, 16, 15, 16), value=-torch.inf)
    return -F.max_pool2d(F.max_pool2d(padded, (SMALLEST, 1), 1), (1, SMALLEST), 1)


def leaves(image: Tensor) -> dict[int, Tensor]:
    """The blocks that the quadtree of (N, 1, 512, 512) does not split: their side -> where, (N, 512/side, 512/side)."""
    found = {}
    inside = torch.ones(len(image), 1, 1, dtype=torch.bool, device=image.device)
    side = SIDE
    while side > SMALLEST:
        spread = (F.max_pool2d(image, side) + F.max_pool2d(-image, side))[:, 0]
        split = inside & (spread > SPREAD)
        found[side] = inside & ~split
        inside = split.repeat_interleave(2, 1).repeat_interleave(2, 2)
        side //= 2
    return found | {side: inside}


def quadtree_surface(eroded: Tensor, found: dict[int, Tensor]) -> Tensor:
    """One bicubic Bezier surface for each leaf, with 4 x 4 control points from (N, 1, 512, 512); the same size.

    Blocks share their border lines: small ones are written over large ones, and otherwise the later, column by column.
    """
    points = F.pad(eroded, (0, 1, 0, 1), mode="replicate")[:, 0]
    surface = torch.zeros_like(points)
    for side, where in found.items():
        control = torch.tensor([0, side // 2 - 1, 3 * side // 4 - 1, side])
        basis = bezier_basis(side).to(points)
        # (N, columns, rows) makes nonzero go down the columns
        for image, column, row in where.mT.nonzero().tolist():
            block = points[image, row * side : (row + 1) * side + 1, column * side : (column + 1) * side + 1]
            patch = basis @ block[control][:, control] @ basis.mT
            surface[image, row * side : (row + 1) * side + 1, column * side : (column + 1) * side + 1] = patch
    return surface[:, None, :SIDE, :SIDE]


def bezier_basis(side: int) -> Tensor:
    """Cubic Bernstein polynomials at ``side`` + 1 places from 0 to 1, (side + 1, 4) float64."""
    u = torch.linspace(0, 1, side + 1, dtype=torch.float64)
    v = 1 - u
    return torch.stack([v**3, 3 * v.square() * u, 3 * v * u.square(), u**3], dim=1)
