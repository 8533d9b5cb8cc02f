"""Large images in tiles: with the memory of one tile at a time, the result of the whole image.

A tile is a core, the area that it contributes to the result, and a halo around it, as wide as the receptive field of
the network. The core of the output then equals that of the whole image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from imfuse.core.size_rule import SizeRule, Span
from imfuse.core.spec import ModelSpec
from imfuse.ops.padding import crop_to, pad_to

SMALLEST = 64
"""Least side of a tile in pixels: below it most of the work would be spent on halos."""
FAST = 256
"""Side of the tiles that are fastest on a CPU: larger ones leave its caches, smaller ones compute more halo."""


class Tile(NamedTuple):
    """A part of the image.

    Methods with a ``level`` apply to features at 1 / 2^level of the image size.
    """

    row: Span
    column: Span

    def with_halo(self, x: Tensor, level: int = 0) -> Tensor:
        """The tile with its halo, cut out of ``x`` (..., H, W)."""
        return x[..., _at(self.row.with_halo, level), _at(self.column.with_halo, level)]

    def core(self, x: Tensor, level: int = 0) -> Tensor:
        """The core of the tile, cut out of ``x`` (..., H, W)."""
        return x[..., _at(self.row.core, level), _at(self.column.core, level)]

    def store(self, whole: Tensor, part: Tensor, level: int = 0) -> None:
        """Copies the core of ``part``, a tile with its halo, to its place in ``whole``."""
        self.core(whole, level).copy_(part[..., _at(self.row.inner, level), _at(self.column.inner, level)])


def _at(rows: slice, level: int) -> slice:
    # Strided layers round up: an odd last row has features too.
    return slice(rows.start >> level, -(-rows.stop >> level))


def fuse_tiled(
    function: Callable[[Tensor, Tensor], Tensor],
    infrared: Tensor,
    visible: Tensor,
    *,
    tile: int | None,
    rule: SizeRule,
    zeros: bool = False,
) -> Tensor:
    """Applies a function to the tiles of a pair and assembles the results.

    Args:
        function: of an infrared and a visible tile, of a size that ``rule`` accepts; it returns a tensor of their
            height and width.
        infrared: (N, 1, H, W), of any size.
        visible: (N, 1, H, W), or (N, 3, H, W) for a network that takes colours.
        tile: side of the core in pixels; ``None`` for the whole image at once.
        rule: of the network: sizes and halo.
        zeros: pads with zeros, as in :func:`~imfuse.ops.padding.pad_to`, instead of mirroring.

    Returns:
        The assembled result, (N, C, H, W).
    """
    height, width = infrared.shape[2:]
    infrared, visible = (pad_to(image, rule, zeros=zeros) for image in (infrared, visible))
    if tile is None:
        return crop_to(function(infrared, visible), height, width)
    fused: Tensor | None = None
    for row, column in rule.tiles(infrared.shape[2], infrared.shape[3], tile):
        area = (..., row.with_halo, column.with_halo)
        part = function(infrared[area], visible[area])
        if fused is None:
            fused = part.new_empty((*part.shape[:2], *infrared.shape[2:]))
        # No blending: with a halo as wide as the receptive field the cores meet without a seam, and blending would only
        # hide a halo that is declared too small.
        fused[..., row.core, column.core] = part[..., row.inner, column.inner]
    assert fused is not None
    return crop_to(fused, height, width)


def in_tiles(function: Callable[[Tensor, Tensor], Tensor], infrared: Tensor, visible: Tensor, rule: SizeRule) -> Tensor:
    """``function`` of a pair: tile by tile on a CPU, where that saves memory traffic, of the whole image elsewhere."""
    tile = FAST if infrared.device.type == "cpu" else None
    return fuse_tiled(function, infrared, visible, tile=tile, rule=rule)


def tile_side(spec: ModelSpec, budget_bytes: int, height: int, width: int) -> int | None:
    """Side of the tiles that keep a network within a memory budget.

    Args:
        spec: specification of the network.
        budget_bytes: memory that its inference form may take.
        height: of the image, in pixels.
        width: of the image, in pixels.

    Returns:
        Side of the core in pixels, at least :data:`SMALLEST` and at least the halo; ``None`` where the whole image
        fits, and for a network without a finite halo.
    """
    halo = spec.size.halo
    if halo is None or height * width * spec.memory_per_pixel <= budget_bytes:
        return None
    with_halo = math.isqrt(max(budget_bytes, 0) // spec.memory_per_pixel)
    return max(with_halo - 2 * halo, halo, SMALLEST)
