"""How stored values become [0, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.core.text import printable
from imfuse.imaging.limits import doubt_clipping, doubt_depth, doubt_fillers, is_normalised, percentile_limits
from imfuse.imaging.nodata import fill_no_data

Kind = Literal["auto", "full", "percentile", "minmax", "steady", "limits"]
_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
_FORMS = (
    "auto, full, percentile, minmax, steady, LOW,HIGH in stored units such as 7000,9000, or in degrees such as 20C,40C"
)
# Degrees Celsius are the scale times what is above the zero point.
DEGREES = {"c": (1.0, 0.0), "k": (1.0, 273.15), "f": (5 / 9, 32.0)}
_TYPES = ("uint8", "uint16", "int16", "int32", "uint32")


@dataclass(frozen=True)
class Range:
    """A rule for what becomes 0 and what becomes 1; `to_unit` explains the kinds.

    Args:
        kind: "auto", "full", "percentile", "minmax", "steady" or "limits".
        low: the stored value that becomes 0; only for "limits".
        high: the stored value that becomes 1; only for "limits".
        celsius: the limits are degrees Celsius, of a picture whose file knows temperatures.

    Raises:
        ImageError: LOW and HIGH are missing, not finite or not in order, or given for another kind.

    Example:
        >>> str(Range("limits", 7000, 9000))
        '7000,9000'
    """

    kind: Kind = "auto"
    low: float | None = None
    high: float | None = None
    celsius: bool = False

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ImageError(f"range {self.kind!r}: expected {_FORMS}")
        if self.kind != "limits":
            if self.low is not None or self.high is not None or self.celsius:
                raise ImageError(f"range {self.kind!r} takes no limits; expected {_FORMS}")
            return
        if self.low is None or self.high is None:
            raise ImageError(f"a range of limits needs LOW and HIGH; expected {_FORMS}")
        if not (self.low < self.high and math.isfinite(self.high - self.low)):
            raise ImageError(f"range {self.low!r},{self.high!r}: finite numbers with LOW < HIGH are expected")

    def __str__(self) -> str:
        unit = "C" if self.celsius else ""
        return self.kind if self.kind != "limits" else f"{self.low!r}{unit},{self.high!r}{unit}"


def parse_range(text: str) -> Range:
    """Read a rule from text; `str` of the result parses back to an equal one.

    Args:
        text: `auto`, `full`, `percentile`, `minmax`, `steady`, or `LOW,HIGH` in stored units; in degrees with `C`
            (Celsius), `F` or `K` behind both.

    Returns:
        The rule.

    Raises:
        ImageError: the text is none of these, or not LOW < HIGH, both finite.

    Example:
        >>> parse_range("7000,9000")
        Range(kind='limits', low=7000.0, high=9000.0, celsius=False)
        >>> str(parse_range("20C,40C")), str(parse_range("68F,104F"))
        ('20.0C,40.0C', '20.0C,40.0C')
    """
    word = text.strip().lower()
    if word in _KINDS and word != "limits":
        return Range(_KINDS[word])
    parts = [part.strip() for part in word.split(",")]
    units = {part[-1:] for part in parts if part[-1:] in DEGREES}
    unit = units.pop() if len(units) == 1 else ""
    scale, zero = DEGREES.get(unit, (1.0, 0.0))
    try:
        low, high = ((float(part.removesuffix(unit) if unit == part[-1:] else part) - zero) * scale for part in parts)
    except ValueError as error:
        raise ImageError(f"range {printable(text)!r}: expected {_FORMS}") from error
    if unit and not all(part.endswith(unit) for part in parts):
        raise ImageError(f"range {printable(text)!r}: one unit of both limits is expected, such as 20C,40C")
    return Range("limits", low, high, celsius=bool(unit))


RangeLike: TypeAlias = "str | Range | tuple[float, float]"
"""What stands for a rule: its text, itself, or the two limits."""


def as_range(value: RangeLike) -> Range:
    """Take a rule as text, as it is, or as two limits.

    Args:
        value: what :func:`parse_range` reads, a :class:`Range`, or ``(LOW, HIGH)`` in stored units.

    Returns:
        The rule.

    Raises:
        ImageError: it is none of these, or not LOW < HIGH, both finite.

    Example:
        >>> as_range((7000, 9000)) == as_range("7000,9000")
        True
    """
    if isinstance(value, Range):
        return value
    if isinstance(value, str):
        return parse_range(value)
    try:
        low, high = (float(limit) for limit in value)
    except (TypeError, ValueError) as error:
        raise ImageError(f"range {printable(repr(value))}: expected {_FORMS}") from error
    return Range("limits", low, high)


def to_unit(
    pixels: npt.NDArray[Any], range_: Range, *, thermal: bool = False, name: str = "image"
) -> tuple[npt.NDArray[np.float32], float, float]:
    """Map stored values linearly to [0, 1]; values outside the limits are clipped. All channels share the limits.

    - full: 0..255 (uint8), 0..65535 (other integers, whose values have to lie there), 0..1 (floating).
    - percentile: the 0.5 % and 99.5 % percentiles of the values; the extremes where these two coincide, so that a
      small hot spot on an even background is kept.
    - minmax: the extremes.
    - steady: percentile; over the frames of a stream its limits move slowly (:func:`imfuse.stream`).
    - LOW,HIGH: these stored values.
    - auto: full for uint8; percentile for a thermal picture of other integers, full for a visible one; full for a
      floating picture inside [0, 1], percentile for a thermal one outside it, and an error for a visible one. What is
      at most 0.001 outside, as by filters and rounding, counts as inside, and is clipped.

    For a thermal picture percentile has two more rules, so that neither noise nor a small target is lost in the other:

    - The limits are at least about one kelvin apart (1 in floating pictures, 100 in integers, 8 in uint8, 8 / 255 in
      floating pictures of 0..1); closer ones are moved apart, with their middle at 0.5. The noise of an even scene,
      some 0.3 kelvin between the percentiles, is not stretched over all grays.
    - Three or more pixels that touch, further than five spans (the larger of the percentiles' and the smallest)
      beyond a percentile, are a target: their extreme becomes the limit, but no more than 16 smallest spans beyond
      the percentile, so that the scene keeps some grays. Fewer pixels are dead ones, and are clipped.

    A constant picture under percentile or minmax becomes 0.5 everywhere: it has no contrast to show.

    Pixels without data, masked ones (``numpy.ma``), NaN, infinity and the extremes of float32, count in none of this,
    and get the value of the nearest pixel that has data.

    Where limits that were given clip more than 99 % of a picture, or a visible picture of 16 bits holds values of at
    most 14 bits and so comes out dark, an :class:`imfuse.ImfuseWarning` names both ranges. Another one is about many
    pixels of one value far from all others, such as -9999, which were not marked as being without data.

    Args:
        pixels: (H, W) or (H, W, 3), or a masked array; uint8, uint16, int16, int32, uint32 or floating.
        range_: the rule.
        thermal: the picture is the infrared one, which `auto` and `percentile` treat differently.
        name: what errors call the picture, usually its file.

    Returns:
        The float32 array in [0, 1] and the two stored values that became 0 and 1.

    Raises:
        ImageError: another type, a picture that is empty or without any data, or values that have no full range.

    Example:
        >>> unit, low, high = to_unit(np.uint16([[7000, 8000, 9000]]), parse_range("minmax"))
        >>> unit, low, high
        (array([[0. , 0.5, 1. ]], dtype=float32), 7000.0, 9000.0)
    """
    _check(pixels, name)
    parameter = "range" if thermal else "visible_range"
    if range_.celsius:
        raise ImageError(
            f"{printable(name)}: the range is in degrees, and nothing says which temperatures these values are",
            f"give {parameter}='LOW,HIGH' in stored values",
        )
    pixels, missing = fill_no_data(pixels, name)
    values = pixels if missing is None else pixels[~missing]
    kind = _resolve(values, range_, thermal)
    if kind == "full":
        top = _top(values, range_, parameter, name)
        if top == 65535 and (thermal or range_.kind == "auto"):
            doubt_depth(values, parameter, name)
        unit: npt.NDArray[np.float32] = pixels.astype(np.float32) / np.float32(top)
        np.clip(unit, 0, 1, out=unit)
        return unit, 0.0, top
    if kind in ("percentile", "minmax") and pixels.dtype != np.uint8:
        doubt_fillers(values, parameter, name)
    if kind == "percentile":
        low, high = percentile_limits(pixels, missing, thermal)
    elif range_.low is not None and range_.high is not None:
        low, high = float(range_.low), float(range_.high)
        doubt_clipping(values, low, high, parameter, name)
    else:
        low, high = float(values.min()), float(values.max())
    return _between(pixels, low, high), low, high


def _between(pixels: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.float32]:
    if low == high:
        return np.full(pixels.shape, 0.5, np.float32)
    if pixels.dtype == np.uint8:
        table = _between(np.arange(256, dtype=np.int16), low, high)
        return np.asarray(cv2.LUT(pixels, table), np.float32).reshape(pixels.shape)
    # float64: in float32 close or extreme limits would collapse to one value or overflow.
    with np.errstate(over="ignore"):
        unit: npt.NDArray[np.float64] = np.subtract(pixels, low, dtype=np.float64)
        unit /= high - low
    np.clip(unit, 0, 1, out=unit)
    return unit.astype(np.float32)


def _check(pixels: npt.NDArray[Any], name: str) -> None:
    if pixels.dtype.name not in _TYPES and pixels.dtype.kind != "f":
        raise ImageError(
            f"{printable(name)}: integers of 8 bits, unsigned, of 16 or 32 bits, or floating pixels are expected, "
            f"found {pixels.dtype}"
        )
    if pixels.size == 0:
        raise ImageError(f"{printable(name)}: the picture is empty, shape {pixels.shape}")


def _resolve(values: npt.NDArray[Any], range_: Range, thermal: bool) -> Kind:
    if range_.kind == "steady":
        return "percentile"
    if range_.kind != "auto":
        return range_.kind
    if values.dtype == np.uint8 or not thermal:
        return "full"
    return "full" if values.dtype.kind == "f" and is_normalised(values) else "percentile"


def _top(values: npt.NDArray[Any], range_: Range, parameter: str, name: str) -> float:
    """What the full range of a picture ends with; it begins with 0."""
    floating = values.dtype.kind == "f"
    low, high = float(values.min()), float(values.max())
    if floating and (range_.kind == "full" or is_normalised(values)):
        return 1.0
    if floating or low < 0 or high > 65535:
        found, expected = ("floating values", "0..1") if floating else (f"{values.dtype} values", "0..65535")
        raise ImageError(
            f"{printable(name)}: {found} {low:g}..{high:g} found, {expected} is expected of the full range",
            f"say how to map them by {parameter}='LOW,HIGH', 'percentile' or 'minmax'",
        )
    return 255.0 if values.dtype == np.uint8 else 65535.0
