"""Sources of frames: files, image sequences, folders, cameras, addresses and raw frames on a pipe."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import PairError, VideoError
from imfuse.core.files import open_input
from imfuse.core.text import printable
from imfuse.imaging import image_size, read_image
from imfuse.imaging._listing import list_pictures, natural
from imfuse.imaging.inputs import PathLike
from imfuse.video.frames import Frame, Frames
from imfuse.video.opencv_reader import OpenCVFrames

__all__ = ["Frame", "Frames", "has_pyav", "open_frames"]

_RAW = re.compile(r"(\d{1,5})x(\d{1,5}):(\w+)")
_RAW_FORMATS: dict[str, tuple[npt.DTypeLike, int]] = {
    "gray": (np.uint8, 1),
    "gray16le": (np.dtype("<u2"), 1),
    "rgb24": (np.uint8, 3),
    "bgr24": (np.uint8, 3),
}
_NUMBERED = re.compile(r"%0?\d*d")
_DEVICE = re.compile(r"/dev/video\d+")
_DEFAULT_RATE = 25.0


def open_frames(
    source: PathLike, *, rate: float | None = None, raw: str | None = None, pipe: BinaryIO | None = None
) -> Frames:
    """Open a source of frames.

    Args:
        source: a file of video; a folder of pictures, by the order of their names and numbers; an image sequence such
            as ``frames/%04d.png`` or ``frames/*.png``; a camera, ``/dev/video0``; an address, ``rtsp://...``; or ``-``
            for raw frames on the standard input.
        rate: frames per second of sources that do not say it (25), or instead of what a file says.
        raw: of ``-``: ``WIDTHxHEIGHT:FORMAT``, such as ``640x512:gray16le``; gray, gray16le, rgb24 or bgr24.
        pipe: what ``-`` reads from; by default the standard input.

    Returns:
        The frames; gray ones are (H, W), uint8 or uint16, others (H, W, 3) uint8.

    Raises:
        VideoError: it is missing, holds no pictures, or cannot be decoded.

    Example:
        ```python
        with open_frames("visible.mp4") as frames:
            print(frames.size, frames.rate, frames.length)
            for frame in frames:
                show(frame.picture, frame.time)
        ```
    """
    word = str(source)
    if rate is not None and not 0 < rate < 10_000:
        raise VideoError(f"rate={rate!r}: frames per second are expected")
    if word == "-":
        return _RawFrames(raw, rate or _DEFAULT_RATE, pipe or sys.stdin.buffer)
    if raw is not None:
        raise VideoError(f"{printable(word)}: raw={raw!r} is of frames on a pipe", "give - as the source")
    path = Path(word)
    if not path.exists() and (_NUMBERED.search(word) or "*" in path.name):
        return _PictureFrames(word, _sequence(word), rate or _DEFAULT_RATE)
    if "://" not in word and path.is_dir():
        return _PictureFrames(word, _pictures(path), rate or _DEFAULT_RATE)
    if _DEVICE.fullmatch(word):
        return OpenCVFrames(word, word, rate, live=True)
    if "://" not in word:
        open_input(path, VideoError, "a file of video").close()
    if has_pyav():
        from imfuse.video.pyav_reader import PyAVFrames

        return PyAVFrames(word, rate)
    return OpenCVFrames(word, word, rate, live="://" in word)


def has_pyav() -> bool:
    """Whether PyAV is installed, which the extra ``video`` brings.

    >>> has_pyav() in (True, False)
    True
    """
    return importlib.util.find_spec("av") is not None


def _sequence(pattern: str) -> list[Path]:
    """The pictures of a sequence, by their numbers or names."""
    word = Path(pattern)
    files = sorted(word.parent.glob(_NUMBERED.sub("*", word.name)), key=lambda file: natural(file.name))
    if numbered := _NUMBERED.search(word.name):
        before, behind = word.name[: numbered.start()], word.name[numbered.end() :]
        exact = re.compile(f"{re.escape(before)}\\d+{re.escape(behind)}")
        files = [file for file in files if exact.fullmatch(file.name)]
    if not files:
        raise VideoError(f"{printable(pattern)}: no file has such a name")
    return files


def _pictures(folder: Path) -> list[Path]:
    try:
        return sorted(
            (Path(found.path) for found in list_pictures(folder, "frames")), key=lambda file: natural(file.name)
        )
    except PairError as error:
        raise VideoError(error.message, *error.advice) from error


class _PictureFrames(Frames):
    """Pictures in files, at an even rate."""

    def __init__(self, name: str, files: list[Path], rate: float) -> None:
        self.name, self.rate, self.length = name, rate, len(files)
        self._files = files
        self.size = image_size(files[0])

    def __iter__(self) -> Iterator[Frame]:
        for number, file in enumerate(self._files):
            yield Frame(read_image(file), number / self.rate)

    def close(self) -> None:
        """Nothing is open between two frames."""


class _RawFrames(Frames):
    """Frames one behind the other on a pipe, without anything between them."""

    def __init__(self, raw: str | None, rate: float, pipe: BinaryIO) -> None:
        match = _RAW.fullmatch(raw or "")
        if match is None or match[3] not in _RAW_FORMATS or not (int(match[1]) and int(match[2])):
            found = "no size and format" if raw is None else f"raw={raw!r}"
            raise VideoError(
                f"-: {found}; WIDTHxHEIGHT:FORMAT is expected, with gray, gray16le, rgb24 or bgr24",
                "use raw='640x480:gray'",
            )
        self.name, self.rate, self.size = "-", rate, (int(match[2]), int(match[1]))
        self._format, self._pipe, self._closed = match[3], pipe, False

    def __iter__(self) -> Iterator[Frame]:
        dtype, channels = _RAW_FORMATS[self._format]
        shape = (*self.size, channels)
        wanted = int(np.prod(shape)) * np.dtype(dtype).itemsize
        number = 0
        while not self._closed and (data := self._pipe.read(wanted)):
            if len(data) < wanted:
                self.stopped = "it ends within a frame"
                return
            pixels = np.frombuffer(data, dtype).reshape(shape)
            pixels = pixels[..., 0] if channels == 1 else pixels[..., ::-1] if self._format == "bgr24" else pixels
            yield Frame(np.ascontiguousarray(pixels), number / self.rate)
            number += 1

    def close(self) -> None:
        """Read no more; the pipe is that of who opened it."""
        self._closed = True
