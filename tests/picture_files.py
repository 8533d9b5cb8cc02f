"""Picture files that no library writes: odd, damaged or hostile ones."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray[Any, Any]
CODES = {1: "B", 2: "s", 3: "H", 4: "I", 7: "s", 12: "d", 16: "Q"}


def tiff(tags: dict[int, Any], data: bytes, order: str = "<", repeat: int = 1) -> bytes:
    """A TIFF file of one page; ``data`` stand at offset 8. Values are numbers (32 bits), bytes, or (type, values).

    ``repeat`` writes all entries several times.
    """
    entries, behind = [], b""
    at = 8 + len(data) + 2 + 12 * len(tags) * repeat + 4
    for tag, value in sorted(tags.items()):
        kind, values = value if isinstance(value, tuple) else (2, value) if isinstance(value, bytes) else (4, [value])
        body = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{CODES[kind]}", *values)
        entry = struct.pack(order + "HHI", tag, kind, len(values))
        if len(body) > 4:
            entry += struct.pack(order + "I", at + len(behind))
            behind += body
        else:
            entry += body.ljust(4, b"\0")
        entries.append(entry)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
    directory = struct.pack(order + "H", len(tags) * repeat) + b"".join(entries) * repeat + bytes(4)
    return head + data + directory + behind


def gray_tags(height: int, width: int, size: int, **more: int) -> dict[int, Any]:
    """Entries of an uncompressed 8-bit picture in one strip at offset 8."""
    names = {"bits": 258, "compression": 259, "photometric": 262, "channels": 277, "predictor": 317, "kind": 339}
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: size}
    return tags | {names[name]: value for name, value in more.items()}


def with_shorter_strips(data: bytes, keep: float) -> bytes:
    """A little-endian TIFF file whose strips or tiles are cut to a share of their lengths."""
    out, start = bytearray(data), struct.unpack_from("<I", data, 4)[0]
    for number in range(struct.unpack_from("<H", data, start)[0]):
        at = start + 2 + 12 * number
        tag, kind, count, value = struct.unpack_from("<HHII", data, at)
        if tag in (279, 325):
            form, size = ("<H", 2) if kind == 3 else ("<I", 4)
            for place in range(
                at + 8 if count * size <= 4 else value, (at + 8 if count * size <= 4 else value) + count * size, size
            ):
                struct.pack_into(form, out, place, int(struct.unpack_from(form, data, place)[0] * keep))
    return bytes(out)


def saved(pixels: Array | Image.Image, kind: str, **options: Any) -> bytes:
    """What Pillow writes."""
    stream = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: Array, extra: bytes = b"", behind: bytes = b"", packed: bytes | None = None) -> bytes:
    """A gray or RGB PNG file with chunks before the pixel data, and more behind their rows."""
    height, width = pixels.shape[:2]
    colour, depth = {2: 0, 3: 2}[pixels.ndim], 8 * pixels.dtype.itemsize
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(rows + behind) if packed is None else packed)
    return b"\x89PNG\r\n\x1a\n" + head + extra + data + png_chunk(b"IEND", b"")


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG file with segments behind its first marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def run_lengths(width: int, height: int, bits: int, data: bytes) -> bytes:
    """A BMP file of run lengths, with a palette of colours."""
    palette = b"".join(bytes((index, 255 - index, index // 2, 0)) for index in range(1 << bits))
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, {8: 1, 4: 2}[bits], len(data), 0, 0, 1 << bits, 0)
    start = 54 + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


def flir_record(counts: Array, order: str = "<", stored: bytes | None = None) -> bytes:
    """A record of a thermal plane: plain samples, or what is given."""
    samples = counts.astype(order + "u2").tobytes() if stored is None else stored
    return struct.pack(order + "HHH", 2, *counts.shape[::-1]).ljust(32, b"\0") + samples


def flir_file(record: bytes, kind: int = 1, order: str = ">", version: int = 100, count: int = 1) -> bytes:
    """A file of records, the second of which is given."""
    entries = [(32, 0, b"\0" * 40), (kind, 1, record)]
    start = 64 + 32 * len(entries)
    directory = b""
    for what, subtype, body in entries:
        directory += struct.pack(order + "HHIIII", what, subtype, 100, 0, start, len(body)).ljust(32, b"\0")
        start += len(body)
    head = b"FFF\0".ljust(20, b"\0") + struct.pack(order + "III", version, 64, len(entries) * count)
    return head.ljust(64, b"\0") + directory + b"".join(body for _, _, body in entries)


def flir_segments(fff: bytes, size: int = 65_525) -> list[bytes]:
    """The segments that hold a file of records."""
    parts = [fff[start : start + size] for start in range(0, len(fff), size)]
    return [jpeg_segment(0xE1, b"FLIR\0\1" + bytes((i, len(parts) - 1)) + part) for i, part in enumerate(parts)]


def flir_records(records: dict[int, bytes]) -> bytes:
    """A file of records of these kinds."""
    start = 64 + 32 * len(records)
    directory = b""
    for kind, body in records.items():
        directory += struct.pack(">HHIIII", kind, 1, 100, 0, start, len(body)).ljust(32, b"\0")
        start += len(body)
    head = b"FFF\0".ljust(20, b"\0") + struct.pack(">III", 100, 64, len(records))
    return head.ljust(64, b"\0") + directory + b"".join(records.values())


CAMERA = {
    0x20: 0.95, 0x24: 5.0, 0x28: 280.14, 0x2C: 293.15, 0x30: 293.15, 0x34: 1.0, 0x3C: 0.5, 0x58: 14748.0449,
    0x5C: 1393.3, 0x60: 1.0, 0x70: 0.006569, 0x74: 0.01262, 0x78: -0.002276, 0x7C: -0.00667, 0x80: 1.9,
    0x30C: 0.0110274088,
}  # fmt: skip
"""Constants of a FLIR camera by their places, without O."""


def flir_camera(order: str = "<", **changed: float) -> bytes:
    """The record of a camera; ``changed`` are constants by their places, such as ``x20``."""
    record = bytearray(struct.pack(order + "H", 2).ljust(0x320, b"\0"))
    for place, value in (CAMERA | {int(name[1:], 16): value for name, value in changed.items()}).items():
        struct.pack_into(order + "f", record, place, value)
    struct.pack_into(order + "i", record, 0x308, -5790)
    record[0xD4:0xDD] = b"Camera 1\0"
    return bytes(record)


def flir_alignment(scale: float, right: int, down: int) -> bytes:
    return struct.pack("<fhh", scale, right, down).ljust(96, b"\0")


def flir_visible(stored: bytes, width: int, height: int) -> bytes:
    return struct.pack("<HHH", 3, width, height).ljust(32, b"\0") + stored


def exif_of(entries: dict[int, bytes], gps: bool = False) -> bytes:
    """EXIF data with these texts."""
    from PIL import Image as Pillow

    exif = Pillow.Exif()
    for tag, text in entries.items():
        exif[tag] = text.decode()
    if gps:
        exif[0x8825] = {1: "N", 2: (53.0, 26.0, 51.37), 3: "W", 4: (2.0, 48.0, 44.17)}
    return exif.tobytes()


def dji_segments(counts: Array, family: bytes = b"iirp") -> list[bytes]:
    """The segments of a radiometric file of DJI: EXIF, plane and parameters."""
    exif = exif_of({271: b"DJI", 272: b"M3T"})
    data = counts.astype("<u2").tobytes()
    size = 65_532
    parts = [jpeg_segment(0xE3, data[start : start + size]) for start in range(0, len(data), size)]
    parameters = (b"\xff\xd2\xd1\xff" + family).ljust(32, b"\0") + struct.pack("<5f", 25, 5, 0.95, 0.5, 23)
    return [jpeg_segment(0xE1, exif), *parts, jpeg_segment(0xE4, parameters.ljust(256, b"\0"))]


def write_four_bands(path: Path, pixels: Array) -> None:
    """A PNG file whose fourth channel is infrared, as those of MFNet; the library itself writes none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels, "RGBA").save(path)
