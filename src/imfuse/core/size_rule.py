"""Which sizes a network takes, and how large pictures are cut into tiles for it. Light: imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """One axis of a tile, as slices of the image: its ``core``, which it contributes, and the core ``with_halo``."""

    core: slice
    with_halo: slice

    @property
    def inner(self) -> slice:
        """The core as a slice of the tile with its halo."""
        return slice(self.core.start - self.with_halo.start, self.core.stop - self.with_halo.start)


@dataclass(frozen=True)
class SizeRule:
    """What a network asks of height and width, and whether it works in tiles.

    Args:
        multiple: height and width that ``forward`` takes are multiples of it.
        min_size: and at least this, in pixels.
        halo: radius of the receptive field in pixels: tiles that overlap by it give what the whole image gives.
            ``None`` where no finite halo does.
        not_tileable: the reason, where ``halo`` is ``None``.

    Example:
        >>> SizeRule(multiple=8, min_size=32).padding(97, 20)
        (7, 12)
    """

    multiple: int = 1
    min_size: int = 1
    halo: int | None = None
    not_tileable: str = ""

    def padded(self, side: int) -> int:
        """The smallest side that the network takes and that is not less than a given one.

        Args:
            side: height or width in pixels.

        Returns:
            A side in pixels.

        Example:
            >>> SizeRule(multiple=8, min_size=32).padded(97)
            104
        """
        return -(-max(side, self.min_size) // self.multiple) * self.multiple

    def padding(self, height: int, width: int) -> tuple[int, int]:
        """How much an image lacks to a size that the network takes.

        Args:
            height: of the image, in pixels.
            width: of the image, in pixels.

        Returns:
            Rows below and columns to the right.
        """
        return self.padded(height) - height, self.padded(width) - width

    def accepts(self, height: int, width: int) -> bool:
        """Whether the network takes an image of this size as it is.

        Args:
            height: of the image, in pixels.
            width: of the image, in pixels.

        Returns:
            False where it must be padded.
        """
        return self.padding(height, width) == (0, 0)

    def spans(self, size: int, tile: int) -> list[Span]:
        """Cuts an axis of ``size`` pixels into cores of even length, at most ``tile`` where ``multiple`` allows.

        All limits are multiples of ``multiple``, so that strided layers sample a tile where they sample the whole
        image. Halos end at the border of the image: a network has its own border treatment, which tiles must not hide.

        Args:
            size: of the axis, in pixels.
            tile: largest length of a core, in pixels.

        Returns:
            The spans in order; their cores cover the axis without overlap.
        """
        halo, smallest = _round_up(self.halo or 0, self.multiple), _round_up(self.min_size, self.multiple)
        step = _round_up(math.ceil(size / math.ceil(size / max(tile, 1))), self.multiple)
        spans = []
        for start in range(0, size, step):
            stop = min(start + step, size)
            first, last = max(0, start - halo), min(size, stop + halo)
            if last - first < smallest:
                first = max(0, last - smallest)
                last = min(size, first + smallest)
            spans.append(Span(slice(start, stop), slice(first, last)))
        return spans

    def tiles(self, height: int, width: int, tile: int) -> list[tuple[Span, Span]]:
        """Cut an image into tiles.

        Args:
            height: of the image, in pixels.
            width: of the image, in pixels.
            tile: largest side of what a tile contributes, in pixels.

        Returns:
            Rows and columns of each tile, row by row.
        """
        columns = self.spans(width, tile)
        return [(row, column) for row in self.spans(height, tile) for column in columns]


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
