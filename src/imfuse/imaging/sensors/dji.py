"""Radiometric JPEG files of DJI cameras: the counts of the thermal sensor, in segments without any header.

The formula by which counts become degrees is the maker's own. For one family of files there is a public approximation,
which leaves out what air, emissivity and reflections do and is some kelvin off; it is only used where it is asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from imfuse.imaging import _ifd, _jpeg
from imfuse.imaging._support import DamagedError
from imfuse.imaging.sensors.plane import Thermal
from imfuse.imaging.sensors.sensor import Sensor

_APP2, _APP3, _APP4 = 0xE2, 0xE3, 0xE4
# Nothing in the segments tells a size: these are the ones that cameras have.
_SIZES = {640 * 512: (512, 640), 1280 * 1024: (1024, 1280)}
_MAGIC = b"\xff\xd2\xd1\xff"
_FAMILIES = (b"iirp", b"girp", b"hirp")
_DIRP = b"\xaa\x55\x12\x06"
_OLD_IIRP_BYTES, _OLD_IIRP = 224, b"\x2c\x01\x20\x00"
_TABLE_BYTES = 32_768
_MAKE, _MODEL = 271, 272
_MOST_TEXT = 256


def thermal(stream: BinaryIO) -> Thermal | None:
    """The thermal plane (H, W) of a JPEG file; nothing where it is no radiometric one of DJI."""
    try:
        found = _segments(stream)
        if found is None:
            return None
        make, model, parts = found
        family, plane = _family(parts)
        if not family and len(plane) // 2 not in _SIZES:
            return None
        if len(plane) // 2 not in _SIZES or len(plane) % 2:
            sizes = " or ".join(str(2 * pixels) for pixels in _SIZES)
            raise DamagedError(f"{len(plane)} bytes of a plane, {sizes} are expected")
    except DamagedError as error:
        return Thermal.unread(error)
    counts = np.frombuffer(plane, "<u2").reshape(_SIZES[len(plane) // 2]).astype(np.uint16)
    facts: dict[str, Any] = {"maker": make, "camera": model, "dji_family": family or None, "visible": False}
    facts["parameters"] = _parameters(family, parts[_APP4][0] if parts[_APP4] else b"")
    return Thermal(counts, sensor=Sensor(f"DJI {family or 'unknown'}", thermal=True, facts=facts))


def _segments(stream: BinaryIO) -> tuple[str, str, dict[int, list[bytes]]] | None:
    """Maker, camera, and the segments that planes and tables stand in; nothing where DJI did not make the file."""
    exif = b""
    places: dict[int, list[_jpeg.Segment]] = {_APP2: [], _APP3: [], _APP4: []}
    for segment in _jpeg.segments(stream):
        if segment.marker in places:
            places[segment.marker].append(segment)
        elif segment.marker == _jpeg.APP1 and not exif:
            content = _jpeg.body(stream, segment)
            exif = content if content.startswith(b"Exif\0\0") else b""
    if not (places[_APP3] or places[_APP4]):
        return None
    make, model = (_ifd.text(exif, tag, _MOST_TEXT) for tag in (_MAKE, _MODEL))
    if make != "DJI":
        return None
    parts = {marker: [_jpeg.body(stream, segment) for segment in found] for marker, found in places.items()}
    return make, model, parts


def _family(parts: dict[int, list[bytes]]) -> tuple[str, bytes]:
    """Which layout a file has, and its plane."""
    plane = b"".join(parts[_APP3])
    first = parts[_APP4][0] if parts[_APP4] else b""
    if first.startswith(_MAGIC) and first[4:8] in _FAMILIES:
        return first[4:8].decode(), plane
    if len(first) == _OLD_IIRP_BYTES and first[32:36] == _OLD_IIRP:
        return "iirp", plane
    if first.startswith(_DIRP):
        return "dirp", plane
    if len(plane) == _TABLE_BYTES and any(part.startswith(b"Plug") for part in parts[_APP2]):
        # The oldest have the plane and its table the other way round.
        return "dirp", b"".join(parts[_APP4])
    return "", plane


def _parameters(family: str, first: bytes) -> dict[str, float] | None:
    """The conditions that an iirp file records; those of others stand at unknown places."""
    at = 32 if first.startswith(_MAGIC) else 0
    if family != "iirp" or len(first) < at + 20:
        return None
    values: Sequence[float] = struct.unpack_from("<5f", first, at)
    if not np.isfinite(values).all():
        return None
    names = ("ambient_C", "distance_m", "emissivity", "humidity", "reflected_C")
    return {name: float(f"{value:.6g}") for name, value in zip(names, values, strict=True)}
