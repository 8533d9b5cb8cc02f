"""WebP files: their size by their chunks, because Pillow allocates the whole canvas when it opens a file."""

from __future__ import annotations

import io
import os
import struct
from typing import BinaryIO

from PIL import Image, WebPImagePlugin

from imfuse.imaging import _ifd
from imfuse.imaging._support import MAX_EXIF, DamagedError, Header, LayoutError

_MAX_CHUNKS = 10_000


def header(stream: BinaryIO) -> Header:
    """Read the size and the orientation; refuse animations."""
    size: tuple[int, int] | None = None
    exif = b""
    position, end = 12, stream.seek(0, os.SEEK_END)
    for _ in range(_MAX_CHUNKS):
        stream.seek(position)
        head = stream.read(18)
        if len(head) < 8:
            break
        kind, length = struct.unpack("<4sI", head[:8])
        if size is None:
            size = _size(kind, head[8:])
        if kind == b"EXIF" and not exif and length <= min(end, MAX_EXIF):
            stream.seek(position + 8)
            exif = stream.read(length)
        position += 8 + length + length % 2
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


def decode(data: bytes, head: Header) -> Image.Image:
    """Decode to RGB or RGBA."""
    with WebPImagePlugin.WebPImageFile(io.BytesIO(data)) as image:
        if image.size != (head.width, head.height):
            raise DamagedError("its headers contradict each other")
        image.load()
        return image
