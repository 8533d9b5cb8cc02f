"""What a file of a sensor says about its picture, and which part of the file is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from imfuse.imaging.sensors.conditions import AS_RECORDED, Conditions

Celsius: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]
"""From counts of a sensor to degrees Celsius; NaN where a count is no measurement."""


@dataclass(frozen=True)
class View:
    """Which picture of a file is read, where it holds several, and what its numbers mean.

    Args:
        frame: of a file with several frames or times, the first being 0; its middle one where none is named.
        slice: of a volume: `axial`, `coronal` or `sagittal`, alone for the middle or with a number, as `axial:40`.
        window: what of a CT or MR picture is black and white: `CENTRE,WIDTH`, `brain`, `bone`, `lung` or `soft`.
        units: of a thermal picture, which numbers do not tell: a name of ``imfuse.imaging.UNITS``, or `SCALE,OFFSET`,
            by which stored values become degrees Celsius; `auto` believes what the file declares.
        conditions: of a radiometric file of FLIR, where they are others than the camera recorded.

    Example:
        >>> View(slice="axial:40").frame is None
        True
    """

    frame: int | None = None
    slice: str | None = None
    window: str | None = None
    units: str = "auto"
    conditions: Conditions = AS_RECORDED

    @property
    def of_visible(self) -> View:
        """The same for the visible picture beside a thermal one: its values are no temperatures."""
        return replace(self, units="auto", conditions=AS_RECORDED)


ALL = View()
"""Nothing is said: the middle one of several."""


@dataclass(frozen=True)
class Field:
    """The part of a visible picture that a thermal plane of the same file shows.

    Args:
        plane: rows and columns of the plane, each from and up to.
        visible: rows and columns of the visible picture over the same field.
    """

    plane: tuple[slice, slice]
    visible: tuple[slice, slice]


@dataclass(frozen=True)
class Embedded:
    """The visible picture in a thermal file; ``field`` is ``None`` where nothing usable says how the two lie."""

    pixels: npt.NDArray[np.uint8]
    field: Field | None


@dataclass(frozen=True)
class Sensor:
    """What a file says about the pixels that are read from it.

    Args:
        family: whose file it is, such as `FLIR`.
        celsius: makes degrees of its pixels; ``None`` where they are no temperatures, or nothing says which.
        window: the values that are black and white where nothing else is said.
        inverted: the least value is white.
        thermal: it is the plane of a thermal camera.
        visible: reads the visible picture in the same file; ``None`` where there is none.
        facts: all that the reader knows, as JSON takes it.
    """

    family: str
    celsius: Celsius | None = None
    window: tuple[float, float] | None = None
    inverted: bool = False
    thermal: bool = False
    visible: Callable[[], Embedded] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
