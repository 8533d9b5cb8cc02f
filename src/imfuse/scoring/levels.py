"""From stored pixels to what metrics take: gray levels 0..255, colour by the rule of a convention."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch

from imfuse.core.errors import ImageError
from imfuse.imaging import Range
from imfuse.imaging.inputs import Stored
from imfuse.imaging.limits import is_normalised
from imfuse.imaging.nodata import no_data
from imfuse.imaging.sensors.display import Limits, shown
from imfuse.metrics import Picture
from imfuse.metrics.conventions import Gray

Levels = npt.NDArray[np.uint8]

FULL = Range("full")
_MATLAB = np.array([0.298936021293776, 0.587043074451121, 0.114020904255103])


class ScoredImage:
    """A picture on its way to the metrics.

    Its ``Picture``s are made once: what metrics remember of a source then serves every fused image of the pair.

    Attributes:
        stored: as it was read.
        levels: (H, W) or (H, W, 3) uint8.
        limits: the values that became 0 and 255.
        gray: the rule for colour.
    """

    def __init__(self, stored: Stored, gray: Gray, range_: Range = FULL, *, thermal: bool = False) -> None:
        """Quantise; raises what :func:`to_levels` raises."""
        self.stored = stored
        self.levels, self.limits = _quantised(stored, range_, thermal)
        self.gray = gray

    @property
    def channels(self) -> int:
        """How many channels are scored: 3 for colour where the rule is to take them one by one."""
        return 3 if self.gray == "channels" and self.levels.ndim == 3 else 1

    def pictures(self, channels: int) -> list[Picture]:
        """As many pictures as the fused image has channels; a gray source stands for each of them."""
        return self._coloured if channels == self.channels == 3 else [self._gray] * channels

    @cached_property
    def _gray(self) -> Picture:
        return _picture(to_gray(self.levels, self.gray))

    @cached_property
    def _coloured(self) -> list[Picture]:
        return [_picture(channel) for channel in np.moveaxis(self.levels, 2, 0)]


def to_levels(stored: Stored, range_: Range = FULL) -> Levels:
    """Quantise to uint8 by the full range of the type, [0, 1] for floating pixels, or an infrared one by ``range_``.

    Raises ``ImageError`` for floating pixels outside [0, 1] under the full range, for pixels without data (masked, nan
    or infinite), since a metric would count what they are filled with, and for other types.
    """
    return _quantised(stored, range_, range_ != FULL)[0]


def _quantised(stored: Stored, range_: Range, thermal: bool) -> tuple[Levels, Limits]:
    name = stored.name
    taken = shown(stored.pixels, stored.sensor, range_, name, "range" if thermal else "visible_range")
    pixels = taken.values
    _check(pixels, taken.range, name)
    if pixels.dtype == np.uint8 and taken.range.kind in ("full", "auto"):
        return pixels, Limits(0, 255)
    unit, limits = taken.to_unit(thermal=thermal, name=name)
    full = limits[:2] == (0, 1 if pixels.dtype.kind == "f" else 255 if pixels.dtype == np.uint8 else 65535)
    plain = full and not taken.inverted
    return _exactly(pixels) if plain else _rounded(255 * unit.astype(np.float64)), limits


def _check(pixels: npt.NDArray[Any], range_: Range, name: str) -> None:
    missing = no_data(pixels)
    if missing is not None:
        raise ImageError(
            f"{name}: {missing.sum()} pixels without data (masked, nan or infinite) found; metrics need every pixel",
            "crop the fused picture and its sources to what they share",
        )
    if range_.kind == "full" and pixels.dtype.kind == "f" and pixels.size and not is_normalised(pixels):
        raise ImageError(
            f"{name}: values {pixels.min():g}..{pixels.max():g} found, 0..1 is expected of floating pixels",
            "for an infrared picture use range='LOW,HIGH'",
            "save others in 8 or 16 bits",
        )


def _exactly(pixels: npt.NDArray[Any]) -> Levels:
    """By the full range, without a detour over float32, which could round another way."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind == "f":
        return _rounded(255 * pixels.astype(np.float64).clip(0, 1))
    return _rounded(pixels.clip(0, 65535) / 257)


def _rounded(levels: npt.NDArray[np.float64]) -> Levels:
    return cast(Levels, np.rint(levels).astype(np.uint8))


def to_gray(levels: Levels, rule: Gray) -> Levels:
    """Bring (H, W, 3) to (H, W); what is gray stays as it is. One gray of a picture of channels is MATLAB's."""
    if levels.ndim == 2:
        return levels
    if rule == "opencv":
        # OpenCV itself, and in its order of channels: one pixel in a thousand is a tie that its float32 decides.
        blue_first = np.ascontiguousarray(levels[..., ::-1], np.float32)
        return cast(Levels, np.rint(cv2.cvtColor(blue_first, cv2.COLOR_BGR2GRAY)).astype(np.uint8))
    return cast(Levels, np.floor(levels @ _MATLAB + 0.5).astype(np.uint8))


def _picture(levels: npt.NDArray[Any]) -> Picture:
    return Picture(torch.from_numpy(np.array(levels, np.float64, order="C"))[None, None], data_range=255)
