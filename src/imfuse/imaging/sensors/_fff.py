"""The file of records in a JPEG file of a FLIR camera (FFF), which stands in parts in its segments."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal

from imfuse.imaging import _jpeg
from imfuse.imaging._support import DamagedError

Order = Literal["<", ">"]
MAGIC = b"FFF\0"
RAW_PLANE, VISIBLE, CAMERA, ALIGNMENT, POSITION = 0x01, 0x0E, 0x20, 0x2A, 0x2B
RECORD_HEAD = 32
_FLIR = b"FLIR\0"
_PART_HEAD = len(_FLIR) + 3
_MAX_PARTS = 256
_MAX_RECORDS = 1000


def parts(stream: BinaryIO) -> list[bytes]:
    """The parts of the file of records, in their order; none where a JPEG file has no segments of FLIR."""
    found: list[tuple[int, int, bytes]] = []
    for segment in _jpeg.segments(stream):
        if segment.marker != _jpeg.APP1 or segment.length < _PART_HEAD:
            continue
        content = _jpeg.body(stream, segment)
        if len(found) == _MAX_PARTS:
            raise DamagedError(f"more than {_MAX_PARTS} parts")
        if content.startswith(_FLIR):
            found.append((content[_PART_HEAD - 2], content[_PART_HEAD - 1], content[_PART_HEAD:]))
    if len({index for index, _, _ in found}) < len(found):
        # Some programs write zeros for all numbers. The parts stand in order then.
        return [data for _, _, data in found]
    last = max((last for _, last, _ in found), default=-1)
    if any(other != last for _, other, _ in found):
        raise DamagedError("its parts count differently")
    for number in range(last + 1):
        if number not in {index for index, _, _ in found}:
            raise DamagedError(f"part {number + 1} of {last + 1} is missing")
    return [data for _, _, data in sorted(found)]


def record(fff: bytes, wanted: int) -> bytes:
    """The first record of a kind."""
    for kind, offset, length in _directory(fff):
        if kind == wanted:
            if length < RECORD_HEAD or offset + length > len(fff):
                raise DamagedError("its record lies outside of the file (truncated)")
            return fff[offset : offset + length]
    raise DamagedError("no thermal plane among its records" if wanted == RAW_PLANE else "no such record")


def optional_record(fff: bytes, wanted: int) -> bytes:
    """A record that need not be there; nothing where it is missing or damaged."""
    try:
        return record(fff, wanted)
    except DamagedError:
        return b""


def order_of(data: bytes) -> Order:
    """Each record has a byte order of its own, which a small first number shows."""
    return "<" if struct.unpack_from("<H", data)[0] < 0x100 else ">"


def _directory(fff: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, offset and length of each record."""
    if len(fff) < 64 or not fff.startswith(MAGIC):
        raise DamagedError("no header of its records")
    order = next((order for order in "><" if 100 <= struct.unpack_from(order + "I", fff, 0x14)[0] < 200), None)
    if order is None:
        raise DamagedError("an unknown version of its records")
    start, count = struct.unpack_from(order + "II", fff, 0x18)
    if not 0 < count <= _MAX_RECORDS or start + 32 * count > len(fff):
        raise DamagedError("an impossible directory of its records")
    for number in range(count):
        kind, _, _, _, offset, length = struct.unpack_from(order + "HHIIII", fff, start + 32 * number)
        yield kind, offset, length
