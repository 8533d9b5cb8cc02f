"""Cameras, and files where PyAV is missing, by OpenCV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from imfuse.core.errors import VideoError
from imfuse.core.text import printable
from imfuse.video.frames import Frame, Frames

_DEFAULT_RATE = 25.0


class OpenCVFrames(Frames):
    """Frames that OpenCV decodes, 8 bits; 16 bits of cameras that give gray ones."""

    def __init__(self, source: str, name: str, rate: float | None = None, *, live: bool = False) -> None:
        self.name, self.live = name, live
        self._video = cv2.VideoCapture(source)
        taken, first = self._video.read() if self._video.isOpened() else (False, None)
        if not taken or first is None:
            self._video.release()
            advice = () if live else ("install imfuse[video], which reads more",)
            raise VideoError(f"{printable(name)}: OpenCV cannot read frames from it", *advice)
        self._first: Any = first
        self._given_rate, self._closed = rate, False
        self.size = (first.shape[0], first.shape[1])
        stated = float(self._video.get(cv2.CAP_PROP_FPS))
        self.rate = float(rate or (stated if 0 < stated < 1000 else _DEFAULT_RATE))
        count = int(self._video.get(cv2.CAP_PROP_FRAME_COUNT))
        self.length = count if count > 0 and not live else None

    def __iter__(self) -> Iterator[Frame]:
        number, pixels = 0, self._first
        start = 0.0
        while not self._closed and pixels is not None:
            stated = self._video.get(cv2.CAP_PROP_POS_MSEC) / 1000
            start = stated if number == 0 else start
            even = self._given_rate is not None or stated <= start
            seconds = time.monotonic() if self.live else number / self.rate if even else stated - start
            yield Frame(_in_order(pixels), seconds)
            number += 1
            taken, pixels = self._video.read()
            pixels = pixels if taken else None
        if self.live and not self._closed:
            self.stopped = "it gives no more frames"
        elif self.length is not None and number < self.length and not self._closed:
            self.stopped = f"{self.length - number} frames cannot be read"
        self._video.release()

    def close(self) -> None:
        """Read no more."""
        self._closed = True


def _in_order(pixels: Any) -> Any:
    """RGB of OpenCV's BGR; gray ones as they are."""
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.ascontiguousarray(pixels.reshape(pixels.shape[:2]))
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
