"""Radiometric JPEG files of FLIR cameras: the counts of the thermal sensor, which stand beside the painted picture.

Segments APP1 that begin with FLIR hold one file of records (FFF) in parts. One of its records is the thermal plane.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from imfuse.imaging import _jpeg, _png
from imfuse.imaging._support import DamagedError, Decoded

_MAGIC = b"FLIR\0"
_FFF = b"FFF\0"
_PART_HEAD = len(_MAGIC) + 3
_MAX_PARTS = 256
_MAX_RECORDS = 1000
_MAX_SIDE = 8192
_RAW_PLANE = 1
_RECORD_HEAD = 32
# Neighbours of a thermal picture differ little; with their bytes swapped they differ by hundreds of times as much.
_SMOOTHER = 10


@dataclass(frozen=True)
class Thermal:
    """The thermal plane of a file, or why it could not be read."""

    counts: npt.NDArray[np.uint16] | None
    note: str

    @property
    def decoded(self) -> Decoded | None:
        """The plane as a picture. It has the orientation of the sensor, whatever the painted picture was turned to."""
        return None if self.counts is None else Decoded(self.counts)


def thermal(stream: BinaryIO) -> Thermal | None:
    """The thermal plane (H, W) of a JPEG file; nothing where it has no segments of FLIR."""
    try:
        parts = _parts(stream)
        if not parts:
            return None
        fff = b"".join(parts)
        counts, swapped = _bare_plane(stream, fff) or _plane(fff)
    except DamagedError as error:
        return Thermal(None, f"its thermal data cannot be read ({error}); this is the painted picture, no measurement")
    order = "; their byte order is other than the file says" if swapped else ""
    return Thermal(counts, f"the thermal plane is read, in counts of the sensor and not in degrees{order}")


def _parts(stream: BinaryIO) -> list[bytes]:
    """The parts of the file of records, in their order."""
    found: list[tuple[int, int, bytes]] = []
    for segment in _jpeg.segments(stream):
        if segment.marker != _jpeg.APP1 or segment.length < _PART_HEAD:
            continue
        content = _jpeg.body(stream, segment)
        if len(found) == _MAX_PARTS:
            raise DamagedError(f"more than {_MAX_PARTS} parts")
        if content.startswith(_MAGIC):
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


def _plane(fff: bytes) -> tuple[npt.NDArray[np.uint16], bool]:
    """The plane in a file of records, and whether its byte order is other than it says."""
    record = _record(fff, _RAW_PLANE)
    # Each record has a byte order of its own, which a small first number shows.
    order = "<" if struct.unpack_from("<H", record)[0] < 0x100 else ">"
    pixel_bytes, width, height = struct.unpack_from(order + "HHH", record)
    if pixel_bytes != 2 or not 0 < width <= _MAX_SIDE or not 0 < height <= _MAX_SIDE:
        raise DamagedError(f"a plane of {width}x{height} pixels of {pixel_bytes} bytes")
    stored = record[_RECORD_HEAD:]
    if stored.startswith(_png.SIGNATURE):
        counts = _from_png(stored, width, height)
        # PNG has the high byte first; cameras whose record has the low one first write the samples so as well.
        likely = counts.byteswap() if order == "<" else counts
    else:
        if len(stored) < 2 * width * height:
            raise DamagedError(f"{len(stored)} bytes for a plane of {width}x{height} pixels")
        likely = np.frombuffer(stored, order + "u2", width * height).reshape(height, width).astype(np.uint16)
    other = likely.byteswap()
    swapped = _roughness(likely) > _SMOOTHER * _roughness(other)
    return (other if swapped else likely), swapped


def _bare_plane(stream: BinaryIO, fff: bytes) -> tuple[npt.NDArray[np.uint16], bool] | None:
    """A plane without records: nothing but samples, one for each pixel of the painted picture."""
    painted = _jpeg.header(stream)
    if len(fff) != len(_FFF) + 2 * painted.width * painted.height:
        return None
    counts = np.frombuffer(fff, "<u2", offset=len(_FFF)).reshape(painted.height, painted.width).astype(np.uint16)
    return (counts if _roughness(counts) <= _roughness(counts.byteswap()) else counts.byteswap()), False


def _record(fff: bytes, wanted: int) -> bytes:
    """The first record of a kind."""
    if len(fff) < 64 or not fff.startswith(_FFF):
        raise DamagedError("no header of its records")
    order = next((order for order in "><" if 100 <= struct.unpack_from(order + "I", fff, 0x14)[0] < 200), None)
    if order is None:
        raise DamagedError("an unknown version of its records")
    start, count = struct.unpack_from(order + "II", fff, 0x18)
    if not 0 < count <= _MAX_RECORDS or start + 32 * count > len(fff):
        raise DamagedError("an impossible directory of its records")
    for number in range(count):
        kind, _, _, _, offset, length = struct.unpack_from(order + "HHIIII", fff, start + 32 * number)
        if kind == wanted:
            if length < _RECORD_HEAD or offset + length > len(fff):
                raise DamagedError("its record lies outside of the file (truncated)")
            return fff[offset : offset + length]
    raise DamagedError("no thermal plane among its records")


def _from_png(data: bytes, width: int, height: int) -> npt.NDArray[np.uint16]:
    file = io.BytesIO(data)
    head = _png.image_header(file, _png.chunk_table(file))
    if (head.width, head.height, head.depth, head.colour) != (width, height, 16, 0):
        raise DamagedError(f"a plane of {width}x{height} pixels, but a picture of {head.width}x{head.height} in it")
    return np.asarray(_png.decode(data)[0], np.uint16)


def _roughness(plane: npt.NDArray[np.uint16]) -> float:
    if plane.shape[1] < 2:
        return 0.0
    rows = plane[:: 1 + plane.shape[0] // 512].astype(np.int32)
    return float(np.abs(np.diff(rows, axis=1)).mean())
