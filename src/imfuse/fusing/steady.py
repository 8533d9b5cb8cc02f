"""Black and white of a stream: limits that follow those of its frames slowly, and at once after a cut."""

from __future__ import annotations

import math
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.fusing.engine import Float
from imfuse.imaging import Range
from imfuse.imaging.inputs import Stored
from imfuse.imaging.limits import is_normalised, percentile_limits, smallest_span
from imfuse.imaging.nodata import no_data
from imfuse.imaging.sensors.display import shown

SETTLING = 4.0
"""Seconds after which limits have gone 63 % of the way to those of the frames, where the way is short."""
PACE = 0.05
"""The most that a limit moves in a second, in spans."""
_CUT, _CLIPPED = 0.2, 0.5
_BLOCKS = (32, 24)


class SteadyRange:
    """The range of a stream, estimated over time: ``range="steady"``.

    With p(t) the limits that the rule ``percentile`` finds in the frame at time t, s(t) the limits that it is shown
    by, and d the time since the frame before,

        s(t) = s(t - d) + clip((1 - exp(-d / 4 s)) (p(t) - s(t - d)), -m, m),  m = 0.05 d / s * (high - low of s(t - d))

    for low and high alike: nothing that enters changes the brightness of the scene by more than 5 % in a second. After
    a cut s(t) = p(t), as for the first frame. A cut is a frame of which, in blocks of 1 / 32 by 1 / 24 of the picture,
    the median change against the frame before is more than 0.2 of the span, or of which more than half of the blocks
    lie outside of the limits. Only this frame and those before it count, so that it works live.

    Args:
        thermal: the picture is the infrared one, for which ``percentile`` has rules of its own.

    Example:
        >>> steady = SteadyRange()
        >>> frame = np.linspace(100, 200, 10_000).reshape(100, 100).astype(np.uint8)
        >>> steady.follow(frame, 0.0)
        (100.0, 199.0)
        >>> frame[:20] = 255  # something hot enters
        >>> low, high = steady.follow(frame, 0.04)
        >>> round(high, 2)
        199.2
    """

    def __init__(self, *, thermal: bool = True) -> None:
        self.thermal = thermal
        self.limits: tuple[float, float] | None = None
        self._blocks: Float | None = None
        self._time = 0.0

    def range_of(self, picture: Stored, range_: Range, seconds: float) -> Range:
        """The rule for the next frame of a stream whose range is ``range_``.

        Limits for a steady one, and for ``auto`` where it would take percentiles of each frame; else as it is.

        Args:
            picture: the frame.
            range_: what was asked for.
            seconds: when it was taken.

        Returns:
            What :meth:`imfuse.fusing.engine.Engine.prepare` uses.
        """
        picture_shown = shown(picture.pixels, picture.sensor, range_, picture.name)
        values = picture_shown.values
        by_itself = range_.kind == "auto" and picture_shown.range.kind == "auto" and _is_raw(values, self.thermal)
        if range_.kind != "steady" and not by_itself:
            return range_
        try:
            low, high = self.follow(values, seconds)
        except ImageError:
            # Nothing in it is data: who prepares it says so in full.
            return Range("percentile")
        return Range("limits", low, high, celsius=bool(picture_shown.unit))

    def follow(self, values: npt.NDArray[Any], seconds: float) -> tuple[float, float]:
        """Limits for the next frame.

        Args:
            values: (H, W) or (H, W, 3), masked where they hold no data.
            seconds: when it was taken.

        Returns:
            The values that become black and white, low < high.

        Raises:
            ImageError: no pixel holds data.
        """
        missing = no_data(values)
        if missing is not None and missing.all():
            raise ImageError("no pixel holds data")
        plain = np.ma.getdata(values)
        found = _apart(percentile_limits(plain, missing, self.thermal), plain if missing is None else plain[~missing])
        blocks = _blocks_of(plain, missing)
        old, elapsed = self.limits, max(seconds - self._time, 0.0)
        if old is None or self._is_cut(blocks, old):
            self.limits = found
        else:
            share, most = 1 - math.exp(-elapsed / SETTLING), PACE * elapsed * (old[1] - old[0])
            low, high = (was + min(max(share * (now - was), -most), most) for was, now in zip(old, found, strict=True))
            self.limits = (low, high)
        self._blocks, self._time = blocks, seconds
        return self.limits

    def _is_cut(self, blocks: Float, limits: tuple[float, float]) -> bool:
        assert self._blocks is not None
        if blocks.shape != self._blocks.shape:
            return True
        change = np.abs(blocks - self._blocks)
        known = change[np.isfinite(change)]
        inside = blocks[np.isfinite(blocks)]
        clipped = np.mean((inside < limits[0]) | (inside > limits[1]))
        return bool((known.size and np.median(known) > _CUT * (limits[1] - limits[0])) or clipped > _CLIPPED)


def _is_raw(values: npt.NDArray[Any], thermal: bool) -> bool:
    """Whether ``auto`` shows such a picture by its percentiles."""
    if not thermal or values.dtype == np.uint8:
        return False
    if values.dtype.kind != "f":
        return True
    missing = no_data(values)
    known = np.ma.getdata(values) if missing is None else np.ma.getdata(values)[~missing]
    return bool(known.size) and not is_normalised(known)


def _apart(limits: tuple[float, float], values: npt.NDArray[Any]) -> tuple[float, float]:
    """Limits that differ, round the same middle: those of an even picture do not."""
    low, high = limits
    if low < high:
        return limits
    half = smallest_span(values) / 2
    return low - half, high + half


def _blocks_of(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None) -> Float:
    """Means of blocks, NaN where a pixel of one holds no data."""
    plane = values.mean(axis=2) if values.ndim == 3 else values
    plane = plane.astype(np.float32 if plane.dtype != np.uint8 else np.uint8, copy=False)
    if missing is not None:
        plane = np.where(missing, np.nan, plane).astype(np.float32)
    size = min(_BLOCKS[0], plane.shape[1]), min(_BLOCKS[1], plane.shape[0])
    return cast(Float, cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32))
