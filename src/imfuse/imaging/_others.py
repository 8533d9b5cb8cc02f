"""PGM and PPM, JPEG 2000, AVIF and HEIC files: by Pillow, by imagecodecs or pi-heif where these are installed."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from imfuse.imaging import _tiff_codecs
from imfuse.imaging._channels import as_array
from imfuse.imaging._support import DamagedError, Decoded, Header, LayoutError

KINDS = ("PNM", "JPEG 2000", "AVIF", "HEIC")
_JP2 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_CODESTREAM = b"\xff\x4f\xff\x51"
_AVIF, _HEIC = (b"avif", b"avis"), (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"hevc")
_PNM = re.compile(rb"P([56])(?:\s+(?:#[^\n]*\n\s*)*(\d{1,9}))(?:\s+(?:#[^\n]*\n\s*)*(\d{1,9}))"
                  rb"(?:\s+(?:#[^\n]*\n\s*)*(\d{1,5}))\s")  # fmt: skip
_START = 1 << 16
_ORIENTATION = 274
# Of the box that says the size of a HEIC picture: its name, its version, width and height.
_SIZE = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)


def kind(start: bytes) -> str:
    """Which of these a file is by its first 16 bytes; nothing where it is none."""
    if start.startswith(_JP2):
        return "JPEG 2000"
    if start[4:8] == b"ftyp":
        return "AVIF" if start[8:12] in _AVIF else "HEIC" if start[8:12] in _HEIC else ""
    return "PNM" if re.match(rb"P[56]\s", start) else ""


def header(stream: BinaryIO, which: str) -> Header:
    """Read the size, before anything is decoded."""
    start = stream.read(_START)
    if which == "PNM":
        colour, width, height, top, _ = _pnm(start)
        return Header(which, width, height, (3 if colour else 1) * (8 if top < 256 else 16))
    if which == "JPEG 2000":
        width, height, depths = _codestream(start)
        return Header(which, width, height, sum(8 if depth <= 8 else 16 for depth in depths))
    if which == "AVIF" and features.check("avif"):
        stream.seek(0)
        with Image.open(stream, formats=["AVIF"]) as image:
            turned = image.getexif().get(_ORIENTATION, 1)
            return Header(which, *image.size, 32, turned if turned in range(1, 9) else 1)
    if which == "HEIC" and (library := _pi_heif()) is not None:
        # Opened, not decoded; the size is that after the turns which the file tells.
        stream.seek(0)
        width, height = library.open_heif(stream).size
        return Header(which, width, height, 64)
    sizes = [struct.unpack(">II", found) for found in _SIZE.findall(start)]
    if not sizes:
        raise DamagedError("no picture size in its header")
    # Its thumbnails and tiles have sizes as well.
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return Header(which, width, height, 64)


def decode(data: bytes, head: Header) -> Decoded:
    """Decode to gray or RGB, with a fourth channel where there is one."""
    if head.kind == "PNM":
        return Decoded(_decode_pnm(data))
    if head.kind == "JPEG 2000":
        depths = _codestream(data)[2]
        # Pillow cuts colours of more than 8 bits down.
        if max(depths) > 8 and len(depths) > 1:
            return Decoded(_by_imagecodecs(data, "JPEG 2000 with colours of more than 8 bits", "jpeg2k_decode"))
        return Decoded(_by_pillow(data, "JPEG2000", "jpg_2000", "JPEG 2000", "jpeg2k_decode"))
    if head.kind == "AVIF":
        return Decoded(_by_pillow(data, "AVIF", "avif", "AVIF", "avif_decode"), head.orientation)
    return Decoded(_decode_heic(data))


def _by_pillow(data: bytes, form: str, feature: str, name: str, function: str) -> npt.NDArray[Any]:
    if not features.check(feature):
        return _by_imagecodecs(data, name, function)
    with Image.open(io.BytesIO(data), formats=[form]) as image:
        image.load()
        if image.mode.startswith("I;16"):
            return np.asarray(image).astype(np.uint16)
        return as_array(image)


def _by_imagecodecs(data: bytes, name: str, function: str) -> npt.NDArray[Any]:
    decode: Callable[[bytes], Any] | None = getattr(_tiff_codecs.imagecodecs(), function, None)
    if decode is None:
        raise LayoutError(f"{name}; reading it needs the extra: pip install imfuse[codecs]")
    pixels = np.asarray(decode(data))
    if pixels.ndim not in (2, 3) or pixels.dtype not in (np.uint8, np.uint16):
        raise LayoutError(f"pixels of shape {pixels.shape} and type {pixels.dtype}; gray or RGB is expected")
    return pixels


def _pi_heif() -> Any:
    """The package that reads HEIC; ``None`` where it is missing."""
    try:
        import pi_heif
    except ImportError:
        return None
    return pi_heif


def _decode_heic(data: bytes) -> npt.NDArray[Any]:
    library = _pi_heif()
    if library is None:
        raise LayoutError("HEIC; reading it needs the extra: pip install imfuse[heif]")
    return np.asarray(library.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False))


def _pnm(data: bytes) -> tuple[bool, int, int, int, int]:
    """Whether it is in colours, width, height, the largest value, and where the samples begin."""
    found = _PNM.match(data[:_START])
    if found is None:
        raise DamagedError("its header makes no sense")
    width, height, top = (int(found[i]) for i in (2, 3, 4))
    if not (width and height and 0 < top < 65536):
        raise DamagedError("its header holds impossible values")
    return found[1] == b"6", width, height, top, found.end()


def _decode_pnm(data: bytes) -> npt.NDArray[Any]:
    """The stored values: not spread over the range of their type, as Pillow does."""
    colour, width, height, top, at = _pnm(data)
    dtype = np.dtype("u1" if top < 256 else ">u2")
    count = width * height * (3 if colour else 1)
    if len(data) - at < count * dtype.itemsize:
        raise DamagedError("it ends too early (truncated)")
    samples = np.frombuffer(data, dtype, count, at)
    return samples.reshape((height, width, 3) if colour else (height, width)).astype(dtype.newbyteorder("="))


def _codestream(data: bytes) -> tuple[int, int, list[int]]:
    """Width, height and bits of each channel, by the first marker of the coded picture."""
    at = data.find(_CODESTREAM)
    if at < 0 or len(data) < at + 42:
        raise DamagedError("no picture size in its header")
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    (channels,) = struct.unpack_from(">H", data, at + 40)
    width, height = right - left, bottom - top
    depths = [(size & 127) + 1 for size in data[at + 42 : at + 42 + 3 * channels : 3]]
    if width < 1 or height < 1 or channels not in (1, 2, 3, 4) or len(depths) != channels or max(depths) > 16:
        raise DamagedError("its header holds impossible values")
    return width, height, depths
