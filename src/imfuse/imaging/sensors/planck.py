"""Counts of a FLIR camera to degrees Celsius: Planck's law, and what air, window and reflections add."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ZERO = 273.15
_COUNTS = 1 << 16


@dataclass(frozen=True)
class Planck:
    """Calibration of a camera and the conditions that it recorded; temperatures of these are in kelvin.

    The counts are a weighted sum of what the object emits and reflects, and of what air and window add. With
    ``half_paths`` the air is taken in two halves, before and behind the window, as some other programs do.
    """

    r1: float
    r2: float
    b: float
    f: float
    o: int
    emissivity: float
    distance: float
    humidity: float
    reflected: float
    air: float
    window: float
    window_transmission: float
    alpha: tuple[float, float]
    beta: tuple[float, float]
    x: float
    half_paths: bool = False

    def problem(self) -> str:
        """Why no temperatures can be computed; nothing where they can."""
        numbers = (*vars(self).values(), *self.alpha, *self.beta)
        if not all(math.isfinite(value) for value in numbers if not isinstance(value, tuple)):
            return "a constant that is no number"
        if min(self.r1, self.r2, self.b) <= 0 or self.f < 0:
            return "constants R1, R2, B and F that are not positive"
        if not 0 < self.emissivity <= 1:
            return f"an emissivity of {self.emissivity:g}"
        if not 0 <= self.distance <= 10_000:
            return f"a distance of {self.distance:g} m"
        if min(self.reflected, self.air, self.window) <= 0:
            return "a temperature below absolute zero"
        return "" if self._transmission() > 0 else "air that lets nothing pass"

    def celsius(self, counts: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
        """Degrees of each count; NaN where no temperature gives it."""
        # There are fewer counts than most pictures have pixels.
        return self._table()[np.asarray(counts)]

    def _signal(self, kelvin: float) -> float:
        """What a black body of this temperature gives."""
        return self.r1 / (self.r2 * (math.exp(min(self.b / kelvin, 700.0)) - self.f)) - self.o

    def _transmission(self) -> float:
        """How much of the radiation passes the air, or one half of it."""
        t = self.air - ZERO
        water = self.humidity * math.exp(min(1.5587 + 0.06939 * t - 2.7816e-4 * t**2 + 6.8455e-7 * t**3, 700.0))
        path = math.sqrt(self.distance / (2 if self.half_paths else 1))
        first, second = (
            math.exp(min(-path * (alpha + beta * math.sqrt(max(water, 0.0))), 700.0))
            for alpha, beta in zip(self.alpha, self.beta, strict=True)
        )
        return self.x * first + (1 - self.x) * second

    def _table(self) -> npt.NDArray[np.float32]:
        tau, e, tw = self._transmission(), self.emissivity, self.window_transmission
        reflected, air, window = (self._signal(kelvin) for kelvin in (self.reflected, self.air, self.window))
        before = tau if self.half_paths else 1.0
        through = before * tw * tau
        added = (1 - e) * through * reflected + (1 - tw) * before * window
        added += (1 - before + (1 - tau) * tw * before) * air
        with np.errstate(all="ignore"):
            signal = (np.arange(_COUNTS) - added) / (e * through) + self.o
            ratio = np.log(self.r1 / (self.r2 * signal) + self.f)
            degrees = np.where((signal > 0) & (ratio > 0), self.b / ratio - ZERO, np.nan)
        return degrees.astype(np.float32)
