"""How a source is brought to gray levels: as it was fused, or as `fuse` would take it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from imfuse.core.errors import ImageError
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.fusing.alignment import RIG
from imfuse.fusing.folder import ALIGNMENT, INFRARED_PALETTE, INFRARED_RANGE, VISIBLE_RANGE
from imfuse.imaging import Range, parse_range, read_metadata
from imfuse.imaging.palette import PALETTES

Origin = Literal["given", "as fused", "auto"]
Ranges: TypeAlias = "tuple[Range | None, Range | None]"
"""Of the infrared and of the visible picture; ``None`` where nothing is said."""


class FusedBy(NamedTuple):
    """How the sources of a fused picture were taken, as far as it is known.

    Attributes:
        ranges: those of both sources.
        palette: that of the infrared picture, as :class:`imfuse.Fuser` takes it.
        rig: digest of the rig by which the infrared picture came to the visible one; empty where there was none.
        aligned: whether the infrared picture was brought to the visible one by what the pair shows.
    """

    ranges: Ranges = (None, None)
    palette: str = "auto"
    rig: str = ""
    aligned: bool = False


@dataclass(frozen=True)
class UsedRange:
    """Which values of a source were black and white for the metrics, and why these.

    Args:
        low: what became 0.
        high: what became 255.
        origin: "given" by the caller, "as fused" by the metadata of the fused picture, or "auto", the rule by which
            :class:`imfuse.Fuser` brings pictures to a range if nothing else is said.
        unit: "C" for degrees Celsius; nothing for stored values.

    Example:
        >>> print(UsedRange(7012.5, 8990.0, "as fused"))
        7012.5..8990 (as fused)
    """

    low: float
    high: float
    origin: Origin
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.low:g}{self.unit}..{self.high:g}{self.unit} ({self.origin})"


def stored_settings(fused: str | os.PathLike[str]) -> FusedBy:
    """What the metadata of a fused file tell; a range that cannot be read there is noted, and ignored."""
    metadata = read_metadata(fused)
    ranges = _parsed(fused, metadata.get(INFRARED_RANGE)), _parsed(fused, metadata.get(VISIBLE_RANGE))
    palette = metadata.get(INFRARED_PALETTE)
    known = palette if palette in (*PALETTES, "none") else "auto"
    return FusedBy(ranges, known, metadata.get(RIG, ""), bool(metadata.get(ALIGNMENT)))


def _parsed(fused: str | os.PathLike[str], text: str | None) -> Range | None:
    if text is None:
        return None
    try:
        low, high = text.split(",")
        # A picture of one value has equal ones: it was shown as 0.5.
        return Range("minmax") if float(low.removesuffix("C")) == float(high.removesuffix("C")) else parse_range(text)
    except (ValueError, ImageError):
        pass
    note(
        f"{printable(os.fspath(fused))}: LOW,HIGH is expected in its metadata as the range of a source, found "
        f"{printable(text[:40])!r}",
        "say by which it was fused, range='LOW,HIGH' and visible_range='LOW,HIGH'",
    )
    return None


def summary_of(ranges: Iterable[UsedRange]) -> str:
    """Ranges in a few words: the only one, or between which limits they are; and why these.

    >>> summary_of([UsedRange(0, 255, "auto"), UsedRange(10, 99.5, "as fused")])
    '2 ranges within 0..255 (as fused, auto)'
    """
    used = list(ranges)
    limits = {(one.low, one.high) for one in used}
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    number = "" if len(limits) == 1 else f"{len(limits)} ranges within "
    units = {one.unit for one in used}
    unit = units.pop() if len(units) == 1 else ""
    return f"{number}{low:g}{unit}..{high:g}{unit} ({', '.join(sorted({one.origin for one in used}))})"
