"""Strips and tiles of a TIFF file to one array of samples, under bounds that follow from its geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imfuse.imaging import _tiff_codecs, _tiff_pictures
from imfuse.imaging._ifd import Directory
from imfuse.imaging._support import DamagedError, LayoutError
from imfuse.imaging._tiff_codecs import Coding

_MAX_SEGMENTS = 100_000
_HORIZONTAL, _FLOATING = 2, 3
_BITS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Grid:
    """How a picture is cut into strips (as wide as it is, the last one shorter) or tiles (all of one size)."""

    height: int
    width: int
    planes: int
    rows: int
    columns: int
    tiled: bool

    @property
    def down(self) -> int:
        """Strips or tiles below each other."""
        return -(-self.height // self.rows)

    @property
    def across(self) -> int:
        """Tiles beside each other."""
        return -(-self.width // self.columns)

    @property
    def count(self) -> int:
        """Strips or tiles in all."""
        return self.down * self.across * self.planes

    @property
    def stored_rows(self) -> int:
        """Rows of all strips or tiles together."""
        return self.count * self.rows if self.tiled else self.height * self.planes


def grid(page: Directory, height: int, width: int, planes: int) -> Grid:
    """The cut of a page."""
    tiled = 322 in page
    if tiled:
        rows, columns = page.number(323, 0), page.number(322, 0)
    else:
        rows, columns = min(page.number(278, height), height), width
    if rows < 1 or columns < 1:
        raise DamagedError("its header holds impossible values")
    found = Grid(height, width, planes, rows, columns, tiled)
    if found.count > _MAX_SEGMENTS:
        raise LayoutError(
            f"{found.count} strips or tiles found, at most {_MAX_SEGMENTS} are read; save it with larger ones"
        )
    return found


def samples(
    page: Directory, data: bytes, cut: Grid, coding: Coding, empty: npt.NDArray[Any], max_bytes: int
) -> npt.NDArray[Any]:
    """Samples as stored, (H, W, channels), of the type of ``empty``: the value of strips or tiles that are left out."""
    dtype = empty.dtype
    row_bytes = coding.row_bytes(cut.columns)
    unpacked = cut.stored_rows * max(row_bytes, cut.columns * coding.channels * dtype.itemsize)
    if unpacked > max_bytes:
        raise LayoutError(
            f"parts of {cut.columns}x{cut.rows} pixels need {unpacked} bytes, at most {max_bytes} are decoded",
            f"use max_bytes={unpacked} to allow it",
        )
    plain = coding.compression == _tiff_codecs.NONE and coding.subsampling == (1, 1)
    segments = _segments(page, len(data), cut, row_bytes if plain else None)
    packed = sum(length for _, length in segments)
    if packed > max_bytes:  # several may share their bytes
        raise DamagedError(f"its strips or tiles are said to have {packed} bytes together")
    # Of subsampled colours at least the luminance is there.
    least = row_bytes if coding.subsampling == (1, 1) else cut.columns
    stored = sum(segment != (0, 0) for segment in segments) if empty.size else cut.count
    _tiff_codecs.check(coding, packed, cut.stored_rows * least * stored // cut.count)
    predictor = page.number(317, 1) if coding.compression in _tiff_codecs.PREDICTED else 1
    found = np.empty((cut.height, cut.width, coding.channels * cut.planes), dtype)
    view = memoryview(data)
    for index, (offset, length) in enumerate(segments):
        plane, place = divmod(index, cut.down * cut.across)
        top, left = cut.rows * (place // cut.across), cut.columns * (place % cut.across)
        rows = cut.rows if cut.tiled else min(cut.rows, cut.height - top)
        channels = slice(plane, plane + 1) if cut.planes > 1 else slice(None)
        part = found[top : top + rows, left : left + cut.columns, channels]
        if empty.size and (offset, length) == (0, 0):
            part[...] = empty
            continue
        part[...] = _segment(coding, view[offset : offset + length], (rows, cut.columns), dtype, predictor)[
            : part.shape[0], : part.shape[1]
        ]
    return found


def _segments(page: Directory, end: int, cut: Grid, row_bytes: int | None) -> list[tuple[int, int]]:
    """Offset and length of each strip or tile; lengths of uncompressed ones follow from ``row_bytes`` if they lack."""
    tags = (324, 325) if cut.tiled else (273, 279)
    if any(page.count(tag) > cut.count for tag in tags):
        raise DamagedError(f"{page.count(tags[0])} strips or tiles named, {cut.count} make up the picture")
    offsets, lengths = (page.numbers(tag, cut.count) for tag in tags)
    if row_bytes is not None and not lengths.size:
        tops = np.arange(cut.count) % cut.down * cut.rows
        lengths = row_bytes * (np.full(cut.count, cut.rows) if cut.tiled else np.minimum(cut.rows, cut.height - tops))
    if len(offsets) < cut.count or len(lengths) < cut.count or {offsets.dtype.kind, lengths.dtype.kind} - {*"ui"}:
        raise DamagedError(f"{min(len(offsets), len(lengths))} strips or tiles named, {cut.count} make up the picture")
    found = list(zip(offsets.tolist(), lengths.tolist(), strict=True))
    if any(offset < 0 or length < 0 or offset + length > end for offset, length in found):
        raise DamagedError("it ends before its pixel data do (truncated)")
    return found


def _segment(
    coding: Coding, data: memoryview, shape: tuple[int, int], dtype: np.dtype[Any], predictor: int
) -> npt.NDArray[Any]:
    """One strip or tile, (rows, columns, channels)."""
    rows, columns = shape
    if coding.compression in _tiff_codecs.PICTURES:
        pixels = _tiff_pictures.picture(coding, bytes(data), rows, columns)
        if pixels.dtype != dtype:
            raise DamagedError(f"{pixels.dtype} samples in it, where its header says {dtype}")
        return pixels
    if coding.subsampling != (1, 1):
        return _subsampled(coding, data, rows, columns)
    stored = _tiff_codecs.stored_bytes(coding, data, rows, coding.row_bytes(columns))
    if coding.bits not in (8, 16, 32, 64):
        pixels = _packed(stored, rows, columns * coding.channels, coding.bits).astype(dtype, copy=False)
        return pixels.reshape(rows, columns, coding.channels)
    if predictor == _FLOATING:
        return _undo_floating(stored, (rows, columns, coding.channels), dtype)
    pixels = np.frombuffer(stored, dtype.newbyteorder(">" if coding.big_endian else "<")).reshape(
        rows, columns, coding.channels
    )
    if predictor == _HORIZONTAL:
        counts = pixels.astype(dtype).view(f"u{dtype.itemsize}")
        return np.cumsum(counts, axis=1, dtype=counts.dtype, out=counts).view(dtype)
    if predictor != 1:
        raise LayoutError(f"TIFF predictor {predictor} is not read; {_tiff_codecs.SAVE}")
    return pixels


def _packed(stored: bytes | memoryview, rows: int, count: int, bits: int) -> npt.NDArray[Any]:
    """Samples of odd sizes, packed without gaps within a row: (rows, count)."""
    if bits > 16:
        raise LayoutError(f"{bits}-bit samples found; save it as uint16 or float32")
    lines = np.frombuffer(stored, np.uint8).reshape(rows, -1)
    found = np.empty((rows, count), np.uint8 if bits < 8 else np.uint16)
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=found.dtype)
    at_once = 1 + _BITS_AT_ONCE // (count * bits)
    for top in range(0, rows, at_once):
        part = np.unpackbits(lines[top : top + at_once], axis=1, count=count * bits)
        found[top : top + at_once] = part.reshape(-1, count, bits) @ weights
    return found


def _undo_floating(stored: bytes | memoryview, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Undo the floating-point predictor: per row, the differences of bytes that were sorted by their significance."""
    rows, columns, channels = shape
    if dtype.kind != "f":
        raise DamagedError("its header holds impossible values")
    steps = np.frombuffer(stored, np.uint8).reshape(rows, columns * dtype.itemsize, channels)
    levels = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(rows, dtype.itemsize, columns * channels)
    sorted_bytes = np.ascontiguousarray(levels.transpose(0, 2, 1))
    return sorted_bytes.view(dtype.newbyteorder(">")).reshape(shape)


def _subsampled(coding: Coding, data: memoryview, rows: int, columns: int) -> npt.NDArray[Any]:
    """YCbCr with one colour for several pixels, each group of which is stored together: (rows, columns, 3)."""
    across, down = coding.subsampling
    if (coding.bits, coding.channels) != (8, 3):
        raise LayoutError("YCbCr samples of another type than uint8 found; save it as RGB")
    high, wide, size = -(-rows // down), -(-columns // across), across * down
    stored = _tiff_codecs.stored_bytes(coding, data, high, wide * (size + 2))
    groups = np.frombuffer(stored, np.uint8).reshape(high, wide, size + 2)
    luminance = groups[..., :size].reshape(high, wide, down, across).swapaxes(1, 2).reshape(high * down, wide * across)
    colours = groups[..., size:].repeat(down, axis=0).repeat(across, axis=1)
    return np.concatenate([luminance[..., None], colours], axis=2)[:rows, :columns]
