"""What readers and writers share: one-line errors and silence around third-party decoders."""

from __future__ import annotations

import errno
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

_REASONS = {
    errno.ENOENT: "no such file",
    errno.EISDIR: "this is a folder, an image file is expected",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.ENAMETOOLONG: "the file name is too long",
}


def one_line(text: object) -> str:
    """Collapse any text, a file name with line breaks included, into one printable line."""
    joined = " ".join(str(text).split())
    return joined.encode("utf-8", "backslashreplace").decode("utf-8")


def image_error(path: str | os.PathLike[str], problem: object, *advice: str) -> ImageError:
    """Build the one-line error `path: problem`."""
    return ImageError(f"{one_line(os.fspath(path))}: {one_line(problem)}", *advice)


def os_reason(error: OSError | ValueError) -> str:
    """Say in plain words why the operating system refused."""
    if isinstance(error, OSError) and error.errno in _REASONS:
        return _REASONS[error.errno]
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def as_path(path: str | os.PathLike[str]) -> Path:
    """Turn a path argument into a `Path`; raise `ImageError` for anything that cannot name a file."""
    try:
        return Path(path)
    except TypeError as error:
        raise ImageError(f"{one_line(path)}: a file path is expected, found {type(path).__name__}") from error


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
