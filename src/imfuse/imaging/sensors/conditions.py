"""Conditions of a radiometric picture that the user knows better than the camera, whose own are often its defaults."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, replace

from imfuse.core.errors import ImageError
from imfuse.core.text import printable
from imfuse.imaging.range import DEGREES
from imfuse.imaging.sensors.planck import ZERO, Planck

_TEMPERATURE = re.compile(r"([+-]?[0-9]*\.?[0-9]+)([cfk])")
_LIMITS: dict[str, tuple[float, float, str]] = {
    "emissivity": (0.001, 1, ""),
    "distance": (0, 10_000, " metres"),
    "reflected": (-ZERO, 5_000, " degrees Celsius"),
    "ambient": (-ZERO, 5_000, " degrees Celsius"),
    "humidity": (0, 1, ", a fraction"),
}


@dataclass(frozen=True)
class Conditions:
    """Under which conditions a radiometric picture was taken; what is ``None`` is as the camera recorded it.

    Args:
        emissivity: of the object, above 0 and at most 1.
        distance: of the object, in metres.
        reflected: temperature of what the object reflects, in degrees Celsius.
        ambient: temperature of the air, in degrees Celsius.
        humidity: of the air, from 0 to 1.

    Raises:
        ImageError: a value is impossible.

    Example:
        >>> Conditions(emissivity=0.95, reflected=20).given
        {'emissivity': 0.95, 'reflected': 20}
    """

    emissivity: float | None = None
    distance: float | None = None
    reflected: float | None = None
    ambient: float | None = None
    humidity: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.given.items():
            low, high, unit = _LIMITS[name]
            if not low <= value <= high:
                raise ImageError(f"{name}={value:g}: {low:g} to {high:g}{unit} is expected")

    @property
    def given(self) -> dict[str, float]:
        """Those that are not as recorded."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


AS_RECORDED = Conditions()
"""Nothing is known better."""


def under(conditions: Conditions, planck: Planck) -> Planck:
    """The constants of a camera, with conditions that are others than it recorded."""

    def known(given: float | None, recorded: float, zero: float = 0.0) -> float:
        return recorded if given is None else given + zero

    return replace(
        planck,
        emissivity=known(conditions.emissivity, planck.emissivity),
        distance=known(conditions.distance, planck.distance),
        reflected=known(conditions.reflected, planck.reflected, ZERO),
        air=known(conditions.ambient, planck.air, ZERO),
        humidity=known(conditions.humidity, planck.humidity),
    )


def parse_temperature(text: str, name: str) -> float:
    """Read a temperature such as `20C`, `68F` or `293K`, as degrees Celsius; ``name`` is what errors call it.

    Raises:
        ImageError: it is none.

    Example:
        >>> parse_temperature("68F", "reflected")
        20.0
    """
    found = _TEMPERATURE.fullmatch(text.strip().lower())
    if found is None or not math.isfinite(float(found[1])):
        raise ImageError(f"{name}={printable(text)!r}: a temperature such as 20C, 68F or 293K is expected")
    scale, zero = DEGREES[found[2]]
    return (float(found[1]) - zero) * scale
