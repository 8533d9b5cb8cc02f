"""What readers and writers share: one-line errors and silence around third-party decoders."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.core.text import one_line, printable
from imfuse.imaging.sensors.sensor import Sensor


class DamagedError(Exception):
    """The file breaks the rules of its format; the text completes the sentence `damaged ... file: `."""


class LayoutError(Exception):
    """A sound file that holds something other than one gray or RGB picture, or in a way that is not read.

    Args:
        problem: what was found, what is expected, and what to do.
        advice: as of `ImfuseError`.
    """

    def __init__(self, problem: str, *advice: str) -> None:
        super().__init__(problem)
        self.advice = advice


# Cameras' own notes included, EXIF data are much shorter; longer ones say nothing about the picture.
MAX_EXIF = 1 << 20


@dataclass(frozen=True)
class Header:
    """What a file says about its picture before any pixel is decoded."""

    kind: str
    width: int
    height: int
    pixel_bits: int
    """Bits of one pixel once it is decoded."""
    orientation: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width after the orientation."""
        return (self.width, self.height) if 5 <= self.orientation <= 8 else (self.height, self.width)


@dataclass
class Decoded:
    """A picture as stored, still to be turned upright."""

    pixels: npt.NDArray[Any]
    orientation: int = 1
    invalid: npt.NDArray[np.bool_] | None = None
    """Where the file says that there is no measurement, (H, W)."""
    notes: tuple[str, ...] = ()
    """What is odd about the file although it could be read."""
    sensor: Sensor | None = None
    """What its values are, where the file says so."""


def image_error(path: str | os.PathLike[str], problem: object, *advice: str) -> ImageError:
    """Build the one-line error `path: problem`."""
    return ImageError(f"{printable(os.fspath(path))}: {one_line(problem)}", *advice)


def as_path(path: str | os.PathLike[str]) -> Path:
    """Turn a path argument into a `Path`; raise `ImageError` for anything that cannot name a file."""
    try:
        return Path(path)
    except TypeError as error:
        raise ImageError(f"{printable(path)}: a file path is expected, found {type(path).__name__}") from error


_lock = threading.Lock()
_state: dict[str, Any] = {"users": 0, "stack": None}
_loggers = [logging.getLogger("PIL"), logging.getLogger("tifffile")]
# These print by themselves, whatever is above them.
_chatty = [logging.getLogger("nibabel.global"), logging.getLogger("pydicom")]
for _logger in _loggers:
    _logger.addHandler(logging.NullHandler())


def _mute() -> ExitStack:
    stack = ExitStack()
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    for logger in _loggers:
        stack.callback(setattr, logger, "propagate", logger.propagate)
        logger.propagate = False
    for logger in _chatty:
        stack.callback(setattr, logger, "disabled", logger.disabled)
        logger.disabled = True
    # OpenCV 5 moved these functions.
    levels: Any = getattr(cv2.utils, "logging", cv2)
    stack.callback(levels.setLogLevel, levels.getLogLevel())
    levels.setLogLevel(0)
    return stack


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Python warnings, logging and OpenCV while a file is decoded.

    Warning filters and log levels belong to the process, so threads that decode at the same time share one muted
    state: the first one in saves it and the last one out restores it.
    """
    with _lock:
        if _state["users"] == 0:
            _state["stack"] = _mute()
        _state["users"] += 1
    try:
        yield
    finally:
        with _lock:
            _state["users"] -= 1
            if _state["users"] == 0:
                _state["stack"].close()
