"""From stored pixels to what metrics take: gray levels 0..255, colour by the rule of a convention."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch

from imfuse.core.errors import ImageError
from imfuse.imaging import Range, to_unit
from imfuse.imaging.inputs import Stored
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
        gray: the rule for colour.
    """

    def __init__(self, stored: Stored, gray: Gray, range_: Range = FULL) -> None:
        """Quantise; raises ``ImageError`` for a floating picture outside [0, 1] and for other types."""
        self.stored = stored
        self.levels = to_levels(stored, range_)
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
    """Quantise to uint8 by the full range of the type, [0, 1] for floating pixels, or by ``range_``.

    Raises ``ImageError`` for floating pixels outside [0, 1] under the full range, and for other types.
    """
    pixels, name = stored.pixels, stored.name
    if range_.kind != "full":
        pixels, *_ = to_unit(pixels, range_, thermal=True, name=name)
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return cast(Levels, np.rint(pixels / 257).astype(np.uint8))
    if pixels.dtype.kind != "f" or pixels.size == 0:
        raise ImageError(f"{name}: uint8, uint16 or floating pixels are expected, found {pixels.shape} {pixels.dtype}")
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= 1):
        raise ImageError(
            f"{name}: values {low:g}..{high:g} found, 0..1 is expected of floating pixels",
            "for an infrared picture use range='LOW,HIGH'",
            "save others in 8 or 16 bits",
        )
    return cast(Levels, np.rint(255 * pixels.astype(np.float64)).astype(np.uint8))


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
