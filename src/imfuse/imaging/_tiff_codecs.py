"""Compressed strips and tiles of TIFF files to samples: exactly as many as the geometry asks for, or an error."""

from __future__ import annotations

import importlib
import io
import lzma
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import TiffImagePlugin

from imfuse.imaging._support import DamagedError, LayoutError

NONE, FAX, LZW, JPEG, PACKBITS = 1, (2, 3, 4), 5, 7, 32773
_DEFLATE, _LZMA, _ZSTD = (8, 32946), 34925, (34926, 50000)
JPEG_2000, LERC, WEBP = 34712, 34887, 50001
_BY_PACKAGE = (JPEG_2000, LERC, WEBP)
_READ = (NONE, *FAX, LZW, JPEG, PACKBITS, *_DEFLATE, _LZMA, *_ZSTD, *_BY_PACKAGE)
PICTURES = (*FAX, JPEG, *_BY_PACKAGE)
"""Codecs that store pictures instead of bytes."""
_NAMES = {
    1: "uncompressed",
    2: "fax", 3: "fax", 4: "fax", 5: "LZW", 6: "old-style JPEG", 7: "JPEG", 8: "deflate", 9: "JBIG", 10: "JBIG",
    32773: "PackBits", 32809: "ThunderScan", 32946: "deflate", 33003: "JPEG 2000 (Aperio)", 33005: "JPEG 2000 (Aperio)",
    34661: "JBIG", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG", 34925: "LZMA", 34926: "ZSTD",
    34933: "PNG", 34934: "JPEG XR", 50000: "ZSTD", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
PREDICTED = (LZW, *_DEFLATE, _LZMA, *_ZSTD)
"""Codecs that may store differences of neighbours."""
# The most bytes that one byte can stand for, where there is such a bound: headers can claim anything.
_BEST_RATIO = {NONE: 1, LZW: 4096, PACKBITS: 64, **dict.fromkeys(_DEFLATE, 1032)}
_INSTALL = "install it: pip install 'imfuse[codecs]'"
SAVE = "save it uncompressed or with deflate (ZIP) compression"
_MAX_OPENCV = 1 << 20
# Each stands for up to 128 KiB.
_MAX_BLOCKS = 100_000


@dataclass(frozen=True)
class Coding:
    """How the strips or tiles of a picture are coded; one after another, they are given to the functions below."""

    compression: int
    bits: int
    channels: int
    photometric: int
    big_endian: bool
    reversed_bits: bool
    subsampling: tuple[int, int]
    jpeg_tables: bytes
    fax_options: int

    def row_bytes(self, columns: int) -> int:
        """Bytes of one row of pixels before they are compressed; subsampled ones count as the others."""
        return -(-columns * self.channels * self.bits // 8)

    @property
    def name(self) -> str:
        """What messages call the compression."""
        return _NAMES.get(self.compression, f"number {self.compression}")


def check(coding: Coding, packed: int, unpacked: int) -> None:
    """Refuse codecs that are not read, and less data than the picture can be stored in, before decoding."""
    if coding.compression not in _READ:
        raise LayoutError(f"TIFF compression {coding.name} is not read; {SAVE}")
    if coding.compression in _BY_PACKAGE and imagecodecs() is None:
        raise LayoutError(f"TIFF compression {coding.name} needs the package imagecodecs", _INSTALL, SAVE)
    if unpacked > packed * _BEST_RATIO.get(coding.compression, unpacked):
        raise DamagedError(f"{packed} bytes of {coding.name} data cannot hold its pixels (truncated)")


def imagecodecs() -> Any:
    """The package that decodes what few files use, or nothing where it is not installed."""
    try:
        return importlib.import_module("imagecodecs")
    except ImportError:
        return None


def stored_bytes(coding: Coding, data: memoryview, rows: int, row_bytes: int) -> bytes | memoryview:
    """The bytes that one strip or tile stands for; more than are asked for are cut off, fewer are damage."""
    size = rows * row_bytes
    packed = bytes(data).translate(REVERSED) if coding.reversed_bits else data
    try:
        found = packed if coding.compression == NONE else _unpacker(coding.compression)(bytes(packed), rows, row_bytes)
    except (zlib.error, lzma.LZMAError) as error:
        raise DamagedError(f"its {coding.name} data are invalid") from error
    if len(found) < size:
        raise DamagedError(f"a strip or tile of {coding.name} data ends early (truncated)")
    return found[:size]


def _unpacker(compression: int) -> Callable[[bytes, int, int], bytes]:
    if compression in _DEFLATE:
        return lambda data, rows, row_bytes: _inflate(data, rows * row_bytes)
    if compression == _LZMA:
        return lambda data, rows, row_bytes: lzma.LZMADecompressor(memlimit=1 << 28).decompress(data, rows * row_bytes)
    if compression in _ZSTD:
        return _zstd
    return lambda data, rows, row_bytes: _by_libtiff(compression, data, rows, row_bytes)


REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def _inflate(data: bytes, size: int) -> bytes:
    """Deflated bytes. Some writers fill up the last strip, but none writes twice as much."""
    inflater = zlib.decompressobj()
    found = inflater.decompress(data, size)
    if len(inflater.decompress(inflater.unconsumed_tail, size + 1)) > size:
        raise DamagedError(f"a strip or tile of {size} bytes inflates to more than twice as many")
    return found


def _by_libtiff(compression: int, data: bytes, rows: int, row_bytes: int) -> bytes:
    """LZW and PackBits, by OpenCV's libtiff: it notices missing data where samples have 16 bits, and there alone.

    So the bytes are read as such samples. Where their number is odd, a row of zeros is put before them.
    """
    before = rows * row_bytes % 2
    if before:
        data, rows = _row_of_zeros(compression, row_bytes) + data, rows + 1
    shape = (rows, row_bytes // 2) if row_bytes % 2 == 0 else (rows // 2, row_bytes)
    if max(shape) > _MAX_OPENCV:
        raise LayoutError(f"strips or tiles of {row_bytes} bytes a row with {_NAMES[compression]} compression; {SAVE}")
    pixels = by_opencv(one_strip(shape, data, {258: 16, 259: compression, 262: 1, 277: 1}))
    return b"" if pixels is None else pixels.astype("<u2", copy=False).tobytes()[before * row_bytes :]


def _row_of_zeros(compression: int, count: int) -> bytes:
    """Coded zeros that may stand before coded data, because they end at a whole byte and leave nothing behind."""
    if compression == PACKBITS:
        return b"\x81\0" * (count // 128) + (bytes([(1 - count % 128) % 256, 0]) if count % 128 else b"")
    return _lzw_zeros(7) * (count // 7) + (_lzw_zeros(count % 7) if count % 7 else b"")


def _lzw_zeros(count: int) -> bytes:
    """Eight codes of nine bits: the table is cleared, then a byte of zero ``count`` times."""
    bits = 0
    for code in [256] * (8 - count) + [0] * count:
        bits = bits << 9 | code
    return bits.to_bytes(9, "big")


def _zstd(data: bytes, rows: int, row_bytes: int) -> bytes:
    package = imagecodecs()
    if package is not None:
        try:
            return bytes(package.zstd_decode(data, out=rows * row_bytes))
        except package.ZstdError as error:
            raise DamagedError("its ZSTD data are invalid") from error
    _check_zstd_frame(data)
    # Pillow's libtiff has this codec in most builds; as bytes, so that it has no say in what they mean.
    strip = one_strip((rows, row_bytes), data, {258: 8, 259: _ZSTD[1], 262: 1, 277: 1})
    try:
        with TiffImagePlugin.TiffImageFile(io.BytesIO(strip)) as image:
            return image.tobytes()
    except (OSError, SyntaxError) as error:
        raise LayoutError("its ZSTD data are damaged, or the package imagecodecs is needed", _INSTALL, SAVE) from error


def _check_zstd_frame(data: bytes) -> None:
    """Check that all blocks of a ZSTD frame are there: libtiff would complain on stderr about missing ones."""
    if data[:4] != b"\x28\xb5\x2f\xfd" or len(data) < 6:
        raise DamagedError("its ZSTD data are invalid")
    flags = data[4]
    single = flags >> 5 & 1
    at = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
    for _ in range(_MAX_BLOCKS):
        header = int.from_bytes(data[at : at + 3], "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        at += 3 + (1 if kind == 1 else size)
        if at + 4 * (flags >> 2 & 1) > len(data) or kind == 3:
            raise DamagedError("a strip or tile of ZSTD data ends early (truncated)")
        if last:
            return
    raise DamagedError("its ZSTD data are invalid")


def by_opencv(file: bytes) -> npt.NDArray[Any] | None:
    """Pixels of a small file that is made here; nothing where they are damaged."""
    try:
        return cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def one_strip(shape: tuple[int, int], data: bytes, tags: dict[int, int], more: dict[int, bytes] | None = None) -> bytes:
    """A TIFF file of one strip: ``tags`` are numbers; ``more`` has entries of bytes, or of two 16-bit numbers (530)."""
    entries = {tag: struct.pack("<HII", 4, 1, value) for tag, value in tags.items()}
    for tag, value in ((256, shape[1]), (257, shape[0]), (278, shape[0]), (279, len(data))):
        entries[tag] = struct.pack("<HII", 4, 1, value)
    more = more or {}
    end = 8 + 2 + 12 * (len(entries) + len(more) + 1) + 4
    entries[273] = struct.pack("<HII", 4, 1, end)
    end += len(data)
    for tag, content in more.items():
        entries[tag] = struct.pack("<HI", 7, len(content)) + struct.pack("<I", end)
        end += len(content)
    table = b"".join(struct.pack("<H", tag) + entries[tag] for tag in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4) + data + b"".join(more.values())
