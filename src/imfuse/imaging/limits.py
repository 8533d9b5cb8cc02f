"""Black and white by the percentile rule, and doubts about limits that do not fit a picture."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging.nodata import Mask

TOLERANCE = 1e-3
"""How far beyond 0..1 a floating picture may go and still count as one of 0..1: what filters and rounding add."""

_PERCENTILES = (0.5, 99.5)
# In spans of the picture: none of 393 published pictures has a group of pixels so far out.
_FAR = 5
# In smallest spans: 16 kelvin, which takes a body into a scene at room temperature.
_ROOM = 16
_MOST_CLIPPED = 0.99
_DEPTHS = (8, 10, 12, 14)
# What programs write where nothing was measured, besides the extremes of integers.
_FILLERS = (0, -999, -9999, -99999, -32767, -32768)
_HUGE = 1e10
# So many pixels move a percentile; spans of the others.
_MANY, _APART = 0.005, 3


def percentile_limits(pixels: npt.NDArray[Any], missing: Mask | None, thermal: bool) -> tuple[float, float]:
    """Limits by the rule that :func:`imfuse.imaging.to_unit` explains; equal ones for a constant picture."""
    values = pixels if missing is None else pixels[~missing]
    low, high = _percentiles(values)
    even = low == high
    if even:
        low, high = float(values.min()), float(values.max())
    if not thermal or low == high:
        return low, high
    smallest = smallest_span(values)
    far = _FAR * max(high - low, smallest)
    bottom, top = (None, None) if even else _far_groups(pixels, missing, low - far, high + far)
    room = _ROOM * smallest
    reach_low, reach_high = low - room, high + room
    if high - low < smallest:
        low, high = (low + high - smallest) / 2, (low + high + smallest) / 2
    return (
        low if bottom is None else max(bottom, reach_low),
        high if top is None else min(top, reach_high),
    )


def smallest_span(values: npt.NDArray[Any]) -> float:
    """The least that lies between black and white of an infrared picture, so that its noise is not stretched.

    About one kelvin. The noise of an uncooled camera is 0.05 kelvin, of which the percentiles span five to six times as
    much: a quarter of the range then, and not all of it. Floating temperatures are in kelvin or degrees; cameras that
    store 16 bits count in hundredths of a kelvin at the finest; 8 levels are what gain control leaves of noise.
    """
    if values.dtype.kind != "f":
        return 8 if values.dtype.itemsize == 1 else 100
    return 8 / 255 if is_normalised(values) else 1


def limits_text(low: float, high: float) -> str:
    """``LOW,HIGH``, from which exactly these two numbers are read back.

    >>> limits_text(7012.5, 65535.0)
    '7012.5,65535'
    """
    return ",".join(f"{float(value)!r}".removesuffix(".0") for value in (low, high))


def is_normalised(values: npt.NDArray[Any]) -> bool:
    """Whether floating values lie in 0..1, up to :data:`TOLERANCE`."""
    return bool(values.min() >= -TOLERANCE and values.max() <= 1 + TOLERANCE)


def doubt_clipping(values: npt.NDArray[Any], low: float, high: float, parameter: str, name: str) -> None:
    """Note that a range that was given shows next to nothing of a picture."""
    values = _exact(values)
    clipped = float(np.mean((values < low) | (values > high)))
    if clipped > _MOST_CLIPPED:
        own = float(values.min()), float(values.max())
        advice = (f"use {parameter}='{limits_text(*own)}'",) if own[0] < own[1] else ()
        note(
            f"{printable(name)}: the range {low:g}..{high:g} clips {100 * clipped:.4g} % of the picture, whose values "
            f"are {own[0]:g}..{own[1]:g}",
            *advice,
            f"use {parameter}='percentile'",
        )


def doubt_fillers(values: npt.NDArray[Any], parameter: str, name: str) -> None:
    """Note that many pixels have one value far from all others, which stands for no data in other pictures."""
    for extreme in (values.min(), values.max()):
        others = values[values != extreme]
        number = values.size - others.size
        if not (_is_filler(extreme) and others.size and number > _MANY * values.size):
            continue
        low, high = float(others.min()), float(others.max())
        span = max(float(np.ptp(np.percentile(_exact(others), _PERCENTILES))), smallest_span(others))
        if low < high and min(abs(low - float(extreme)), abs(high - float(extreme))) > _APART * span:
            note(
                f"{printable(name)}: {number} pixels are {extreme:g}, the others {low:g}..{high:g}; if they hold no "
                "data, they spoil the range",
                "mask them (numpy.ma), or name the value as nodata in the TIFF file",
                f"use {parameter}='{limits_text(low, high)}'",
            )


def _is_filler(value: Any) -> bool:
    if value.dtype.kind == "f":
        return bool(value in _FILLERS or abs(value) >= _HUGE)
    return int(value) in (*_FILLERS, np.iinfo(value.dtype).min, np.iinfo(value.dtype).max)


def doubt_depth(values: npt.NDArray[Any], parameter: str, name: str) -> None:
    """Note that values of fewer bits in a picture of 16 are shown dark."""
    low, high = int(values.min()), int(values.max())
    bits = next((bits for bits in _DEPTHS if high < 2**bits), None)
    if bits is None or high == 0:
        return
    note(
        f"{printable(name)}: the values {low}..{high} fit into {bits} bits; by the range 0..65535 of 16 bits the "
        f"brightest is at {100 * high / 65535:.2g} % of white",
        f"use {parameter}='0,{2**bits - 1}'",
        f"use {parameter}='0,65535' if it is meant to be dark",
    )


def _percentiles(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Those of ``np.percentile``; by a histogram where the values are 8 bits, as those of most videos are."""
    if values.dtype != np.uint8:
        low, high = np.percentile(_exact(values), _PERCENTILES)
        return float(low), float(high)
    counts = cv2.calcHist([np.ascontiguousarray(values).reshape(1, -1)], [0], None, [256], [0, 256])
    upto = np.cumsum(counts.astype(np.float64).ravel())
    places = np.array(_PERCENTILES) / 100 * (upto[-1] - 1)
    below, above = (np.searchsorted(upto, np.floor(places) + step, side="right") for step in (0, 1))
    low, high = below + (np.minimum(above, 255) - below) * (places - np.floor(places))
    return float(low), float(high)


def _exact(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """float64 for floating values: in float32 close or extreme limits would collapse or overflow."""
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def _far_groups(
    pixels: npt.NDArray[Any], missing: Mask | None, low: float, high: float
) -> tuple[float | None, float | None]:
    """The extremes beyond two values among pixels that are not alone there; ``None`` where there are none."""
    values = _exact(pixels)
    below, above = _grouped(values < low, missing), _grouped(values > high, missing)
    return (
        None if below is None else float(pixels[below].min()),
        None if above is None else float(pixels[above].max()),
    )


def _grouped(far: Mask, missing: Mask | None) -> Mask | None:
    """Pixels with at least two neighbours of their kind: a dead pixel, or a pair of them, has fewer."""
    plane = cast(Mask, far.any(axis=2)) if far.ndim == 3 else far
    if missing is not None:
        plane = plane & ~missing
    if not plane.any():
        return None
    number = cv2.filter2D(plane.astype(np.uint8), -1, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT)
    grouped = plane & (number > 2)
    return grouped if grouped.any() else None
