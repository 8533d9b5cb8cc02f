"""Files and addresses of video by PyAV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error

from imfuse.core.errors import VideoError, first_line
from imfuse.core.text import printable
from imfuse.imaging.video_frames import frame_pixels
from imfuse.video.frames import Frame, Frames

PATIENCE = 10.0
"""Seconds after which an address that sends nothing has stopped."""
_DEFAULT_RATE = 25.0


class PyAVFrames(Frames):
    """Frames that PyAV decodes.

    A packet that cannot be decoded is counted and left out; a file that breaks off ends there.
    """

    def __init__(self, source: str, rate: float | None = None) -> None:
        self.name, self.live = source, "://" in source
        self._container = open_container(source)
        if not self._container.streams.video:
            self._container.close()
            raise VideoError(f"{printable(source)}: holds no pictures")
        stream = self._stream = self._container.streams.video[0]
        context = stream.codec_context
        if context is None:
            self._container.close()
            raise VideoError(f"{printable(source)}: its codec is not in this build of PyAV")
        stream.thread_type = "AUTO"
        self._given_rate = rate
        self.rate = float(rate or stream.average_rate or stream.guessed_rate or _DEFAULT_RATE)
        self.length = int(stream.frames) or self._estimated_length()
        self._ahead = self._frames()
        # How a phone was held is known of frames alone.
        self._first = next(self._ahead, None)
        if self._first is None:
            raise VideoError(f"{printable(source)}: no frame can be decoded")
        height, width = self._first.picture.shape[:2]
        self.size = (height, width)

    def __iter__(self) -> Iterator[Frame]:
        if self._first is not None:
            yield self._first
            self._first = None
            yield from self._ahead

    def close(self) -> None:
        """Decode no more."""
        self._first = None
        if not self._ahead.gi_running:
            self._ahead.close()

    def _estimated_length(self) -> int | None:
        duration, base = self._stream.duration, self._stream.time_base
        if duration and base:
            return int(float(duration * base) * self.rate + 0.5)
        if self._container.duration:
            return int(self._container.duration / av.time_base * self.rate + 0.5)
        return None

    def _frames(self) -> Any:
        with self._container:
            first: float | None = None
            last = -1 / self.rate
            for number, frame in enumerate(self._decoded()):
                seconds = self._seconds(frame, number)
                seconds = last + 1 / self.rate if seconds is None else seconds
                if first is None and not self.live:
                    first = seconds
                last = seconds
                yield Frame(frame_pixels(frame), seconds - (first or 0.0))

    def _seconds(self, frame: Any, number: int) -> float | None:
        if self.live:
            return time.monotonic()
        if self._given_rate is not None:
            return number / self.rate
        return None if frame.time is None else float(frame.time)

    def _decoded(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError) as error:
                self.stopped = reason_of(error)
                return
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                self.damaged += 1
                continue
            for frame in decoded:
                self.damaged += bool(frame.is_corrupt)
                yield frame


def open_container(source: str) -> Any:
    """A container of PyAV. Raises ``VideoError``."""
    live = "://" in source
    options = {"rtsp_transport": "tcp"} if source.startswith("rtsp:") else {}
    try:
        # Names of files may look like addresses to FFmpeg: "a:b.mp4".
        address = source if live else f"file:{Path(source)}"
        return av.open(address, options=options, timeout=PATIENCE if live else None)
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{printable(source)}: not a video that can be read ({reason_of(error)})") from error


def reason_of(error: BaseException) -> str:
    """What FFmpeg says of a failure, without the place."""
    return str(getattr(error, "strerror", None) or first_line(error))
