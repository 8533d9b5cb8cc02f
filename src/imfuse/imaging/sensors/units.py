"""Units in which thermal pictures store temperatures, where a file does not say so or its reader cannot know."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.core.text import printable
from imfuse.imaging._support import LayoutError
from imfuse.imaging.sensors.sensor import Sensor, View

DJI_APPROXIMATION, DJI_IIRP = "dji-approximation", "DJI iirp"
FLIR = "FLIR"
_ZERO = -273.15
UNITS: dict[str, tuple[float, float]] = {
    "celsius": (1, 0),
    "decicelsius": (0.1, 0),
    "centicelsius": (0.01, 0),
    "kelvin": (1, _ZERO),
    "decikelvin": (0.1, _ZERO),
    "centikelvin": (0.01, _ZERO),
    "tlinear": (0.04, _ZERO),
    "tlinear-low": (0.4, _ZERO),
    DJI_APPROXIMATION: (1 / 64, _ZERO),
}
"""Names of units of stored values, with scale and offset to degrees Celsius; ``tlinear`` is that of FLIR's cores."""
_EXPECTED = f"auto, {', '.join(UNITS)}, or SCALE,OFFSET such as 0.01,-273.15"
_GAIN = re.compile(rb"TlinearGain(?:=[\"']|>)\s*([0-9.]{1,12})")
_GAINS = (0.001, 1.0)
OWN_UNIT = "imfuse:unit"
"""Key in the description of a TIFF file that imfuse wrote, of what its values are."""
_OWN_CELSIUS = f'"{OWN_UNIT}": "celsius"'.encode()
# What a picture of everyday things holds: degrees, and the units in which these are usual for integers.
_USUAL = (-40.0, 100.0)
_INTEGERS = ("centikelvin", "tlinear", "decikelvin")


@dataclass(frozen=True)
class Linear:
    """Temperatures that are stored values times a scale, and an offset."""

    scale: float
    offset: float

    def celsius(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Degrees of stored values."""
        values: npt.NDArray[np.float64] = np.multiply(pixels, self.scale, dtype=np.float64)
        values += self.offset
        return values.astype(np.float32)


def parse_units(text: str) -> Linear | None:
    """Read what stored values are; ``None`` for ``auto``. Raises ``ImageError`` for what is no unit."""
    if text == "auto":
        return None
    if text in UNITS:
        return Linear(*UNITS[text])
    try:
        scale, offset = (float(part) for part in text.split(","))
    except (ValueError, AttributeError) as error:
        raise ImageError(f"units={printable(text)!r}: expected {_EXPECTED}") from error
    if not (scale > 0 and math.isfinite(scale) and math.isfinite(offset)):
        raise ImageError(f"units={printable(text)!r}: a positive scale and a finite offset are expected")
    return Linear(scale, offset)


def with_units(sensor: Sensor | None, units: str) -> Sensor | None:
    """A sensor whose pixels are in units that were named. Raises ``LayoutError`` where they cannot be."""
    linear = parse_units(units)
    if linear is None:
        return sensor
    family = "unknown" if sensor is None else sensor.family
    if units == DJI_APPROXIMATION and family != DJI_IIRP:
        raise LayoutError(
            f"a file of DJI's family iirp is expected for units={units!r}, this is {family}; its degrees need the "
            "software of the camera's maker"
        )
    known = Sensor(family) if sensor is None else sensor
    return replace(known, celsius=linear.celsius, facts={**known.facts, "units": units})


def check_conditions(sensor: Sensor | None, view: View) -> None:
    """Raise ``LayoutError`` where conditions are given of what is no radiometric file of FLIR."""
    if not view.conditions.given:
        return
    name, value = next(iter(view.conditions.given.items()))
    if view.units != "auto":
        raise LayoutError(f"{name}={value:g} beside units={view.units!r}, by which temperatures are what is stored")
    if sensor is None or "parameters" not in sensor.facts or sensor.family != FLIR:
        found = "an ordinary picture" if sensor is None else f"a file of {sensor.family}"
        raise LayoutError(
            f"{name}={value:g} is for a radiometric JPEG of FLIR with the constants of its camera, this is {found}",
            f"leave out {name}=...",
        )


def declared(xmp: bytes, description: bytes) -> Sensor | None:
    """What a TIFF file says of its values: a gain in its XMP, or the unit that imfuse wrote."""
    if _OWN_CELSIUS in description:
        return Sensor("imfuse", Linear(*UNITS["celsius"]).celsius, facts={"units": "celsius"})
    found = _GAIN.search(xmp)
    gain = float(found[1]) if found and re.fullmatch(rb"\d*\.?\d+", found[1]) else 0.0
    if not _GAINS[0] <= gain <= _GAINS[1]:
        return None
    return Sensor("FLIR TIFF", Linear(gain, _ZERO).celsius, facts={"units": f"{gain:g},{_ZERO}", "declared": True})


def likely_units(pixels: npt.NDArray[Any]) -> str:
    """The unit by which a gray picture would show usual temperatures; nothing where none or only guesses fit."""
    if pixels.ndim != 2 or pixels.dtype.itemsize < 2:
        return ""
    values = np.ma.masked_invalid(pixels) if pixels.dtype.kind == "f" else pixels
    low, high = float(values.min()), float(values.max())
    names = ("celsius", "kelvin") if pixels.dtype.kind == "f" else _INTEGERS
    for name in names:
        linear = Linear(*UNITS[name])
        degrees = [linear.scale * value + linear.offset for value in (low, high)]
        # Of values about zero anything may be said.
        if _USUAL[0] <= degrees[0] < degrees[1] <= _USUAL[1] and high > 1.5:
            return name
    return ""
