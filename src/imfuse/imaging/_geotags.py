"""Where on Earth a picture lies: the tags of a GeoTIFF, for results that keep its pixels' grid."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import tifffile

from imfuse.core.errors import ImageError
from imfuse.core.files import open_input
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging._support import quiet
from imfuse.imaging.sensors.dicom_write import is_dicom

TIFF_EXTENSIONS = (".tif", ".tiff")
_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ASCII, _SHORT, _DOUBLE = 2, 3, 12
_ORIENTATION, _NODATA = 274, 42113


@dataclass(frozen=True)
class _Rule:
    """What a tag has to be: its type, and how many values it has: a multiple of ``step``, at most ``most``."""

    dtype: int
    step: int
    most: int


# Names of OGC 19-008r4: ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory, GeoDoubleParams,
# GeoAsciiParams. GDAL's own tags (metadata, nodata value) describe the values of the source, not where it lies.
_RULES = {
    33550: _Rule(_DOUBLE, 3, 3),
    33922: _Rule(_DOUBLE, 6, 6000),
    34264: _Rule(_DOUBLE, 16, 16),
    34735: _Rule(_SHORT, 4, 4000),
    34736: _Rule(_DOUBLE, 1, 4000),
    34737: _Rule(_ASCII, 1, 65536),
}


@dataclass(frozen=True)
class GeoTags:
    """The tags of a GeoTIFF, as `tifffile` takes them: code, type, number of values, values, and whether once.

    Args:
        size: height and width of the picture that they are for.
        upright: whether its rows are stored from the top; the tags of a turned picture do not fit its upright form.
        tags: the tags.
    """

    size: tuple[int, int]
    upright: bool
    tags: tuple[tuple[int, int, int, Any, bool], ...]

    def fit(self, path: Path, size: tuple[int, int]) -> bool:
        """Whether a result of this size can carry them: a TIFF file on the same grid."""
        return path.suffix.lower() in TIFF_EXTENSIONS and self.upright and size == self.size

    def with_nodata(self, value: int) -> GeoTags:
        """The same with GDAL's tag for the value that holds no data."""
        return replace(self, tags=(*self.tags, (_NODATA, _ASCII, 0, str(value), True)))


def read_geotags(path: str | os.PathLike[str]) -> GeoTags | None:
    """Read the tags of a picture that was read before, so that its directory is known to be sound.

    Args:
        path: the file.

    Returns:
        Its tags; ``None`` where it is no TIFF file or has none. Damaged ones are left out together, with a note, since
        a part of them would put the picture elsewhere.
    """
    try:
        with open_input(path, ImageError, "an image file") as stream:
            if is_dicom(stream) or not stream.read(4).startswith(_STARTS):
                return None
            stream.seek(0)
            with quiet():
                return _read(stream)
    except Exception:
        note(f"{printable(os.fspath(path))}: its geotags are damaged and not kept")
        return None


def _read(stream: BinaryIO) -> GeoTags | None:
    with tifffile.TiffFile(stream) as tiff:
        page = tiff.pages.first
        found = [page.tags[code] for code in _RULES if code in page.tags]
        if not found:
            return None
        tags = tuple((tag.code, int(tag.dtype), *_values(tag, _RULES[tag.code]), True) for tag in found)
        return GeoTags((page.imagelength, page.imagewidth), _orientation(page) == 1, tags)


def _orientation(page: tifffile.TiffPage) -> object:
    tag = page.tags.get(_ORIENTATION)
    return 1 if tag is None else tag.value


def _values(tag: tifffile.TiffTag, rule: _Rule) -> tuple[int, Any]:
    """Number and values of a tag; ``ValueError`` where it breaks its rule, before it is read if it is too long."""
    if int(tag.dtype) != rule.dtype or not 0 < tag.count <= rule.most or tag.count % rule.step:
        raise ValueError(f"tag {tag.code} has {tag.count} values of type {tag.dtype}")
    value = tag.value
    if rule.dtype == _ASCII:
        if not (isinstance(value, str) and value.isascii()):
            raise ValueError(f"tag {tag.code} is no text")
        return 0, value
    values = value if isinstance(value, tuple) else (value,)
    if len(values) != tag.count or not all(map(_VALID[rule.dtype], values)):
        raise ValueError(f"tag {tag.code} holds no finite numbers")
    return tag.count, values


_VALID: dict[int, Callable[[Any], bool]] = {_SHORT: lambda value: isinstance(value, int), _DOUBLE: math.isfinite}
