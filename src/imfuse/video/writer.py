"""Fused frames to a file of video: playable whenever the program ends, whole at the end."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import numpy.typing as npt

from imfuse.core.errors import VideoError
from imfuse.core.files import os_reason
from imfuse.core.notes import note
from imfuse.core.output import replacing
from imfuse.core.text import printable
from imfuse.video.formats import CODECS, CONTAINERS, Format
from imfuse.video.pyav_reader import open_container, reason_of

_TICKS = 90_000
_MARK = "imfuse "
_HIGH_DEFINITION = 720
_BT601, _BT709 = 5, 1


def encoder_of(format_: Format) -> str:
    """The first encoder that this build of PyAV has, checked for the pixel format. Raises ``VideoError``."""
    for name in CODECS[format_.codec]:
        try:
            codec = av.codec.Codec(name, "w")
        except av.codec.codec.UnknownCodecError:
            continue
        known = [one.name for one in codec.video_formats or ()]
        if format_.pixel_format is not None and format_.pixel_format not in known:
            raise VideoError(f"pixel_format={format_.pixel_format!r}: {name} has {', '.join(known[:12])}")
        return name
    other = next(codec for codec in CODECS if codec != format_.codec)
    raise VideoError(f"this build of PyAV has no encoder of {format_.codec}", f"use codec={other!r}")


class VideoWriter:
    """A file that frames are appended to; what was written is playable if the program is killed.

    A key frame at each whole second begins a fragment of MP4, or a cluster of Matroska, which is then on the disk.

    Args:
        path: the file, of one of ``CONTAINERS``.
        rate: frames per second, for those who ask; frames have times of their own.
        format_: how frames are stored.
        metadata: what the file says of itself, as JSON.

    Raises:
        VideoError: the file cannot be written; at any step.
    """

    def __init__(self, path: Path, rate: float, format_: Format, metadata: dict[str, Any]) -> None:
        self.path, self.format, self._metadata = path, format_, metadata
        self._rate = Fraction(rate).limit_denominator(1001)
        self._container: Any = None
        self._stream: Any = None
        self._second: int | None = None
        self.start: float | None = None
        self.end = 0.0

    def write(self, picture: npt.NDArray[Any], seconds: float) -> None:
        """Append a frame: (H, W) or (H, W, 3), uint8 or uint16."""
        with _telling(self.path):
            if self._container is None:
                self._open(picture, seconds)
            frame = self._frame(picture)
            frame.pts, frame.time_base = round(seconds * _TICKS), Fraction(1, _TICKS)
            self.start = seconds if self.start is None else self.start
            self.end = seconds + float(1 / self._rate)
            if int(seconds) != self._second:
                self._second = int(seconds)
                frame.pict_type = av.video.frame.PictureType.I
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds."""
        container, self._container = self._container, None
        if container is None:
            return
        with _telling(self.path):
            try:
                container.mux(self._stream.encode(None))
            finally:
                container.close()

    def _open(self, picture: npt.NDArray[Any], seconds: float) -> None:
        kind = CONTAINERS[self.path.suffix.lower()]
        # Whatever is done goes to the disk at once, and not when a buffer is full.
        options = {"flush_packets": "1"}
        if kind != "matroska":
            options["movflags"] = "frag_keyframe+empty_moov+default_base_moof"
        container = self._container = av.open(str(self.path), "w", format=kind, options=options)
        container.metadata["comment"] = _MARK + json.dumps({**self._metadata, "start": seconds})
        stream: Any = container.add_stream(encoder_of(self.format), rate=self._rate)
        self._stream, context = stream, stream.codec_context
        even = 2 if self.format.codec == "h264" else 1
        stream.height, stream.width = (side + side % even for side in picture.shape[:2])
        stream.pix_fmt = self.format.pixels(picture)
        stream.time_base = context.time_base = Fraction(1, _TICKS)
        # Without frames that refer to later ones, every packet ends what was written before it.
        context.max_b_frames = 0
        context.gop_size = 2 * round(self._rate) + 1
        if self.format.codec == "h264":
            stream.options = {"crf": str(self.format.quality), "preset": "veryfast", "forced-idr": "1"}
            context.color_range = av.video.reformatter.ColorRange.MPEG
            context.colorspace = self._matrix(picture)

    def _frame(self, picture: npt.NDArray[Any]) -> Any:
        height, width = picture.shape[:2]
        more = (self._stream.height - height, self._stream.width - width)
        if not all(0 <= margin < 2 for margin in more):
            raise VideoError(
                f"{printable(self.path)}: a frame has {width}x{height} pixels, those before it "
                f"{self._stream.width}x{self._stream.height}"
            )
        if any(more):
            picture = np.pad(picture, ((0, more[0]), (0, more[1]), (0, 0))[: picture.ndim], "edge")
        name = "gray" if picture.ndim == 2 else "rgb24"
        if picture.dtype == np.uint16:
            name = "gray16le" if picture.ndim == 2 else "rgb48le"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=name)
        matrix = self._matrix(picture) if self.format.codec == "h264" else None
        return frame.reformat(format=self._stream.pix_fmt, dst_colorspace=matrix)

    @staticmethod
    def _matrix(picture: npt.NDArray[Any]) -> int:
        return _BT709 if picture.shape[0] >= _HIGH_DEFINITION else _BT601


@dataclass(frozen=True)
class Part:
    """A file that an earlier run left behind, or this one: frames from ``start`` to before ``end``, in seconds."""

    path: Path
    start: float
    end: float


def read_mark(path: Path) -> dict[str, Any]:
    """What a file of :class:`VideoWriter` says of itself; nothing for any other."""
    try:
        with open_container(str(path)) as container:
            text = container.metadata.get("comment") or container.metadata.get("COMMENT") or ""
            found = json.loads(text.removeprefix(_MARK)) if text.startswith(_MARK) else {}
    except (VideoError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def part_of(path: Path, start: float) -> Part:
    """A part with the time behind its last frame, of which there may be none."""
    end = start
    with suppress(VideoError), open_container(str(path)) as container:
        first = None
        for seconds, _ in _packets(container, container.streams.video[0]):
            first = seconds if first is None else first
            end = start + seconds - first
    return Part(path, start, end)


def join_parts(parts: Sequence[Part], output: Path, metadata: dict[str, Any], sound: str | None, end: float) -> bool:
    """Copy the frames of parts into one file, without encoding them again, and the sound of a video beside them.

    Args:
        parts: in order; frames of each count up to its end.
        output: the file, written whole or not at all.
        metadata: what it says of itself.
        sound: the video whose sound is copied; ``None`` for none.
        end: where the sound ends, in seconds.

    Returns:
        Whether the file has sound.

    Raises:
        VideoError: a part cannot be read, or the file not be written.
    """
    kind = CONTAINERS[output.suffix.lower()]
    options = {} if kind == "matroska" else {"movflags": "faststart"}
    sounding = None if sound is None else open_container(sound)
    try:
        with (
            replacing(output, VideoError) as temporary,
            _telling(output),
            av.open(str(temporary), "w", format=kind, options=options) as container,
        ):
            container.metadata["comment"] = _MARK + json.dumps(metadata)
            with open_container(str(parts[0].path)) as first:
                stream = container.add_stream_from_template(first.streams.video[0])
            streams = [_copied(parts, stream)]
            if sounding is not None and (heard := _sound(container, sounding, sound or "", end)):
                streams.append(heard)
            for _, packet in heapq.merge(*streams, key=lambda pair: pair[0]):
                container.mux(packet)
        return len(streams) > 1
    finally:
        if sounding is not None:
            sounding.close()


def _copied(parts: Sequence[Part], stream: Any) -> Iterator[tuple[float, Any]]:
    for part in parts:
        with open_container(str(part.path)) as container:
            first = None
            for seconds, packet in _packets(container, container.streams.video[0]):
                first = seconds if first is None else first
                moved = part.start + seconds - first
                if moved < part.end - 5e-4:
                    yield _moved(packet, moved, stream)


def _sound(container: Any, source: Any, name: str, end: float) -> Iterator[tuple[float, Any]] | None:
    """The packets of the sound of a video, or ``None`` where there is none that the file can hold."""
    if not source.streams.audio:
        return None
    heard = source.streams.audio[0]
    try:
        stream = container.add_stream_from_template(heard)
    except (av.error.FFmpegError, ValueError) as error:
        note(f"{printable(name)}: its sound is not kept ({reason_of(error)})", "choose an output=... that ends in .mkv")
        return None
    pictures = source.streams.video[0]
    start = float((pictures.start_time or 0) * pictures.time_base)
    shifted = ((seconds - start, packet) for seconds, packet in _packets(source, heard))
    return (_moved(packet, seconds, stream) for seconds, packet in shifted if 0 <= seconds < end)


def _packets(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """Packets with their times; a file that breaks off ends there."""
    with suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            if packet.pts is not None:
                yield float(packet.pts * packet.time_base), packet


def _moved(packet: Any, seconds: float, stream: Any) -> tuple[float, Any]:
    ticks = round(seconds / packet.time_base)
    packet.dts = ticks - (packet.pts - packet.dts if packet.dts is not None else 0)
    packet.pts = ticks
    packet.stream = stream
    return seconds, packet


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Errors of FFmpeg and of the disk as one line."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        reason = os_reason(OSError(error.errno, reason_of(error)))
        raise VideoError(f"{printable(path)}: cannot write: {reason}") from error
