"""JPEG files: their segments, and the picture without anything but what it needs."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import JpegImagePlugin

from imfuse.imaging import _ifd
from imfuse.imaging._channels import as_array
from imfuse.imaging._support import DamagedError, Header, LayoutError

SURPLUS = bytes((57 * i * i + 101 * i) % 251 + 1 for i in range(256))
"""Bits that no picture goes on with; none of the bytes is 0 or 255."""
_MAX_SEGMENTS = 10_000
# libjpeg goes over the whole picture for each scan. Progressive files of common programs have about ten.
_MAX_SCANS = 100
_MAX_SCANNED = 2_000_000_000
_START, _END, _SCAN, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_ENDING = b"\xff\xd9"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = 0xC2
_HUFFMAN = (0xC0, 0xC1, _PROGRESSIVE)
# Tables, frame, restarts, and the two markers that say which colours these are (JFIF, Adobe).
_NEEDED = _FRAMES | {0xC4, 0xDB, 0xDD, _SCAN, 0xE0, 0xEE}
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


@dataclass(frozen=True)
class Segment:
    """A marker, and where what follows its length stands."""

    marker: int
    offset: int
    length: int


def segments(stream: BinaryIO) -> Iterator[Segment]:
    """Yield the segments up to the first scan, without reading them."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        stream.seek(at)
        head = stream.read(4)
        if len(head) < 4:
            raise DamagedError("it ends too early (truncated)")
        if head[0] != 0xFF:
            raise DamagedError("its segments are invalid")
        if head[1] == 0xFF:  # a byte that fills
            at += 1
            continue
        length = int.from_bytes(head[2:], "big")
        if length < 2:
            raise DamagedError("its segments are invalid")
        yield Segment(head[1], at + 4, length - 2)
        if head[1] in (_SCAN, _END):
            return
        at += 2 + length
    raise DamagedError(f"more than {_MAX_SEGMENTS} segments")


def body(stream: BinaryIO, segment: Segment) -> bytes:
    """What is in a segment."""
    stream.seek(segment.offset)
    data = stream.read(segment.length)
    if len(data) < segment.length:
        raise DamagedError("it ends too early (truncated)")
    return data


def header(stream: BinaryIO) -> Header:
    """Read the size and the orientation."""
    size: tuple[int, int, int] | None = None
    turned: int | None = None
    for segment in segments(stream):
        if segment.marker in _FRAMES and size is None:
            size = _frame_size(body(stream, segment))
        elif segment.marker == APP1 and turned is None:
            content = body(stream, segment)
            turned = _ifd.orientation(content) if content.startswith(b"Exif\0\0") else None
    if size is None:
        raise DamagedError("no picture size in its header")
    width, height, components = size
    return Header("JPEG", width, height, 8 * components, turned or 1)


def _frame_size(frame: bytes) -> tuple[int, int, int]:
    if len(frame) < 6:
        raise DamagedError("its header holds impossible values")
    height, width, components = struct.unpack_from(">HHB", frame, 1)
    if not width or not height or not components:
        raise DamagedError("its header holds impossible values")
    return width, height, components


def decode(data: bytes, head: Header) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Decode to gray or RGB, and say where data are missing; refuse what is not there or takes too long."""
    plain, scans, ended = _plain(data)
    _check_work(len(scans), head.width, head.height)
    if plain.frame in _HUFFMAN and head.width * head.height > 512 * len(data):
        raise DamagedError(f"{len(data)} bytes cannot hold {head.width}x{head.height} pixels (truncated)")
    pixels = _load(plain.start + plain.scans)
    if pixels.shape[:2] != (head.height, head.width):
        raise DamagedError("its headers contradict each other")
    complete = _all_stored(plain, scans)
    if complete and (not ended or plain.frame not in _HUFFMAN[:2] or _ends_gray(pixels, head)):
        longer = _load(plain.start + plain.scans.removesuffix(_ENDING) + SURPLUS + _ENDING)
        complete = np.array_equal(pixels, longer)
    if not complete and not ended:
        raise DamagedError("it ends too early (truncated)")
    if not complete:
        return pixels, ("its pixel data end early, and the rest of the picture was made up by the decoder",)
    return pixels, () if ended else ("it has no end marker; all pixels are there",)


def check_scans(data: bytes, width: int, height: int) -> None:
    """Refuse a JPEG stream whose scans take too long."""
    _check_work(len(_scans(data, 0)[0]), width, height)


@dataclass(frozen=True)
class _Plain:
    """The picture alone: what stands before the scans, and the scans up to the end marker."""

    frame: int
    components: tuple[int, ...]
    start: bytes
    scans: bytes


def _plain(data: bytes) -> tuple[_Plain, list[bytes], bool]:
    """The picture without metadata, the headers of its scans, and whether it has an end marker.

    Pillow parses metadata as soon as it opens a file: odd ones would take memory, or make a good picture unreadable.
    """
    stream, frame = io.BytesIO(data), 0
    components: tuple[int, ...] = ()
    start = [b"\xff\xd8"]
    for segment in segments(stream):
        if segment.marker == _SCAN:
            break
        if segment.marker not in _NEEDED:
            continue
        content = body(stream, segment)
        if segment.marker == 0xE0:
            content = b"JFIF\0\1\1\0\0\1\0\1\0\0" if content.startswith(b"JFIF\0") else b""
        elif segment.marker == 0xEE:
            content = content[:12] if content.startswith(b"Adobe") else b""
        elif segment.marker in _FRAMES:
            frame, components = segment.marker, tuple(content[6::3])
        if content:
            start.append(struct.pack(">BBH", 0xFF, segment.marker, 2 + len(content)) + content)
    first = segment.offset - 4
    scans, end = _scans(data, first)
    ended = _ENDING in (data[end : end + 2], data[-2:])
    picture = _Plain(frame, components, b"".join(start), data[first:end] + _ENDING)
    return picture, scans, ended


def _scans(data: bytes, at: int) -> tuple[list[bytes], int]:
    """The headers of all scans, and where the end marker stands, or where the data break off."""
    headers: list[bytes] = []
    for _ in range(_MAX_SEGMENTS):
        match = _NEXT_MARKER.search(data, at)
        if match is None or len(headers) > _MAX_SCANS:
            return headers, len(data)
        marker = data[match.end() - 1]
        length = int.from_bytes(data[match.end() : match.end() + 2], "big")
        if marker == _END or (marker != _START and match.end() + length > len(data)):
            return headers, match.start()
        if marker == _SCAN:
            headers.append(data[match.end() + 2 : match.end() + length])
        at = match.end() + (0 if marker == _START else length)
    raise DamagedError(f"more than {_MAX_SEGMENTS} segments")


def _check_work(scans: int, width: int, height: int) -> None:
    if scans > _MAX_SCANS or scans * width * height > _MAX_SCANNED:
        found = f"more than {_MAX_SCANS}" if scans > _MAX_SCANS else str(scans)
        raise LayoutError(
            f"{found} scans of {width}x{height} pixels found, which take too long; save it as a plain JPEG"
        )


def _load(data: bytes) -> npt.NDArray[Any]:
    with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
        image.load()
        return as_array(image)


def _all_stored(picture: _Plain, scans: list[bytes]) -> bool:
    """Whether the scans name every component, and in a progressive file every coefficient to its last bit."""
    missing = {(component, k) for component in picture.components for k in range(64)}
    for scan in scans:
        count = scan[0] if scan else 0
        if len(scan) < 4 + 2 * count:
            return False
        first, last, bits = scan[1 + 2 * count : 4 + 2 * count]
        if picture.frame != _PROGRESSIVE:
            first, last, bits = 0, 63, 0
        if bits & 15 == 0:
            missing -= {(component, k) for component in scan[1 : 1 + 2 * count : 2] for k in range(first, last + 1)}
    return not missing


def _ends_gray(pixels: npt.NDArray[Any], head: Header) -> bool:
    """Whether the last pixel has the level that libjpeg gives to blocks without data; CMYK has no such level."""
    return head.pixel_bits == 32 or bool((np.abs(pixels[-1, -1].astype(int) - 128) <= 1).all())
