"""What a picture says about itself and its fused one should say as well: EXIF with GPS, XMP, colour profile."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, BinaryIO, TypeAlias

from PIL import Image, TiffImagePlugin

from imfuse.core.errors import ImageError
from imfuse.core.files import open_input
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging import _ifd, _jpeg, _png, _webp
from imfuse.imaging._support import MAX_EXIF, quiet
from imfuse.imaging.sensors.dicom_write import is_dicom, read_identifiers

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
ORIENTATION, SOFTWARE, DESCRIPTION = 274, 305, 270
# Who took the picture, when, with what, at which resolution. All else in the first directory is about stored pixels.
_KEPT = (DESCRIPTION, 271, 272, 282, 283, 296, 306, 315, 33432, *range(0x9C9B, 0x9CA0))
# Makers' notes hold places in the old file and measurements of the old pixels; the second is a place, too.
_DROPPED = (0x927C, 0xA005)
_WIDTH, _HEIGHT, _TAKEN = 0xA002, 0xA003, 0x9003
_XMP_HEAD, _ICC_HEAD, _EXIF_HEAD = b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b"Exif\0\0"
_XMP_KEY = b"XML:com.adobe.xmp\0"
_MAX_XMP, _MAX_ICC, _MAX_ENTRY = 1 << 20, 1 << 23, 1 << 22
_TIFF_XMP, _TIFF_ICC = 700, 34675
# Packets on panoramas and on second layers of brightness are about other pixels.
_OTHER_PIXELS = re.compile(rb"GPano:|hdrgm:|GContainer:|Container:Directory")
_TURNED = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)[2-8]")
_JPEG_SEGMENT = 65_533

Entries: TypeAlias = Mapping[int, Any]


@dataclass(frozen=True)
class Carried:
    """Metadata of a picture that was turned upright, for a fused one on its pixels.

    Args:
        main: entries of the first directory of EXIF data, by their numbers.
        exif: entries of that on the exposure.
        gps: entries of that on the position.
        xmp: the packet.
        icc: the colour profile.
        identifiers: patient and study of a DICOM file, which only DICOM results hold.
    """

    main: Entries = field(default_factory=dict)
    exif: Entries = field(default_factory=dict)
    gps: Entries = field(default_factory=dict)
    xmp: bytes = b""
    icc: bytes = b""
    identifiers: Mapping[str, str] = field(default_factory=dict)

    def fitted(self, shape: Sequence[int], software: str) -> Carried:
        """What fits a result: its size, its maker, upright, and a profile of its kind of colours alone."""
        exif, gray = dict(self.exif), len(shape) == 2
        exif |= {tag: value for tag, value in ((_WIDTH, shape[1]), (_HEIGHT, shape[0])) if tag in exif}
        main = {**self.main, ORIENTATION: 1, **({SOFTWARE: software} if software else {})}
        profile = self.icc if self.icc[16:20] == (b"GRAY" if gray else b"RGB ") else b""
        return replace(self, main=main if self.main or exif or self.gps else {}, exif=exif, icc=profile)

    def with_position(self, latitude: float, longitude: float, altitude: float) -> Carried:
        """The same with a position, unless there is one."""
        if self.gps:
            return self
        gps = {0: b"\2\3\0\0", 1: "S" if latitude < 0 else "N", 2: _sexagesimal(latitude)}
        gps |= {3: "W" if longitude < 0 else "E", 4: _sexagesimal(longitude)}
        return replace(self, gps=gps | {5: b"\1" if altitude < 0 else b"\0", 6: round(abs(altitude), 2)})

    def exif_bytes(self) -> bytes:
        """EXIF data as they stand in a file, without the marker before them; nothing where there are none."""
        if not self.main:
            return b""
        data = Image.Exif()
        for tag, value in self.main.items():
            data[tag] = value
        for tag, entries in ((EXIF_IFD, self.exif), (GPS_IFD, self.gps)):
            if entries:
                data[tag] = dict(entries)
        return data.tobytes().removeprefix(_EXIF_HEAD)


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    seconds = round(abs(degrees) * 3600, 4)
    return float(seconds // 3600), float(seconds % 3600 // 60), round(seconds % 60, 4)


def read_carried(path: str | os.PathLike[str]) -> Carried:
    """Read the metadata of a JPEG, PNG, TIFF or WebP picture that was read before; of others there are none.

    A part that is damaged is left out with a note, and so is XMP about other pixels.
    """
    problem = ""
    carried = Carried()
    try:
        with open_input(path, ImageError, "an image file") as stream, quiet():
            exif, xmp, icc = _read(stream)
            carried = Carried(xmp=b"" if _OTHER_PIXELS.search(xmp) else _TURNED.sub(rb"\g<1>1", xmp), icc=icc)
            problem = "EXIF data"
            if exif is not None:
                kept = _with_exif(carried, exif())
                kept.exif_bytes()
                carried = kept
    except Exception:  # decoders raise anything on damaged files
        note(f"{printable(os.fspath(path))}: its {problem or 'metadata'} are damaged and not kept")
    return carried


def with_identifiers(carried: Carried, path: str | os.PathLike[str]) -> Carried:
    """The same with patient and study, where the file is a DICOM file that was read before."""
    try:
        with open_input(path, ImageError, "an image file") as stream, quiet():
            return replace(carried, identifiers=read_identifiers(stream)) if is_dicom(stream) else carried
    except Exception:  # the parser raises anything on damaged files
        note(f"{printable(os.fspath(path))}: its identifiers are damaged and not kept")
        return carried


_Found: TypeAlias = "tuple[Callable[[], Image.Exif] | None, bytes, bytes]"


def _read(stream: BinaryIO) -> _Found:
    if is_dicom(stream):
        return None, b"", b""
    start = stream.read(16)
    stream.seek(0)
    if start.startswith(b"\xff\xd8\xff"):
        return _of_jpeg(stream)
    if start.startswith(_png.SIGNATURE):
        return _of_png(stream)
    if start.startswith(_ifd.SIGNATURES):
        return _of_tiff(stream)
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return _of_webp(stream)
    return None, b"", b""


def _exif(data: bytes) -> Callable[[], Image.Exif] | None:
    return partial(_loaded, data) if 0 < len(data) <= MAX_EXIF else None


def _loaded(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    # Pillow reads with the marker before the data, whose length it cuts off.
    exif.load(_EXIF_HEAD + data.removeprefix(_EXIF_HEAD))
    return exif


def _with_exif(carried: Carried, exif: Image.Exif) -> Carried:
    main = {tag: exif[tag] for tag in _KEPT if tag in exif}
    details = {tag: value for tag, value in exif.get_ifd(EXIF_IFD).items() if tag not in _DROPPED}
    gps = exif.get_ifd(GPS_IFD)
    # Some cameras let both entries lead to the same directory, which then holds no position.
    position = {tag: value for tag, value in gps.items() if tag <= 31}
    return replace(carried, main=main, exif=details, gps=position if 2 in position and 4 in position else {})


def _of_jpeg(stream: BinaryIO) -> _Found:
    exif = xmp = b""
    profile: list[tuple[int, bytes]] = []
    for segment in _jpeg.segments(stream):
        if segment.marker == _jpeg.APP1 and not (exif and xmp):
            content = _jpeg.body(stream, segment)
            if content.startswith(_EXIF_HEAD) and not exif:
                exif = content
            elif content.startswith(_XMP_HEAD) and not xmp:
                xmp = content.removeprefix(_XMP_HEAD)
        elif segment.marker == 0xE2 and len(profile) < 256:
            content = _jpeg.body(stream, segment)
            if content.startswith(_ICC_HEAD) and len(content) > len(_ICC_HEAD) + 2:
                profile.append((content[len(_ICC_HEAD)], content[len(_ICC_HEAD) + 2 :]))
    return _exif(exif), xmp, b"".join(part for _, part in sorted(profile))


def _of_png(stream: BinaryIO) -> _Found:
    exif = xmp = icc = b""
    for kind, offset, length in _png.chunks(stream):
        if length > _MAX_ICC:
            continue
        if kind == b"eXIf" and not exif:
            exif = _png.body(stream, offset, length)
        elif kind == b"iCCP" and not icc:
            icc = _inflated(_png.body(stream, offset, length).partition(b"\0")[2][1:], _MAX_ICC)
        elif kind == b"iTXt" and not xmp:
            key, _, rest = _png.body(stream, offset, length).partition(b"\0")
            parts = rest[2:].split(b"\0", 2)
            if key + b"\0" == _XMP_KEY and len(parts) == 3:
                xmp = parts[2] if rest[:1] == b"\0" else _inflated(parts[2], _MAX_XMP)
    return _exif(exif), xmp[:_MAX_XMP], icc


def _inflated(data: bytes, most: int) -> bytes:
    found = zlib.decompressobj().decompress(data, most + 1)
    return found if len(found) <= most else b""


def _of_webp(stream: BinaryIO) -> _Found:
    found: dict[bytes, bytes] = {}
    for kind, offset, length in _webp.chunks(stream):
        if kind in (b"EXIF", b"XMP ", b"ICCP") and kind not in found and length <= _MAX_ICC:
            stream.seek(offset)
            found[kind] = stream.read(length)
    return _exif(found.get(b"EXIF", b"")), found.get(b"XMP ", b"")[:_MAX_XMP], found.get(b"ICCP", b"")


def _of_tiff(stream: BinaryIO) -> _Found:
    page = next(_ifd.directories(stream))
    xmp, icc = page.data(_TIFF_XMP, _MAX_XMP), page.data(_TIFF_ICC, _MAX_ICC)
    return (None if page.largest > _MAX_ENTRY else partial(_loaded_tiff, stream)), xmp, icc


def _loaded_tiff(stream: BinaryIO) -> Image.Exif:
    stream.seek(0)
    exif = Image.Exif()
    exif.load_from_fp(stream)
    return exif


def jpeg_segments(carried: Carried) -> tuple[bytes, list[str]]:
    """The segments that go before a JPEG picture, and what is too long for one."""
    lost: list[str] = []
    parts: list[bytes] = []
    exif = carried.exif_bytes()
    for name, marker, head, content in (("EXIF data", 0xE1, _EXIF_HEAD, exif), ("XMP", 0xE1, _XMP_HEAD, carried.xmp)):
        if len(head + content) > _JPEG_SEGMENT:
            lost.append(name)
        elif content:
            parts.append(_jpeg_segment(marker, head + content))
    room = _JPEG_SEGMENT - len(_ICC_HEAD) - 2
    profile = [carried.icc[start : start + room] for start in range(0, len(carried.icc), room)]
    if len(profile) > 255:
        return b"".join(parts), [*lost, "colour profile"]
    parts += [_jpeg_segment(0xE2, _ICC_HEAD + bytes((i + 1, len(profile))) + part) for i, part in enumerate(profile)]
    return b"".join(parts), lost


def _jpeg_segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def png_chunks(carried: Carried) -> bytes:
    """The chunks that go behind the header of a PNG picture."""
    exif, parts = carried.exif_bytes(), []
    if carried.icc:
        parts.append(_png.chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(carried.icc)))
    if exif:
        parts.append(_png.chunk(b"eXIf", exif))
    if carried.xmp:
        parts.append(_png.chunk(b"iTXt", _XMP_KEY + b"\0\0\0\0" + carried.xmp))
    return b"".join(parts)


def tiff_tags(carried: Carried) -> list[tuple[int, int, int, Any, bool]]:
    """The tags of a TIFF picture, with a place each for where `with_tiff_directories` puts directories."""
    tags: list[tuple[int, int, int, Any, bool]] = []
    for tag, value in carried.main.items():
        if isinstance(value, str) and value.isascii() and tag not in (DESCRIPTION, ORIENTATION):
            tags.append((tag, 2, 0, value, True))
    if carried.xmp:
        tags.append((_TIFF_XMP, 1, len(carried.xmp), carried.xmp, True))
    if carried.icc:
        tags.append((_TIFF_ICC, 7, len(carried.icc), carried.icc, True))
    # tifffile writes no such tags; their neighbours stand where they belong, and are renamed.
    tags += [(tag - 1, 4, 1, 0, True) for tag, entries in _directories(carried) if entries]
    return sorted(tags)


def _directories(carried: Carried) -> tuple[tuple[int, Entries], tuple[int, Entries]]:
    return (EXIF_IFD, carried.exif), (GPS_IFD, carried.gps)


def with_tiff_directories(data: bytes, carried: Carried) -> bytes:
    """A little-endian TIFF file with the directories of EXIF and GPS behind it, to which its tags lead."""
    whole = bytearray(data)
    (start,) = struct.unpack_from("<I", whole, 4)
    (count,) = struct.unpack_from("<H", whole, start)
    places = {struct.unpack_from("<H", whole, at)[0]: at for at in range(start + 2, start + 2 + 12 * count, 12)}
    for tag, entries in _directories(carried):
        if not entries:
            continue
        whole += bytes(len(whole) % 2)
        directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
        for number, value in entries.items():
            directory[number] = value
        struct.pack_into("<H", whole, places[tag - 1], tag)
        struct.pack_into("<I", whole, places[tag - 1] + 8, len(whole))
        whole += directory.tobytes(len(whole))
    return bytes(whole)


def facts_of(carried: Carried) -> dict[str, Any]:
    """What is known of a picture's making, as JSON takes it."""
    names = {271: "make", 272: "model", 306: "time", 315: "artist", 33432: "copyright"}
    facts: dict[str, Any] = {name: str(carried.main[tag]) for tag, name in names.items() if tag in carried.main}
    if _TAKEN in carried.exif:
        facts["time"] = str(carried.exif[_TAKEN])
    if carried.gps:
        facts["position"] = {
            "latitude": _degrees(carried.gps[2], carried.gps.get(1)),
            "longitude": _degrees(carried.gps[4], carried.gps.get(3)),
        }
    return facts | {name: len(getattr(carried, name)) for name in ("xmp", "icc") if getattr(carried, name)}


def _degrees(parts: Any, side: Any) -> float | None:
    try:
        value = sum(float(part) / 60**i for i, part in enumerate(parts))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    signed = -value if str(side) in ("S", "W") else value
    # Numbers by zero in the file are no numbers here.
    return round(signed, 7) if abs(signed) <= 180 else None


def encoded_exif(carried: Carried) -> bytes:
    """EXIF data with the marker before them, as Pillow's writers take them."""
    data = carried.exif_bytes()
    return _EXIF_HEAD + data if data else b""
