"""Pictures of sensors on their way to black and white: in degrees where these are known, by windows where these are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.core.text import printable
from imfuse.imaging.limits import limits_text
from imfuse.imaging.range import Range, to_unit
from imfuse.imaging.sensors.sensor import Sensor
from imfuse.imaging.sensors.units import DJI_APPROXIMATION, DJI_IIRP, likely_units


class Limits(NamedTuple):
    """What became black and white: stored values, or degrees where ``unit`` is "C"."""

    low: float
    high: float
    unit: str = ""

    @property
    def text(self) -> str:
        """From which exactly these limits are read back.

        >>> Limits(20.5, 40, "C").text
        '20.5C,40C'
        """
        return ",".join(part + self.unit for part in limits_text(self.low, self.high).split(","))


@dataclass(frozen=True)
class Shown:
    """The values of a picture that a range is about, and the range without its unit."""

    values: npt.NDArray[Any]
    range: Range
    unit: str = ""
    inverted: bool = False

    def to_unit(self, *, thermal: bool = False, name: str = "image") -> tuple[npt.NDArray[np.float32], Limits]:
        """What `imfuse.imaging.to_unit` makes of them."""
        unit, low, high = to_unit(self.values, self.range, thermal=thermal, name=name)
        return (1 - unit if self.inverted else unit), Limits(low, high, self.unit)


def shown(pixels: npt.NDArray[Any], sensor: Sensor | None, range_: Range, name: str, parameter: str = "range") -> Shown:
    """Degrees where the range is in degrees, or nothing else is said and they are known; else the stored values.

    Args:
        pixels: a picture as stored.
        sensor: what its file says.
        range_: what becomes black and white.
        name: what errors call the picture.
        parameter: what errors call the range.

    Raises:
        ImageError: the range is in degrees, and the file knows none.
    """
    if sensor is not None and sensor.celsius is not None and (range_.celsius or range_.kind != "limits"):
        return Shown(in_degrees(pixels, sensor), Range(range_.kind, range_.low, range_.high), "C")
    if range_.celsius:
        likely = DJI_APPROXIMATION if sensor is not None and sensor.family == DJI_IIRP else likely_units(pixels)
        found = f"are; they look like {likely}" if likely else f"{pixels.min():g}..{pixels.max():g} are"
        raise ImageError(
            f"{printable(name)}: the range is in degrees, and nothing in the file says which its values {found}",
            f"say so by units={likely!r}" if likely else "say what they are by units=...",
            f"give {parameter}='LOW,HIGH' in stored values",
        )
    inverted = sensor is not None and sensor.inverted
    if sensor is not None and sensor.window is not None and range_.kind == "auto":
        return Shown(pixels, Range("limits", *sensor.window), inverted=inverted)
    return Shown(pixels, range_, inverted=inverted)


def in_degrees(pixels: npt.NDArray[Any], sensor: Sensor) -> npt.NDArray[np.float32]:
    """Degrees Celsius, masked where the pixels are."""
    assert sensor.celsius is not None
    degrees = sensor.celsius(np.ma.getdata(pixels))
    return np.ma.MaskedArray(degrees, np.ma.getmask(pixels)) if isinstance(pixels, np.ma.MaskedArray) else degrees
