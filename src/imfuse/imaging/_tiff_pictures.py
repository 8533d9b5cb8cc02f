"""Strips and tiles of TIFF files that are pictures in a format of their own: JPEG, fax, JPEG 2000, LERC, WebP."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from imfuse.imaging import _webp
from imfuse.imaging._jpeg import SURPLUS, check_scans
from imfuse.imaging._support import DamagedError, LayoutError
from imfuse.imaging._tiff_codecs import (
    FAX,
    JPEG,
    JPEG_2000,
    LERC,
    REVERSED,
    SAVE,
    WEBP,
    Coding,
    by_opencv,
    imagecodecs,
    one_strip,
)

_YCBCR = 6
_MAX_CHANNELS, _MAX_TILES = 4, 4096
_T6 = 4
_JPEG_END = b"\xff\xd9"


def picture(coding: Coding, data: bytes, rows: int, columns: int) -> npt.NDArray[Any]:
    """Samples (rows, columns, channels) of a strip or tile; YCbCr of JPEG as RGB, fax as 0 and 1."""
    if coding.compression in FAX:
        return _fax(coding, data, rows, columns)
    if coding.compression == JPEG:
        return _jpeg(coding, data, rows, columns)
    return _by_package(coding, data, rows, columns)


def _fax(coding: Coding, data: bytes, rows: int, columns: int) -> npt.NDArray[Any]:
    if (coding.bits, coding.channels) != (1, 1):
        raise LayoutError(f"{coding.bits}-bit pixels with fax compression; {SAVE}")
    option = {292: coding.fax_options} if coding.compression == 3 else {}
    tags = {258: 1, 259: coding.compression, 262: 1, 266: 1 + coding.reversed_bits, 277: 1, **option}
    pixels, *others = (
        by_opencv(one_strip((rows, columns), data + more, tags))
        for more in (b"", *_fax_surplus(coding.compression, coding.reversed_bits))
    )
    return _whole(coding, pixels, others, (rows, columns))[..., None] // 255


def _fax_surplus(compression: int, reversed_bits: bool) -> tuple[bytes, ...]:
    """Data that go on where others break off, within a code or behind one: as the line above, or with black pixels."""
    found: tuple[bytes, ...]
    if compression == _T6:
        found = (b"\xff" * 32, b"\x26\xbf" + b"\xff" * 32)
    else:
        # An end of line lets the decoder find its way again.
        found = (b"".join(b"\0\x01" + SURPLUS[start : start + 8] for start in range(0, 64, 8)),)
    return tuple(data.translate(REVERSED) for data in found) if reversed_bits else found


def _jpeg(coding: Coding, data: bytes, rows: int, columns: int) -> npt.NDArray[Any]:
    if coding.bits != 8 or coding.channels > 4 or coding.photometric not in (0, 1, 2, _YCBCR):
        raise LayoutError(
            f"{coding.channels} channels of {coding.bits} bits with JPEG compression, only 8-bit gray and RGB is read; "
            + SAVE
        )
    check_scans(data, columns, rows)
    scan = data.rstrip(b"\0").removesuffix(_JPEG_END)
    photometric = coding.photometric if coding.channels >= 3 else 1
    tags = {258: 8, 259: JPEG, 262: photometric, 277: coding.channels}
    tables = {347: coding.jpeg_tables} if coding.jpeg_tables else {}
    pixels, again = (
        by_opencv(one_strip((rows, columns), scan + more + _JPEG_END, tags, tables)) for more in (b"", SURPLUS)
    )
    if len(scan) == len(data.rstrip(b"\0")):
        raise _too_short(coding)
    whole = np.atleast_3d(_whole(coding, pixels, [again], (rows, columns)))
    # Transparency, which OpenCV does not give, is left at zero.
    found = np.zeros((rows, columns, coding.channels), np.uint8)
    colours = 1 if coding.channels < 3 else 3
    found[..., :colours] = whole[..., :colours][..., ::-1]
    return found


def _whole(coding: Coding, pixels: Any, others: list[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """What all decodings agree on; the others had more bits, with which a decoder goes on where data are missing.

    OpenCV's decoders of JPEG and fax fill what is missing without a word.
    """
    if pixels is None or pixels.shape[:2] != shape:
        raise DamagedError(f"its {coding.name} data are invalid")
    if not all(np.array_equal(pixels, other) for other in others):
        raise _too_short(coding)
    found: npt.NDArray[Any] = pixels
    return found


def _too_short(coding: Coding) -> DamagedError:
    return DamagedError(f"a strip or tile of {coding.name} data ends early (truncated)")


def _by_package(coding: Coding, data: bytes, rows: int, columns: int) -> npt.NDArray[Any]:
    contradiction = DamagedError(f"its {coding.name} data are of another size than its header says")
    if _size(coding.compression, data) != (rows, columns):
        raise contradiction
    decoder = {JPEG_2000: "jpeg2k_decode", LERC: "lerc_decode", WEBP: "webp_decode"}[coding.compression]
    try:
        pixels: npt.NDArray[Any] = np.atleast_3d(getattr(imagecodecs(), decoder)(data))
    except Exception as error:  # each codec has errors of its own
        raise DamagedError(f"its {coding.name} data are invalid") from error
    if pixels.shape[:2] != (rows, columns) or pixels.shape[2] < coding.channels:
        raise contradiction
    return pixels[..., : coding.channels]


def _size(compression: int, data: bytes) -> tuple[int, int]:
    """Rows and columns by the header of the data: their decoder would take memory for whatever stands there.

    It counts as none where the header asks for much besides: channels, or tiles of JPEG 2000.
    """
    if compression == WEBP:
        head = _webp.header(io.BytesIO(data))
        return head.height, head.width
    if compression == LERC:
        # From version 3 on a checksum stands before the size, from version 4 on the number of channels behind it.
        version = int.from_bytes(data[6:10], "little")
        rows, columns, channels = struct.unpack_from("<III", data.ljust(26, b"\0"), 14 if version > 2 else 10)
        sound = data[:6] == b"Lerc2 " and (version < 4 or channels <= _MAX_CHANNELS)
        return (rows, columns) if sound else (0, 0)
    start = data.find(b"\xff\x4f\xff\x51", 0, 4096)
    numbers = struct.unpack_from(">8IH", data[start + 8 :].ljust(34, b"\0"))
    right, bottom, left, top, wide, high, _, _, channels = numbers
    tiles = (right // max(1, wide) + 1) * (bottom // max(1, high) + 1)
    sound = start >= 0 and wide > 0 and high > 0 and tiles <= _MAX_TILES and channels <= _MAX_CHANNELS
    return (bottom - top, right - left) if sound else (0, 0)
