"""WebP files: their size by their chunks, and their picture from the chunks that it needs."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.imaging import _ifd
from imfuse.imaging._support import MAX_EXIF, DamagedError, Header, LayoutError

_MAX_CHUNKS = 10_000
_ALPHA = 0x10


def chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, offset of the body, length), as far as they are looked at."""
    position = 12
    for _ in range(_MAX_CHUNKS):
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            return
        kind, length = struct.unpack("<4sI", head)
        yield kind, position + 8, length
        position += 8 + length + length % 2


def header(stream: BinaryIO) -> Header:
    """Read the size and the orientation; refuse animations."""
    size: tuple[int, int] | None = None
    exif = b""
    for kind, offset, length in chunks(stream):
        stream.seek(offset)
        if size is None:
            size = _size(kind, stream.read(10))
        elif kind == b"EXIF" and not exif and length <= MAX_EXIF:
            exif = stream.read(length)
    if size is None:
        raise DamagedError("no picture size in its header")
    return Header("WebP", *size, 32, _ifd.orientation(exif))


def _size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8X" and len(body) == 10:
        if body[0] & 0x02:
            raise LayoutError("an animation found, one picture is expected; save one frame")
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body[:1] == b"\x2f":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise DamagedError("no picture size in its header")


def decode(data: bytes, head: Header) -> npt.NDArray[np.uint8]:
    """Decode to RGB or RGBA.

    By OpenCV: Pillow allocates the canvas twice more, as it does for animations. Metadata do not come along.
    """
    needed: list[bytes] = []
    for kind, offset, length in chunks(io.BytesIO(data)):
        if kind in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH"):
            body = data[offset : offset + length]
            if kind == b"VP8X":
                body = bytes([body[0] & _ALPHA]) + body[1:]
            needed.append(kind + struct.pack("<I", length) + body + bytes(length % 2))
    plain = b"WEBP" + b"".join(needed)
    file = b"RIFF" + struct.pack("<I", len(plain)) + plain
    try:
        pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != (head.height, head.width) or pixels.dtype != np.uint8:
        raise DamagedError("its pixel data are invalid or end too early")
    return pixels[..., (2, 1, 0, 3)[: pixels.shape[2]]].astype(np.uint8, copy=False)
