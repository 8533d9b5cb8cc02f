"""Image files to arrays: PNG, JPEG, TIFF, BMP, WebP, DICOM and NIfTI, checked before they are decoded."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from imfuse.core.errors import ImageError
from imfuse.core.files import input_hash, open_input, os_reason, read_input
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging import _bmp, _ifd, _jpeg, _others, _png, _tiff, _webp
from imfuse.imaging._channels import as_array, without_alpha
from imfuse.imaging._support import DamagedError, Decoded, Header, LayoutError, as_path, image_error, quiet
from imfuse.imaging.nodata import is_measured
from imfuse.imaging.sensors import dicom, dji, flir, nifti
from imfuse.imaging.sensors.plane import Thermal
from imfuse.imaging.sensors.sensor import ALL, Sensor, View
from imfuse.imaging.sensors.units import check_conditions, with_units

_EXPECTED = "an image file"
_MAX_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Reading:
    """A picture as stored, and what its file says about it beside."""

    pixels: npt.NDArray[Any]
    sensor: Sensor | None = None
    kind: str = ""


def read_image(
    path: str | os.PathLike[str],
    *,
    max_pixels: int = 100_000_000,
    max_bytes: int = _MAX_BYTES,
    view: View = ALL,
) -> npt.NDArray[Any]:
    """Read one picture from a PNG, JPEG, TIFF, BMP, WebP, DICOM or NIfTI file; its content decides, not its name.

    The EXIF orientation is applied. A palette becomes RGB, or gray if all its colours are gray; 1-bit pictures become 0
    and 255. Transparency is dropped; a fourth channel that is a picture of its own (another band, not a mask) is kept.
    PGM, PPM, JPEG 2000 and AVIF are read too, the last ones where Pillow or imagecodecs (the extra `codecs`) can, and
    HEIC with the extra `heif`.
    Of several frames and of a volume the middle is read unless `view` says which.
    Of a radiometric JPEG of a FLIR or DJI camera the counts of the thermal sensor are read, not the painted picture. A
    file that is odd but readable is read with a warning (`imfuse.core.notes.ImfuseWarning`).

    Args:
        path: the file.
        max_pixels: the largest width * height accepted, checked before decoding.
        max_bytes: the largest file, and the largest decoded picture, in bytes; checked before decoding.
        view: which frame or slice of a file with several is read.

    Returns:
        (H, W) gray, (H, W, 3) RGB or (H, W, 4), contiguous and writable, with the stored values: uint8, uint16, int16,
        int32, uint32, or float32 for floating types; 64-bit integers become uint16 if all values lie in 0..65535. A
        masked array where pixels of the file are no measurement (NaN, infinity, GDAL's nodata value), else a plain one.

    Raises:
        ImageError: the file is missing, unreadable, damaged, too large, animated, has several pages, holds something
            other than gray or RGB pixels, or no valid pixel at all. Nothing else is raised.

    Example:
        ```python
        pixels = read_image("thermal.tif")  # (480, 640) uint16, for example
        ```
    """
    return read_picture(path, max_pixels=max_pixels, max_bytes=max_bytes, view=view, counts=True).pixels


def read_picture(
    path: str | os.PathLike[str],
    *,
    max_pixels: int = 100_000_000,
    max_bytes: int = _MAX_BYTES,
    view: View = ALL,
    counts: bool = False,
    bands: bool = False,
) -> Reading:
    """What `read_image` reads, with what the file says about it.

    Args:
        path: the file.
        max_pixels: as for `read_image`.
        max_bytes: as for `read_image`.
        view: which frame or slice, and in which units.
        bands: the caller chooses from any number of bands.
        counts: the caller takes counts of a thermal sensor even where its degrees are known, and is told so.

    Raises:
        ImageError: what `read_image` raises.
    """
    file = as_path(path)
    with reading(file):
        data = read_input(file, ImageError, _EXPECTED, max_bytes)
        with quiet():
            stream = io.BytesIO(data)
            head, thermal = _header(stream, view)
            _check_limits(head, max_pixels, max_bytes)
            decoded = _plane(thermal) or _decode(data, head, max_bytes, view)
            pixels = _finish(decoded)
            _check_bands(pixels, bands)
            check_conditions(decoded.sensor, view)
            sensor = with_units(decoded.sensor, view.units)
    if thermal is not None:
        decoded.notes = (*replace(thermal, sensor=sensor).notes(counts), *decoded.notes)
    for text in decoded.notes:
        note(f"{printable(os.fspath(path))}: {text}")
    return Reading(pixels, sensor, head.kind)


def _check_bands(pixels: npt.NDArray[Any], chosen: bool) -> None:
    if pixels.ndim == 3 and pixels.shape[2] not in (3, 4) and not chosen:
        raise LayoutError(
            f"{pixels.shape[2]} channels found, a gray or RGB picture is expected; save it as one of these",
            "say which bands are meant, as by infrared_bands=4 and visible_bands='1,2,3'",
        )


def _plane(thermal: Thermal | None) -> Decoded | None:
    return None if thermal is None or thermal.counts is None else Decoded(thermal.counts, sensor=thermal.sensor)


def image_size(path: str | os.PathLike[str], *, view: View = ALL) -> tuple[int, int]:
    """Read the size of a picture from the header of its file, without decoding it.

    Args:
        path: the file.
        view: which slice of a volume is meant.

    Returns:
        Height and width in pixels, after the EXIF orientation.

    Raises:
        ImageError: what `read_image` raises, as far as a header tells.

    Example:
        ```python
        height, width = image_size("vis.png")
        ```
    """
    file = as_path(path)
    with reading(file), open_input(file, ImageError, _EXPECTED) as stream, quiet():
        return _header(stream, view)[0].upright


def image_hash(path: str | os.PathLike[str], *, max_bytes: int = _MAX_BYTES) -> str:
    """SHA-256 of an image file, as 64 hexadecimal digits. Raises `ImageError` in the words of `read_image`."""
    return input_hash(as_path(path), ImageError, _EXPECTED, max_bytes)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever a reader of this file raises becomes an ``ImageError`` of one line."""
    try:
        yield
    except ImageError:
        raise
    except LayoutError as error:
        raise image_error(path, error, *error.advice) from error
    except DamagedError as error:
        raise image_error(path, f"the image file is damaged: {error}; copy or export it again") from error
    except MemoryError as error:
        raise image_error(path, "not enough memory to decode it; use a smaller picture") from error
    except OSError as error:
        reason = os_reason(error) if error.errno else f"the image file is damaged: {error}; copy or export it again"
        raise image_error(path, reason) from error
    except Exception as error:  # decoders raise anything on damaged files
        detail = str(error)[:120] if isinstance(error, (SyntaxError, zlib.error)) else "its contents make no sense"
        raise image_error(path, f"the image file is damaged: {detail}; copy or export it again") from error


def _check_limits(head: Header, max_pixels: int, max_bytes: int) -> None:
    if head.width * head.height > max_pixels:
        raise LayoutError(
            f"{head.width}x{head.height} pixels found, at most {max_pixels} pixels are read",
            "use a smaller picture",
            f"use max_pixels={head.width * head.height} to allow it",
        )
    decoded = head.width * head.height * head.pixel_bits // 8
    if decoded > max_bytes:
        raise LayoutError(
            f"{head.width}x{head.height} pixels need {decoded} bytes, at most {max_bytes} are decoded",
            "use a smaller picture",
            f"use max_bytes={decoded} to allow it",
        )


def _kind(stream: BinaryIO) -> str:
    start = stream.read(dicom.OFFSET + len(dicom.MAGIC))
    stream.seek(0)
    if start[dicom.OFFSET :] == dicom.MAGIC:
        return "DICOM"
    if start.startswith(_png.SIGNATURE):
        return "PNG"
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(_ifd.SIGNATURES):
        return "TIFF"
    if start.startswith(b"BM"):
        return "BMP"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WebP"
    if other := _others.kind(start[:16]):
        return other
    if nifti.is_nifti(stream):
        return "NIfTI"
    raise LayoutError("not a PNG, JPEG, TIFF, BMP or WebP image (by its content); convert it to one of these")


_HEADERS = {
    "PNG": _png.header,
    "JPEG": _jpeg.header,
    "TIFF": _tiff.header,
    "BMP": _bmp.header,
    "WebP": _webp.header,
    "DICOM": dicom.header,
}


def _header(stream: BinaryIO, view: View) -> tuple[Header, Thermal | None]:
    """The header, and what a JPEG file has beside its picture: that may be what counts in it."""
    kind = _kind(stream)
    if kind == "NIfTI":
        return nifti.header(stream, view), None
    if kind in _others.KINDS:
        return _others.header(stream, kind), None
    # Some cameras of DJI have a core of FLIR, and write its layout.
    thermal = (flir.thermal(stream, view.conditions) or dji.thermal(stream)) if kind == "JPEG" else None
    if thermal is not None and thermal.counts is not None:
        height, width = thermal.counts.shape
        return Header(kind, width, height, 16), thermal
    return _HEADERS[kind](stream), thermal


def _decode(data: bytes, head: Header, max_bytes: int, view: View) -> Decoded:
    if head.kind == "TIFF":
        return _tiff.decode(data, max_bytes)
    if head.kind == "DICOM":
        return dicom.decode(data, view)
    if head.kind in _others.KINDS:
        return _others.decode(data, head)
    if head.kind == "NIfTI":
        return nifti.decode(data, view, max_bytes)
    notes: tuple[str, ...] = ()
    picture: Image.Image | npt.NDArray[Any]
    if head.kind == "PNG":
        picture, notes = _png.decode(data)
    elif head.kind == "JPEG":
        picture, notes = _jpeg.decode(data, head)
    elif head.kind == "BMP":
        picture, notes = _bmp.decode(data, head)
    else:
        picture = _webp.decode(data, head)
    return Decoded(as_array(picture) if isinstance(picture, Image.Image) else picture, head.orientation, None, notes)


def _finish(decoded: Decoded) -> npt.NDArray[Any]:
    """Upright, without transparency, native, contiguous and writable; masked where there is no measurement."""
    pixels, invalid = without_alpha(decoded.pixels), decoded.invalid
    if pixels.size == 0:
        raise DamagedError("it holds no pixels")
    if pixels.dtype.kind == "f" and not (measured := is_measured(pixels)).all():
        odd = np.asarray(~measured if measured.ndim == 2 else (~measured).any(axis=2))
        invalid = odd if invalid is None else invalid | odd
    # A copy where Pillow hands out read-only memory: callers pass the array on to code that needs to write.
    pixels = np.require(_turn(pixels, decoded.orientation), pixels.dtype.newbyteorder("="), ["C", "W"])
    if invalid is None:
        return pixels
    if invalid.all():
        raise LayoutError("all pixels are NaN, infinite or marked as nodata, finite numbers are expected")
    mask = np.ascontiguousarray(_turn(invalid, decoded.orientation))
    return np.ma.MaskedArray(pixels, mask if pixels.ndim == 2 else np.repeat(mask[..., None], pixels.shape[2], axis=2))


def _turn(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Undo one of the eight EXIF orientations."""
    if 5 <= orientation <= 8:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def upright(pixels: npt.NDArray[Any], exif: bytes) -> npt.NDArray[Any]:
    """Turn pixels as their EXIF data say, as `read_image` does."""
    return _turn(pixels, _ifd.orientation(exif))
