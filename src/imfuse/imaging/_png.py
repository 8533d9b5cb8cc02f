"""PNG files: decoded from their critical chunks alone; text; 16-bit pictures, which Pillow would cut down to 8 bits."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from imfuse.imaging import _ifd
from imfuse.imaging._support import MAX_EXIF, DamagedError, Header, LayoutError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# A hostile file of empty chunks would keep a Python loop busy for minutes.
MAX_CHUNKS = 100_000
# Inflating stops at this many bytes a time.
_PART = 1 << 20
_DEFLATE_BEST = 1032
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@dataclass(frozen=True)
class ImageHeader:
    """The IHDR chunk."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def channels(self) -> int:
        """Stored channels, alpha included."""
        return _CHANNELS[self.colour]


def chunk(kind: bytes, body: bytes) -> bytes:
    """Encode one chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, offset of the body, length) up to and including IEND, without reading the bodies."""
    position = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            raise DamagedError("it ends too early (truncated)")
        length, kind = struct.unpack(">I4s", head)
        yield kind, position + 8, length
        if kind == b"IEND":
            return
        position += 12 + length
    raise DamagedError(f"more than {MAX_CHUNKS} chunks")


Chunks = list[tuple[bytes, int, int]]


def chunk_table(file: BinaryIO) -> Chunks:
    """All chunks of a file: kind, offset of the body, length."""
    return list(chunks(file))


def body(file: BinaryIO, offset: int, length: int) -> bytes:
    """Read one chunk body and check its checksum."""
    file.seek(offset - 4)
    kind_and_body, checksum = file.read(4 + length), file.read(4)
    if len(checksum) < 4:
        raise DamagedError("it ends too early (truncated)")
    if struct.pack(">I", zlib.crc32(kind_and_body)) != checksum:
        raise DamagedError(f"wrong checksum in chunk {kind_and_body[:4].decode('latin-1')!r}")
    return kind_and_body[4:]


def header(file: BinaryIO) -> Header:
    """Read the size and the orientation; refuse animations."""
    table = chunk_table(file)
    head, frames = image_header(file, table), _frames(file, table)
    if frames > 1:
        raise LayoutError(f"an animation of {frames} frames found, one picture is expected; save one frame")
    # Palettes and small depths decode to 8-bit channels.
    bits = 24 if head.colour == 3 else head.channels * max(head.depth, 8)
    exif = _ancillary(file, table, b"eXIf", MAX_EXIF)
    return Header("PNG", head.width, head.height, bits, _ifd.orientation(exif))


def image_header(file: BinaryIO, table: Chunks) -> ImageHeader:
    """Read and check IHDR."""
    kind, offset, length = table[0]
    if kind != b"IHDR" or length != 13:
        raise DamagedError("no IHDR header")
    width, height, depth, colour, method, filtering, interlace = struct.unpack(">IIBBBBB", body(file, offset, length))
    if depth not in _DEPTHS.get(colour, ()) or method or filtering or interlace > 1 or not width or not height:
        raise DamagedError("its header holds impossible values")
    return ImageHeader(width, height, depth, colour, bool(interlace))


def _ancillary(file: BinaryIO, table: Chunks, wanted: bytes, most: int) -> bytes:
    """A chunk that pixels do not need; nothing where it is missing, damaged or longer than ``most``."""
    for kind, offset, length in table:
        if kind == wanted:
            try:
                return body(file, offset, length) if length <= most else b""
            except DamagedError:
                return b""
    return b""


def _frames(file: BinaryIO, table: Chunks) -> int:
    """The number of frames that an animated PNG announces; 1 for a still picture."""
    control = _ancillary(file, table, b"acTL", 8)
    return int.from_bytes(control[:4], "big") if len(control) == 8 else 1


def decode(data: bytes) -> tuple[Image.Image | npt.NDArray[Any], tuple[str, ...]]:
    """Decode to the mode that is stored; 16-bit pictures to gray or RGB. Says what is odd about the pixel data."""
    file = io.BytesIO(data)
    table = chunk_table(file)
    head = image_header(file, table)
    critical: dict[bytes, list[bytes]] = {kind: [] for kind, _, _ in table if kind[:1].isupper()}
    for kind, offset, length in table:
        # Pillow and OpenCV decode past a wrong checksum, or complain on stderr.
        if kind in critical:
            critical[kind].append(body(file, offset, length))
    packed, surplus = _checked_stream(head, b"".join(critical.get(b"IDAT", [])))
    # Gamma, texts, profiles and the like must neither change values nor make a good picture unreadable.
    parts = [chunk(b"IHDR", critical[b"IHDR"][0]), *(chunk(b"PLTE", part) for part in critical.get(b"PLTE", [])[:1])]
    plain = b"".join([SIGNATURE, *parts, chunk(b"IDAT", packed), chunk(b"IEND", b"")])
    notes = ("it holds more pixel data than its size asks for",) if surplus else ()
    return (_by_opencv(plain, head) if head.depth == 16 else _by_pillow(plain, head)), notes


def _by_pillow(plain: bytes, head: ImageHeader) -> Image.Image:
    with PngImagePlugin.PngImageFile(io.BytesIO(plain)) as image:
        image.load()
        return image


def _by_opencv(plain: bytes, head: ImageHeader) -> npt.NDArray[Any]:
    pixels = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.shape[:2] != (head.height, head.width):
        raise DamagedError("OpenCV cannot decode it")
    if head.colour in (0, 4):
        return pixels if pixels.ndim == 2 else pixels[..., 0]
    return pixels[..., (2, 1, 0, 3)[: pixels.shape[2]]]


def _row_bytes(head: ImageHeader) -> list[tuple[int, int]]:
    """Return (rows, bytes of one row with its filter byte) for each pass."""
    passes = _ADAM7 if head.interlaced else ((0, 0, 1, 1),)
    sizes = []
    for top, left, step_y, step_x in passes:
        rows = -(-(head.height - top) // step_y)
        columns = -(-(head.width - left) // step_x)
        if rows > 0 and columns > 0:
            sizes.append((rows, 1 + (columns * head.channels * head.depth + 7) // 8))
    return sizes


def _checked_stream(head: ImageHeader, packed: bytes) -> tuple[bytes, bool]:
    """Inflate once in small parts; the stream of the pixels alone, and whether anything was left.

    Decoders fill what is missing with zeros, and libpng prints its complaints to stderr: they only ever see a stream
    that is known to be whole.
    """
    sizes = _row_bytes(head)
    needed = sum(rows * size for rows, size in sizes)
    if needed > _DEFLATE_BEST * len(packed):
        raise DamagedError("its pixel data do not fill the picture (truncated)")
    stream = _Inflater(packed)
    for rows, size in sizes:
        at_once = max(1, _PART // size)
        for start in range(0, rows, at_once):
            part = stream.read(min(at_once, rows - start) * size)
            if len(part) < min(at_once, rows - start) * size:
                raise DamagedError("its pixel data do not fill the picture (truncated)")
            if np.frombuffer(part, np.uint8)[::size].max() > 4:
                raise DamagedError("its pixel data are invalid")
    if stream.read(1):
        return zlib.compress(_Inflater(packed).read(needed), 1), True
    if not stream.ended:
        raise DamagedError("its pixel data do not fill the picture (truncated)")
    return packed[: stream.used], stream.used < len(packed)


class _Inflater:
    """A deflate stream, read in parts. Given to zlib at once, what is left of it would be copied with every part."""

    def __init__(self, packed: bytes) -> None:
        self._packed, self._at, self._zlib = packed, 0, zlib.decompressobj()

    @property
    def ended(self) -> bool:
        return self._zlib.eof

    @property
    def used(self) -> int:
        """Packed bytes up to the end of the stream, once it was reached."""
        return self._at - len(self._zlib.unused_data)

    def read(self, count: int) -> bytes:
        """At most this many bytes; fewer only at the end."""
        parts: list[bytes] = []
        while count and not self._zlib.eof:
            source = self._zlib.unconsumed_tail
            if not source:
                source = self._packed[self._at : self._at + _PART]
                self._at += len(source)
            part = self._zlib.decompress(source, count)
            if not part and not source:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def encode_text(key: str, value: str) -> bytes:
    """Encode one entry: tEXt when Latin-1 holds it, otherwise iTXt in UTF-8."""
    name = key.encode("latin-1")
    try:
        return chunk(b"tEXt", name + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        return chunk(b"iTXt", name + b"\0\0\0\0\0" + value.encode("utf-8"))


def _decode_text(kind: bytes, data: bytes) -> tuple[str, str] | None:
    name, _, rest = data.partition(b"\0")
    if kind == b"tEXt":
        return name.decode("latin-1"), rest.decode("latin-1")
    if rest[:1] != b"\0":
        return None
    text = rest[2:].split(b"\0", 2)
    return (name.decode("latin-1"), text[2].decode("utf-8")) if len(text) == 3 else None


def texts(file: BinaryIO, max_bytes: int) -> dict[str, str]:
    """Read the uncompressed text chunks; stop with `DamagedError` above `max_bytes` of text."""
    entries: dict[str, str] = {}
    for kind, offset, length in chunks(file):
        if kind not in (b"tEXt", b"iTXt"):
            continue
        max_bytes -= length
        if max_bytes < 0:
            raise DamagedError("too much text")
        entry = _decode_text(kind, body(file, offset, length))
        if entry is not None:
            entries[entry[0]] = entry[1]
    return entries
