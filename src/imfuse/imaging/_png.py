"""PNG chunks: header, checksums, text, and the 16-bit pictures that Pillow would cut down to 8 bits."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# A hostile file of empty chunks would keep a Python loop busy for minutes.
MAX_CHUNKS = 500_000
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


class DamagedError(Exception):
    """The file breaks the rules of its format; the text completes the sentence `damaged ... file: `."""


@dataclass(frozen=True)
class Header:
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
    """Read and check IHDR."""
    kind, offset, length = next(chunks(file))
    if kind != b"IHDR" or length != 13:
        raise DamagedError("no IHDR header")
    width, height, depth, colour, method, filtering, interlace = struct.unpack(">IIBBBBB", body(file, offset, length))
    if colour not in _CHANNELS or method or filtering or interlace > 1 or not width or not height:
        raise DamagedError("its header holds impossible values")
    return Header(width, height, depth, colour, bool(interlace))


def exif(file: BinaryIO) -> bytes:
    """Return the eXIf chunk wherever it stands, or nothing."""
    for kind, offset, length in chunks(file):
        if kind == b"eXIf":
            return body(file, offset, length)
    return b""


def frames(file: BinaryIO) -> int:
    """Count the frames that an animated PNG announces; 1 for a still picture."""
    for kind, offset, length in chunks(file):
        if kind == b"acTL" and length == 8:
            return int.from_bytes(body(file, offset, length)[:4], "big")
        if kind == b"IDAT":
            break
    return 1


def check(file: BinaryIO) -> None:
    """Check every critical chunk, since Pillow and OpenCV decode past a wrong checksum or complain on stderr."""
    for kind, offset, length in chunks(file):
        if kind[:1].isupper():
            body(file, offset, length)


def _row_bytes(head: Header) -> list[tuple[int, int]]:
    """Return (rows, bytes of one row with its filter byte) for each pass of a 16-bit picture."""
    passes = _ADAM7 if head.interlaced else ((0, 0, 1, 1),)
    sizes = []
    for top, left, step_y, step_x in passes:
        rows = -(-(head.height - top) // step_y)
        columns = -(-(head.width - left) // step_x)
        if rows > 0 and columns > 0:
            sizes.append((rows, 1 + columns * head.channels * 2))
    return sizes


def _checked_stream(head: Header, packed: bytes) -> bytes:
    """Inflate once under a bound and return the stream without what trails it.

    libpng prints its complaints to stderr, so OpenCV only ever sees a stream that is known to be whole.
    """
    sizes = _row_bytes(head)
    expected = sum(rows * size for rows, size in sizes)
    inflater = zlib.decompressobj()
    raw = inflater.decompress(packed, expected + 1)
    if len(raw) != expected or not inflater.eof:
        raise DamagedError("its pixel data do not fill the picture")
    start = 0
    for rows, size in sizes:
        if max(raw[start : start + rows * size : size]) > 4:
            raise DamagedError("its pixel data are invalid")
        start += rows * size
    return packed[: len(packed) - len(inflater.unused_data)]


def decode_16_bit(file: BinaryIO, head: Header) -> npt.NDArray[Any]:
    """Decode a 16-bit picture to (H, W) gray or (H, W, 3) RGB; alpha is dropped."""
    if head.colour == 3:
        raise DamagedError("its header holds impossible values")
    packed = b"".join(body(file, offset, length) for kind, offset, length in chunks(file) if kind == b"IDAT")
    ihdr = struct.pack(">IIBBBBB", head.width, head.height, 16, head.colour, 0, 0, head.interlaced)
    # Only what the pixels need: ancillary chunks (gamma, palettes, tRNS) must neither change values nor raise warnings.
    plain = SIGNATURE + chunk(b"IHDR", ihdr) + chunk(b"IDAT", _checked_stream(head, packed)) + chunk(b"IEND", b"")
    pixels = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.shape[:2] != (head.height, head.width):
        raise DamagedError("OpenCV cannot decode it")
    if head.colour in (0, 4):
        return pixels if pixels.ndim == 2 else pixels[..., 0]
    return pixels[..., 2::-1]


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
