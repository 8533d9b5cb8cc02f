"""Image files to arrays: PNG, JPEG, TIFF, BMP and WebP, checked before they are decoded."""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from imfuse.core.errors import ImageError
from imfuse.core.files import file_hash, os_reason
from imfuse.imaging import _png, _tiff
from imfuse.imaging._png import DamagedError
from imfuse.imaging._support import as_path, image_error, quiet
from imfuse.imaging._tiff import LayoutError

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 0x0112
# The plugin classes, not Image.open: it warns or refuses by a process-wide pixel limit, and ours is per call.
_OPENERS: dict[str, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.jpeg_factory,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}


@dataclass(frozen=True)
class _Header:
    kind: str
    width: int
    height: int
    row_bits: int
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        return (self.width, self.height) if 5 <= self.orientation <= 8 else (self.height, self.width)


def read_image(
    path: str | os.PathLike[str], *, max_pixels: int = 100_000_000, max_bytes: int = 512 * 2**20
) -> npt.NDArray[Any]:
    """Read one picture from a PNG, JPEG, TIFF, BMP or WebP file; the content decides the format, not the name.

    The EXIF orientation is applied and alpha is dropped. A palette becomes RGB, or gray if all its colours are gray;
    1-bit pictures become 0 and 255. float16 and float64 become float32; integers of other types become uint16 if all
    values lie in 0..65535.

    Args:
        path: the file.
        max_pixels: the largest width * height accepted, checked before decoding.
        max_bytes: the largest file, and the largest decoded picture, in bytes; checked before decoding.

    Returns:
        (H, W) gray or (H, W, 3) RGB, contiguous and writable, with the stored values: uint8 in 0..255, uint16 in
        0..65535, or finite float32.

    Raises:
        ImageError: the file is missing, unreadable, damaged, too large, animated, has several pages, or holds
            something other than gray or RGB pixels (NaN and infinity included). Nothing else is raised.

    Example:
        ```python
        pixels = read_image("thermal.tif")  # (480, 640) uint16, for example
        ```
    """
    file = as_path(path)
    with _errors(file):
        data = _read_bytes(file, max_bytes)
        with quiet():
            head = _header(io.BytesIO(data))
            _check_limits(head, max_pixels, max_bytes)
            pixels, orientation = _decode(data, head, max_bytes)
        if pixels.size == 0:
            raise DamagedError("it holds no pixels")
        # A copy where Pillow hands out read-only memory: callers pass the array on to code that needs to write.
        pixels = np.require(_turn(pixels, orientation), pixels.dtype.newbyteorder("="), ["C", "W"])
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise LayoutError("NaN or infinite values found, finite numbers are expected; replace them first")
        return pixels


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Read the size of a picture from the header of its file, without decoding it.

    Args:
        path: the file.

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
    with _errors(file):
        _regular_size(file)
        with file.open("rb") as stream, quiet():
            return _header(stream).upright


def image_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of an image file, as 64 hexadecimal digits. Raises `ImageError` in the words of `read_image`."""
    file = as_path(path)
    with _errors(file):
        _regular(file)
        return file_hash(file)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except _FileAccessError as error:
        raise image_error(path, error, *error.advice) from error.__cause__
    except LayoutError as error:
        raise image_error(path, error) from error
    except DamagedError as error:
        raise image_error(path, f"the image file is damaged: {error}; copy or export it again") from error
    except MemoryError as error:
        raise image_error(path, "not enough memory to decode it; use a smaller picture") from error
    except OSError as error:
        reason = os_reason(error) if error.errno else f"the image file is damaged: {error}; copy or export it again"
        raise image_error(path, reason) from error
    except Exception as error:  # decoders raise anything on damaged files
        says_why = isinstance(error, (SyntaxError, zlib.error, tifffile.TiffFileError))
        detail = str(error)[:120] if says_why else "its contents make no sense"
        raise image_error(path, f"the image file is damaged: {detail}; copy or export it again") from error


class _FileAccessError(Exception):
    """The file cannot be opened or is not one that may be read; `advice` as of `ImfuseError`."""

    def __init__(self, problem: str, *advice: str) -> None:
        super().__init__(problem)
        self.advice = advice


def _regular(path: Path) -> os.stat_result:
    """What the system knows of a file; a folder, a pipe or a device is none that may be read."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _FileAccessError(os_reason(error)) from error
    if stat.S_ISDIR(status.st_mode):
        raise _FileAccessError("this is a folder, an image file is expected")
    if not stat.S_ISREG(status.st_mode):
        raise _FileAccessError("not a regular file, an image file is expected")
    return status


def _regular_size(path: Path) -> int:
    size = _regular(path).st_size
    if size == 0:
        raise _FileAccessError("the file is empty (0 bytes), an image is expected")
    return size


def _read_bytes(path: Path, max_bytes: int) -> bytes:
    size = _regular_size(path)
    if size > max_bytes:
        raise _FileAccessError(
            f"the file has {size} bytes, at most {max_bytes} are read", f"use max_bytes={size} to allow it"
        )
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise _FileAccessError(os_reason(error)) from error


def _check_limits(head: _Header, max_pixels: int, max_bytes: int) -> None:
    if head.width * head.height > max_pixels:
        raise _FileAccessError(
            f"{head.width}x{head.height} pixels found, at most {max_pixels} pixels are read",
            "use a smaller picture",
            f"use max_pixels={head.width * head.height} to allow it",
        )
    decoded = head.width * head.height * head.row_bits // 8
    if decoded > max_bytes:
        raise _FileAccessError(
            f"{head.width}x{head.height} pixels need {decoded} bytes, at most {max_bytes} are decoded",
            "use a smaller picture",
            f"use max_bytes={decoded} to allow it",
        )


def _kind(start: bytes) -> str:
    if start.startswith(_png.SIGNATURE):
        return "PNG"
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(_TIFF_SIGNATURES):
        return "TIFF"
    if start.startswith(b"BM"):
        return "BMP"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WebP"
    raise _FileAccessError("not a PNG, JPEG, TIFF, BMP or WebP image (by its content); convert it to one of these")


def _header(stream: BinaryIO) -> _Header:
    kind = _kind(stream.read(16))
    stream.seek(0)
    if kind == "PNG":
        return _png_header(stream)
    if kind == "TIFF":
        tiff = _tiff.header(stream)
        return _Header(kind, tiff.width, tiff.height, tiff.channels * tiff.bits, tiff.orientation)
    if kind == "WebP":
        return _webp_header(stream)
    with _OPENERS[kind](stream) as image:
        width, height = image.size
        if width < 1 or height < 1:
            raise DamagedError("its header holds impossible values")
        return _Header(kind, width, height, 8 * len(image.getbands()), _orientation(image.info.get("exif", b"")))


def _png_header(stream: BinaryIO) -> _Header:
    head = _png.header(stream)
    frames = _png.frames(stream)
    if frames > 1:
        raise LayoutError(f"an animation of {frames} frames found, one picture is expected; save one frame")
    # Palettes and small depths decode to 8-bit channels.
    bits = 24 if head.colour == 3 else head.channels * max(head.depth, 8)
    return _Header("PNG", head.width, head.height, bits, _orientation(_png.exif(stream)))


def _webp_header(stream: BinaryIO) -> _Header:
    """Read the size from the chunks themselves, because Pillow allocates the whole canvas when it opens a file."""
    size: tuple[int, int] | None = None
    exif = b""
    position, end = 12, stream.seek(0, os.SEEK_END)
    for _ in range(_png.MAX_CHUNKS):
        stream.seek(position)
        head = stream.read(18)
        if len(head) < 8:
            break
        kind, length = struct.unpack("<4sI", head[:8])
        if size is None:
            size = _webp_size(kind, head[8:], stream)
        if kind == b"EXIF" and length <= end:
            stream.seek(position + 8)
            exif = stream.read(length)
        position += 8 + length + length % 2
    if size is None:
        raise DamagedError("no picture size in its header")
    return _Header("WebP", *size, 32, _orientation(exif))


def _webp_size(kind: bytes, body: bytes, stream: BinaryIO) -> tuple[int, int]:
    if kind == b"VP8X" and len(body) == 10:
        if body[0] & 0x02:
            raise LayoutError("an animation found, one picture is expected; save one frame")
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body[:1] == b"\x2f":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise DamagedError("no picture size in its header")


def _orientation(exif: bytes) -> int:
    """Return 1 to 8; damaged EXIF data must not make a good picture unreadable."""
    try:
        tags = Image.Exif()
        tags.load(exif)
        value = tags.get(_ORIENTATION, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


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
    return _turn(pixels, _orientation(exif))


def _decode(data: bytes, head: _Header, max_bytes: int) -> tuple[npt.NDArray[Any], int]:
    stream = io.BytesIO(data)
    if head.kind == "TIFF":
        return _tiff.decode(data, max_bytes)
    if head.kind == "PNG":
        _png.check(stream)
        png = _png.header(stream)
        if png.depth == 16:
            return _png.decode_16_bit(stream, png), head.orientation
        stream.seek(0)
    with _OPENERS[head.kind](stream) as image:
        if image.size != (head.width, head.height):
            raise DamagedError("its headers contradict each other")
        image.load()
        return np.asarray(_gray_or_rgb(image)), head.orientation


def _gray_or_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in ("1", "LA", "La"):
        return image.convert("L")
    if image.mode in ("P", "PA"):
        palette = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return image.convert("L" if (palette == palette[:, :1]).all() else "RGB")
    if image.mode in ("RGBA", "RGBX", "RGBa", "CMYK", "YCbCr"):
        return image.convert("RGB")
    raise LayoutError(f"{image.mode} pixels found, a gray or RGB picture is expected; save it as one of these")
