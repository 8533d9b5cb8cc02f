"""Large images in tiles: the memory of one tile at a time, the result of the whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from imfuse.core.size_rule import SizeRule, Span
from imfuse.core.spec import ModelSpec
from imfuse.ops.padding import crop_to, pad_to

SMALLEST = 64
FAST = 256
"""Side of tiles that are fast on a processor: larger ones leave its caches, smaller ones compute more halo."""


class Tile(NamedTuple):
    """A part of the picture, what the network sees of it and what it contributes."""

    row: Span
    column: Span

    def seen(self, x: Tensor, level: int = 0) -> Tensor:
        """What is seen, of features of 1 / 2^level of the picture."""
        return x[..., _at(self.row.seen, level), _at(self.column.seen, level)]

    def core(self, x: Tensor, level: int = 0) -> Tensor:
        """What is contributed, of features of the whole picture."""
        return x[..., _at(self.row.core, level), _at(self.column.core, level)]

    def store(self, whole: Tensor, part: Tensor, level: int = 0) -> None:
        """Put the core of ``part``, features of what is seen, into features of the picture."""
        self.core(whole, level).copy_(part[..., _at(self.row.kept, level), _at(self.column.kept, level)])


def _at(rows: slice, level: int) -> slice:
    # A last row that is odd has features too.
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
    """Apply ``function`` to tiles of a pair and assemble what it gives.

    ``infrared`` is (N, 1, H, W), ``visible`` that or (N, 3, H, W), of any size; ``function`` gets parts of sizes that
    ``rule`` accepts. ``tile`` is the side of the area that a part contributes (``None``: the whole image at once);
    ``zeros`` is how sizes are reached, as in :func:`~imfuse.ops.padding.pad_to`. Returns (N, 1, H, W).
    """
    height, width = infrared.shape[2:]
    infrared, visible = (pad_to(image, rule, zeros=zeros) for image in (infrared, visible))
    if tile is None:
        return crop_to(function(infrared, visible), height, width)
    fused: Tensor | None = None
    for row, column in rule.tiles(infrared.shape[2], infrared.shape[3], tile):
        seen = (..., row.seen, column.seen)
        part = function(infrared[seen], visible[seen])
        if fused is None:
            fused = part.new_empty((*part.shape[:2], *infrared.shape[2:]))
        # No feathering: with a halo as wide as the receptive field the core is what the whole image would give there,
        # so parts meet without a seam, and a blend would only hide a halo that is declared too small.
        fused[..., row.core, column.core] = part[..., row.kept, column.kept]
    assert fused is not None
    return crop_to(fused, height, width)


def in_tiles(function: Callable[[Tensor, Tensor], Tensor], infrared: Tensor, visible: Tensor, rule: SizeRule) -> Tensor:
    """What ``function`` makes of a pair; on a processor in parts, whose maps cost it less memory traffic."""
    tile = FAST if infrared.device.type == "cpu" else None
    return fuse_tiled(function, infrared, visible, tile=tile, rule=rule)


def tile_side(spec: ModelSpec, budget_bytes: int, height: int, width: int) -> int | None:
    """Side of the tiles that keep the network of ``spec`` within a budget; ``None`` where the whole image fits.

    Also ``None`` for a network without a finite halo. Never less than 64 or than the halo: below that most of the
    work would be spent on halos.
    """
    halo = spec.size.halo
    if halo is None or height * width * spec.memory_per_pixel <= budget_bytes:
        return None
    seen = math.isqrt(max(budget_bytes, 0) // spec.memory_per_pixel)
    return max(seen - 2 * halo, halo, SMALLEST)
