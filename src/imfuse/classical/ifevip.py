"""IFEVIP: infrared features above a reconstructed background are added to the visible image.

Zhang, Zhang, Bai and Zhang, "Infrared and visual image fusion through infrared feature extraction and visual
information preservation", Infrared Physics & Technology 2017. The background is built from Bezier surfaces on a
quadtree of the infrared image. A gain keeps the brightest pixels of the sum within range.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.classical._bicubic import resize_matrix
from imfuse.classical._grey import grey_levels, unit, whole_levels
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
"""Side of the square in which the background is built, whatever the size of the image."""
SMALLEST = 32
"""Side of the smallest blocks of the quadtree."""
SPREAD = 51
"""Range of grey levels above which a block of the quadtree is split."""
BRIGHTEST, HIGHEST_GAIN = 0.001, 0.8


class IFEVIP(FusionModel):
    """Infrared feature extraction and visual information preservation: never darker than the visible image.

    Mode ``faithful`` rounds to 8 bits after each step, and smooths the background with a black border, as published.
    """

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.faithful = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        infrared, visible = (grey_levels(image, self.faithful) for image in (infrared, visible))
        hot = (infrared - self.whole(self.background(infrared))).clamp(min=0)
        addition = hot + (infrared - visible) * self.share(infrared, visible)
        addition = (addition * self.gain(addition, visible)).clamp(min=0)
        return unit(visible + self.whole(addition))

    def whole(self, levels: Tensor) -> Tensor:
        """Levels as the published program keeps them: rounded to 8 bits in mode ``faithful``."""
        return whole_levels(levels) if self.faithful else levels

    def background(self, infrared: Tensor) -> Tensor:
        """The infrared image without hot objects, (N, 1, H, W) in grey levels: smooth surfaces through local minima."""
        size = infrared.shape[-2:]
        image = self.resized(infrared)
        surface = quadtree_surface(erode(image), leaves(image)).to(infrared)
        back = [resize_matrix(SIDE, length).to(infrared) for length in size]
        surface = back[0] @ surface @ back[1].mT
        return filter_separable(surface, gaussian(9, 4.5), border="zero" if self.faithful else "replicate")

    def resized(self, image: Tensor) -> Tensor:
        """The image resized to (N, 1, 512, 512), bicubic, beginning with the axis that shrinks more."""
        height, width = image.shape[-2:]
        down, across = (resize_matrix(length, SIDE).to(image) for length in (height, width))
        if height >= width:
            return self.whole(self.whole(down @ image) @ across.mT)
        return self.whole(down @ self.whole(image @ across.mT))

    def share(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Entropy of the infrared image divided by that of the visible one, (N, 1, 1, 1); 1 where the latter is 0."""
        entropy_ir, entropy_vi = (entropy(whole_levels(image), data_range=255) for image in (infrared, visible))
        return torch.where(entropy_vi > 0, entropy_ir / entropy_vi, 1).to(infrared)[:, None, None, None]

    def gain(self, addition: Tensor, visible: Tensor) -> Tensor:
        """Factor that keeps the brightest pixels within range, (N, 1, 1, 1)."""
        bright = (addition.clamp(min=0) + visible).flatten(1)
        count = max(1, int(BRIGHTEST * bright.shape[1] + 0.5))
        top = bright.topk(count).values.mean(1)
        return (255 / top).clamp(max=HIGHEST_GAIN)[:, None, None, None]


def erode(image: Tensor) -> Tensor:
    """Minimum over 32 x 32 pixels, from 15 before to 16 after each pixel, truncated at the border."""
    padded = F.pad(-image, (15, 16, 15, 16), value=-torch.inf)
    return -F.max_pool2d(F.max_pool2d(padded, (SMALLEST, 1), 1), (1, SMALLEST), 1)


def leaves(image: Tensor) -> dict[int, Tensor]:
    """The leaves of the quadtree of (N, 1, 512, 512): side -> which blocks are leaves, (N, 512/side, 512/side)."""
    leaves_by_side = {}
    nodes = torch.ones(len(image), 1, 1, dtype=torch.bool, device=image.device)
    side = SIDE
    while side > SMALLEST:
        spread = (F.max_pool2d(image, side) + F.max_pool2d(-image, side))[:, 0]
        split = nodes & (spread > SPREAD)
        leaves_by_side[side] = nodes & ~split
        nodes = split.repeat_interleave(2, 1).repeat_interleave(2, 2)
        side //= 2
    return leaves_by_side | {side: nodes}


def quadtree_surface(eroded: Tensor, leaves_by_side: dict[int, Tensor]) -> Tensor:
    """The background of (N, 1, 512, 512): a bicubic Bezier surface for each leaf, with 4 x 4 control points.

    Neighbouring blocks share a border line: small blocks overwrite large ones; of equal ones the later counts, in
    column-major order.
    """
    points = F.pad(eroded, (0, 1, 0, 1), mode="replicate")[:, 0]
    surface = torch.zeros_like(points)
    for side, is_leaf in leaves_by_side.items():
        control = torch.tensor([0, side // 2 - 1, 3 * side // 4 - 1, side])
        basis = bezier_basis(side).to(points)
        # Transposed, nonzero lists the blocks column by column.
        for image, column, row in is_leaf.mT.nonzero().tolist():
            rows, columns = (slice(index * side, (index + 1) * side + 1) for index in (row, column))
            block = points[image, rows, columns]
            surface[image, rows, columns] = basis @ block[control][:, control] @ basis.mT
    return surface[:, None, :SIDE, :SIDE]


def bezier_basis(side: int) -> Tensor:
    """Cubic Bernstein polynomials at ``side`` + 1 values from 0 to 1, (side + 1, 4) float64."""
    u = torch.linspace(0, 1, side + 1, dtype=torch.float64)
    v = 1 - u
    return torch.stack([v**3, 3 * v.square() * u, 3 * v * u.square(), u**3], dim=1)
