"""How stored values become [0, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.core.text import printable

Kind = Literal["auto", "full", "percentile", "minmax", "limits"]
_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
_FORMS = "auto, full, percentile, minmax, or LOW,HIGH in stored units such as 7000,9000"
_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Range:
    """A rule for what becomes 0 and what becomes 1; `to_unit` explains the kinds.

    Args:
        kind: "auto", "full", "percentile", "minmax" or "limits".
        low: the stored value that becomes 0; only for "limits".
        high: the stored value that becomes 1; only for "limits".

    Raises:
        ImageError: LOW and HIGH are missing, not finite or not in order, or given for another kind.

    Example:
        >>> str(Range("limits", 7000, 9000))
        '7000,9000'
    """

    kind: Kind = "auto"
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ImageError(f"range {self.kind!r}: expected {_FORMS}")
        if self.kind != "limits":
            if self.low is not None or self.high is not None:
                raise ImageError(f"range {self.kind!r} takes no limits; expected {_FORMS}")
            return
        if self.low is None or self.high is None:
            raise ImageError(f"a range of limits needs LOW and HIGH; expected {_FORMS}")
        if not (self.low < self.high and math.isfinite(self.high - self.low)):
            raise ImageError(f"range {self.low!r},{self.high!r}: finite numbers with LOW < HIGH are expected")

    def __str__(self) -> str:
        return self.kind if self.kind != "limits" else f"{self.low!r},{self.high!r}"


def parse_range(text: str) -> Range:
    """Read a rule from text; `str` of the result parses back to an equal one.

    Args:
        text: `auto`, `full`, `percentile`, `minmax`, or `LOW,HIGH` in stored units.

    Returns:
        The rule.

    Raises:
        ImageError: the text is none of these, or not LOW < HIGH, both finite.

    Example:
        >>> parse_range("7000,9000")
        Range(kind='limits', low=7000.0, high=9000.0)
    """
    word = text.strip().lower()
    if word in _KINDS and word != "limits":
        return Range(_KINDS[word])
    try:
        low, high = (float(part) for part in word.split(","))
    except ValueError as error:
        raise ImageError(f"range {printable(text)!r}: expected {_FORMS}") from error
    return Range("limits", low, high)


def to_unit(
    pixels: npt.NDArray[Any], range_: Range, *, thermal: bool = False, name: str = "image"
) -> tuple[npt.NDArray[np.float32], float, float]:
    """Map stored values linearly to [0, 1]; values outside the limits are clipped. All channels share the limits.

    - full: 0..255 (uint8), 0..65535 (uint16), 0..1 (floating).
    - percentile: the 0.5 % and 99.5 % percentiles of the values; the extremes where these two coincide, so that a
      small hot spot on an even background is kept.
    - minmax: the extremes.
    - LOW,HIGH: these stored values.
    - auto: full for uint8; percentile for a thermal uint16 picture, full for any other uint16 picture; full for a
      floating picture inside [0, 1], percentile for a thermal one outside it, and an error for any other.

    A constant picture under percentile or minmax becomes 0.5 everywhere: it has no contrast to show.

    Args:
        pixels: (H, W) or (H, W, 3); uint8, uint16, or floating and finite in float32.
        range_: the rule.
        thermal: the picture is the infrared one, which `auto` treats differently.
        name: what errors call the picture, usually its file.

    Returns:
        The float32 array in [0, 1] and the two stored values that became 0 and 1.

    Raises:
        ImageError: another type, an empty or not finite picture, or a floating visible picture that `auto` cannot map.

    Example:
        >>> unit, low, high = to_unit(np.uint16([[7000, 8000, 9000]]), parse_range("minmax"))
        >>> unit, low, high
        (array([[0. , 0.5, 1. ]], dtype=float32), 7000.0, 9000.0)
    """
    _check(pixels, name)
    kind = _resolve(pixels, range_, thermal, name)
    if kind == "full":
        return _full(pixels)
    low, high = _limits(pixels, range_, kind)
    if low == high:
        return np.full(pixels.shape, 0.5, np.float32), low, high
    # float64: in float32 close or extreme limits would collapse to one value or overflow.
    with np.errstate(over="ignore"):
        unit = np.subtract(pixels, low, dtype=np.float64)
        unit /= high - low
    np.clip(unit, 0, 1, out=unit)
    return unit.astype(np.float32), low, high


def _check(pixels: npt.NDArray[Any], name: str) -> None:
    if pixels.dtype not in (np.uint8, np.uint16) and pixels.dtype.kind != "f":
        raise ImageError(f"{printable(name)}: uint8, uint16 or floating pixels are expected, found {pixels.dtype}")
    if pixels.size == 0:
        raise ImageError(f"{printable(name)}: the picture is empty, shape {pixels.shape}")
    with np.errstate(over="ignore"):
        if pixels.dtype.kind == "f" and not np.isfinite(pixels.astype(np.float32, copy=False)).all():
            raise ImageError(f"{printable(name)}: NaN or infinite values found, finite float32 numbers are expected")


def _resolve(pixels: npt.NDArray[Any], range_: Range, thermal: bool, name: str) -> str:
    if range_.kind != "auto":
        return range_.kind
    if pixels.dtype == np.uint8:
        return "full"
    if pixels.dtype == np.uint16:
        return "percentile" if thermal else "full"
    low, high = float(pixels.min()), float(pixels.max())
    if low >= 0 and high <= 1:
        return "full"
    if thermal:
        return "percentile"
    raise ImageError(
        f"{printable(name)}: floating values {low:g}..{high:g} found, 0..1 is expected for a visible picture",
        "say how to map them by visible_range='percentile', 'minmax' or 'LOW,HIGH'",
    )


def _full(pixels: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], float, float]:
    if pixels.dtype.kind == "f":
        return np.clip(pixels, 0, 1).astype(np.float32), 0.0, 1.0
    top = float(np.iinfo(pixels.dtype).max)
    return pixels.astype(np.float32) / np.float32(top), 0.0, top


def _limits(pixels: npt.NDArray[Any], range_: Range, kind: str) -> tuple[float, float]:
    if kind == "limits" and range_.low is not None and range_.high is not None:
        return float(range_.low), float(range_.high)
    if kind == "percentile":
        values = pixels.astype(np.float64) if pixels.dtype.kind == "f" else pixels
        low, high = (float(value) for value in np.percentile(values, _PERCENTILES))
        if low < high:
            return low, high
    return float(pixels.min()), float(pixels.max())
