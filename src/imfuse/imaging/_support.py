"""What readers and writers share: one-line errors and silence around third-party decoders."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2

from imfuse.core.errors import ImageError
from imfuse.core.text import one_line, printable


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
for _logger in _loggers:
    _logger.addHandler(logging.NullHandler())


def _mute() -> ExitStack:
    stack = ExitStack()
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    for logger in _loggers:
        stack.callback(setattr, logger, "propagate", logger.propagate)
        logger.propagate = False
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
