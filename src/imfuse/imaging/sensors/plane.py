"""A thermal plane that stands in a JPEG file beside its painted picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imfuse.imaging._support import DamagedError
from imfuse.imaging.sensors.sensor import Sensor

COUNTS_READ = "the thermal plane is read, in counts of the sensor and not in degrees"


@dataclass(frozen=True)
class Thermal:
    """The thermal plane of a file, or why it could not be read; it has the orientation of the sensor.

    Whatever the painted picture was turned to, the plane is not.
    """

    counts: npt.NDArray[np.uint16] | None
    odd: str = ""
    sensor: Sensor | None = None
    unread_note: str = ""

    @classmethod
    def unread(cls, error: DamagedError) -> Thermal:
        """A plane that is damaged."""
        text = f"its thermal data cannot be read ({error}); this is the painted picture, no measurement"
        return cls(None, unread_note=text)

    def notes(self, counts: bool) -> tuple[str, ...]:
        """What is to be said of the plane; with ``counts`` that it holds no degrees, even where they are known."""
        if self.counts is None:
            return (self.unread_note,)
        if counts or self.sensor is None or self.sensor.celsius is None:
            return (COUNTS_READ + self.odd,)
        return (f"of the thermal plane{self.odd.removeprefix(';')}",) if self.odd else ()


def roughness(plane: npt.NDArray[np.uint16]) -> float:
    """Mean difference of neighbours."""
    if plane.shape[1] < 2:
        return 0.0
    rows = plane[:: 1 + plane.shape[0] // 512].astype(np.int32)
    return float(np.abs(np.diff(rows, axis=1)).mean())
