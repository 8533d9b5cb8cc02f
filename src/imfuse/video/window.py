"""A window for fused frames, by Tk, which most Pythons bring."""

from __future__ import annotations

import statistics
import time
from collections import deque
from typing import Any

import numpy as np

from imfuse.core.errors import VideoError, first_line
from imfuse.imaging.inputs import Array

_REMEMBERED = 30


class Window:
    """A window that shows one picture after the other; closing it, q and Escape end the video.

    Attributes:
        latencies: milliseconds from the reading of each of the last frames to its showing.

    Args:
        title: of the window.

    Raises:
        VideoError: there is no display, or this Python has no Tk.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise VideoError("show=True: this Python has no tkinter", "leave out show=True") from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise VideoError(f"show=True: no display ({first_line(error)})", "leave out show=True") from error
        self._picture: Any = None
        self._make, self._open = tkinter.PhotoImage, True
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self._root.title(title)
        self.latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self._root.protocol("WM_DELETE_WINDOW", self.close)
        for key in ("<Escape>", "q"):
            self._root.bind(key, lambda _: self.close())

    def __call__(self, picture: Array, read: float) -> bool:
        """Show a picture that was read at this time; whether the window is still open."""
        if self._open:
            self._picture = self._make(data=portable_pixmap(picture))
            self._label.configure(image=self._picture)
            self._root.update()
            self.latencies.append(1000 * (time.perf_counter() - read))
        return self._open

    @property
    def latency(self) -> float:
        """The median of the latest latencies, in milliseconds."""
        return statistics.median(self.latencies) if self.latencies else 0.0

    def close(self) -> None:
        """Close it."""
        if self._open:
            self._open = False
            self._root.destroy()


def portable_pixmap(picture: Array) -> bytes:
    """A picture as Tk takes it: PGM or PPM of 8 bits.

    >>> portable_pixmap(np.zeros((1, 2), np.uint8))
    b'P5 2 1 255 \\x00\\x00'
    """
    levels = (picture >> 8).astype(np.uint8) if picture.dtype == np.uint16 else picture
    kind = b"P5" if levels.ndim == 2 else b"P6"
    return kind + b" %d %d 255 " % (levels.shape[1], levels.shape[0]) + np.ascontiguousarray(levels).tobytes()
