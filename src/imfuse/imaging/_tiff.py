"""TIFF files: the layouts that scientific cameras and photo editors write, decoded under strict bounds."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageOps, TiffImagePlugin

from imfuse.imaging._png import DamagedError

_NONE, _DEFLATES = 1, (8, 32946)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_REDUCED, _MASK = 1, 4
_ALPHAS = (1, 2)
# A chain of pages can be long or endless; a picture with its thumbnails never needs this many.
_MAX_PAGES = 64
_DEFLATE_BEST = 1032


class LayoutError(Exception):
    """A sound file that holds something other than one gray or RGB picture; the text says what to do."""


@dataclass(frozen=True)
class Header:
    """What the first page says about itself, before any pixel is decoded."""

    width: int
    height: int
    channels: int
    bits: int
    orientation: int


def _page(tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    """Return the only full-size page; thumbnails and masks beside it do not count."""
    pages: list[tifffile.TiffPage] = []
    for number, page in enumerate(tiff.pages):
        if number == _MAX_PAGES:
            break
        if isinstance(page, tifffile.TiffFrame):
            page = page.aspage()
        if number == 0 or not page.subfiletype & (_REDUCED | _MASK):
            pages.append(page)
    if not pages:
        raise DamagedError("it holds no page")
    if len(pages) > 1:
        raise LayoutError(f"{len(pages)} pages found, one picture is expected; save the page you want as its own file")
    if pages[0].subfiletype & _REDUCED and pages[0].subifds:
        raise LayoutError("the first page is only a preview of a raw picture; develop it to a plain TIFF or PNG")
    return pages[0]


def _header(page: tifffile.TiffPage) -> Header:
    tag = page.tags.get(274)
    orientation = int(tag.value) if tag is not None and tag.value in range(1, 9) else 1
    if page.imagewidth < 1 or page.imagelength < 1 or page.imagedepth < 1 or page.samplesperpixel < 1:
        raise DamagedError("its header holds impossible values")
    if page.imagedepth != 1:
        raise LayoutError(f"a volume of depth {page.imagedepth}, one flat picture is expected; save one slice")
    return Header(page.imagewidth, page.imagelength, page.samplesperpixel, int(page.bitspersample), orientation)


def header(file: BinaryIO) -> Header:
    """Read the size and layout of the only full-size page."""
    with tifffile.TiffFile(file) as tiff:
        return _header(_page(tiff))


def _check_segments(page: tifffile.TiffPage, size: int, read: Callable[[int, int], bytes], max_bytes: int) -> None:
    """Check that all pixel data lie inside the file, and that inflating them stays under `max_bytes`."""
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if not segments or any(offset + count > size for offset, count in segments):
        raise DamagedError("it ends before its pixel data do (truncated)")
    if page.compression not in _DEFLATES or sum(count for _, count in segments) * _DEFLATE_BEST <= max_bytes:
        return
    budget = max_bytes
    for offset, count in segments:
        inflater, packed = zlib.decompressobj(), read(offset, count)
        while packed and not inflater.eof:
            budget -= len(inflater.decompress(packed, 1 << 20))
            packed = inflater.unconsumed_tail
            if budget < 0:
                raise DamagedError(f"its pixel data inflate to more than {max_bytes} bytes")


def _plain(page: tifffile.TiffPage) -> npt.NDArray[Any]:
    """Decode stored or deflated samples as they are, to (H, W) or (H, W, channels)."""
    pixels: npt.NDArray[Any] = page.asarray(maxworkers=1)
    if page.axes == "SYX":
        return np.moveaxis(pixels, 0, -1)
    if page.axes not in ("YX", "YXS"):
        raise LayoutError(f"axes {page.axes!r} found, one flat gray or RGB picture is expected")
    return pixels


def _arrange(page: tifffile.TiffPage, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn samples into gray or RGB by the photometric tag; alpha is dropped."""
    photometric, colours = int(page.photometric), _colours(page)
    if photometric == _PALETTE and page.colormap is not None and pixels.dtype == np.uint8:
        painted: npt.NDArray[Any] = (page.colormap.T >> 8).astype(np.uint8)[pixels]
        gray = (page.colormap == page.colormap[:1]).all()
        return painted[..., 0] if gray else painted
    if photometric == _SEPARATED and pixels.shape[2:] == (4,) and pixels.dtype == np.uint8:
        return np.asarray(Image.frombytes("CMYK", pixels.shape[1::-1], pixels.tobytes()).convert("RGB"))
    if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and colours == 1:
        samples = pixels if pixels.ndim == 2 else pixels[..., 0]
        return _inverted(samples) if photometric == _WHITE_IS_ZERO else samples
    # Scientific writers store three bands as black-is-zero with two unspecified ones.
    if photometric in (_RGB, _BLACK_IS_ZERO) and colours == 3:
        return pixels[..., :3]
    raise _unsupported_channels(page)


def _colours(page: tifffile.TiffPage) -> int:
    """Count the channels that are not alpha; a fourth one of an RGB picture is taken for alpha whatever it says."""
    if int(page.photometric) == _RGB and page.samplesperpixel == 4:
        return 3
    return int(page.samplesperpixel) - sum(int(sample) in _ALPHAS for sample in page.extrasamples)


def _unsupported_channels(page: tifffile.TiffPage) -> LayoutError:
    name = getattr(page.photometric, "name", page.photometric)
    return LayoutError(
        f"{page.samplesperpixel} channels ({name}) found, a gray or RGB picture is expected; save it as one of these"
    )


def _inverted(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not np.issubdtype(pixels.dtype, np.unsignedinteger):
        raise LayoutError(f"white-is-zero {pixels.dtype} samples found; save the picture as black-is-zero")
    return np.iinfo(pixels.dtype).max - pixels


def _by_pillow(data: bytes) -> npt.NDArray[Any]:
    """Decode uncompressed 1- to 4-bit pictures (compressed ones would make Pillow's libtiff print to stderr)."""
    with TiffImagePlugin.TiffImageFile(io.BytesIO(data)) as image:
        image.load()
        # Pillow may already have turned the picture; then the tag is gone and this does nothing.
        upright = ImageOps.exif_transpose(image)
    if upright.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"):
        raise LayoutError(f"{upright.mode} pixels found, a gray or RGB picture is expected; save it as one of these")
    return np.asarray(upright.convert("L" if upright.mode in ("1", "L", "LA") else "RGB"))


def _by_opencv(page: tifffile.TiffPage, data: bytes) -> npt.NDArray[Any]:
    """Decode LZW, JPEG, PackBits and fax compression, small compressed depths, and YCbCr."""
    kind = getattr(page.compression, "name", page.compression)
    advice = "save it uncompressed or with deflate (ZIP) compression"
    if int(page.photometric) not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR):
        photometric = getattr(page.photometric, "name", page.photometric)
        raise LayoutError(f"{photometric} pixels with {kind} compression cannot be read; {advice}")
    if _colours(page) != (3 if int(page.photometric) in (_RGB, _YCBCR) else 1):
        raise _unsupported_channels(page)
    plain, tag = bytearray(data), page.tags.get(274)
    if tag is not None and tag.dtype == 3 and tag.count == 1:
        # OpenCV versions differ in whether they turn the picture; ours is turned once, by the caller.
        struct.pack_into(page.parent.byteorder + "H", plain, tag.valueoffset, 1)
    pixels = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (page.imagelength, page.imagewidth):
        raise LayoutError(f"{page.bitspersample}-bit pixels with {kind} compression cannot be read; {advice}")
    return pixels if pixels.ndim == 2 else pixels[..., 2::-1]


def _as_supported(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Map samples to uint8, uint16 or float32.

    Signed and wide integers become uint16 when all values fit, since cameras store counts that way; anything else
    would need a rule for scaling that only the owner of the file knows.
    """
    if pixels.dtype in (np.uint8, np.uint16, np.float32):
        return pixels
    if pixels.dtype in (np.float16, np.float64):
        with np.errstate(over="ignore"):
            return pixels.astype(np.float32)
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize > 1:
        low, high = int(pixels.min()), int(pixels.max())
        if low >= 0 and high <= 65535:
            return pixels.astype(np.uint16)
        raise LayoutError(
            f"{pixels.dtype} values {low}..{high} found, 0..65535 is expected; save it as uint16 or float32"
        )
    raise LayoutError(f"{pixels.dtype} samples found; save it as uint8, uint16 or float32")


def decode(data: bytes, max_bytes: int) -> tuple[npt.NDArray[Any], int]:
    """Decode the only full-size page; return the pixels as stored and the orientation (1 to 8) still to be applied."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = _page(tiff)
        head = _header(page)
        _check_segments(page, len(data), lambda offset, count: data[offset : offset + count], max_bytes)
        if page.compression not in (_NONE, *_DEFLATES) or int(page.photometric) == _YCBCR:
            return _as_supported(_by_opencv(page, data)), head.orientation
        if head.bits in (8, 16, 32, 64):
            return _as_supported(_arrange(page, _plain(page))), head.orientation
        if page.compression == _NONE:
            return _by_pillow(data), 1
        return _as_supported(_by_opencv(page, data)), head.orientation


def description(file: BinaryIO, max_bytes: int) -> str:
    """Return the image description of the first page, or nothing when there is none or it is too long."""
    with tifffile.TiffFile(file) as tiff:
        tag = tiff.pages.first.tags.get(270)
        return str(tag.value) if tag is not None and tag.count <= max_bytes else ""
