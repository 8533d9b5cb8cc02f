"""TIFF files: the layouts that scientific cameras and photo editors write, decoded under strict bounds."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from imfuse.imaging import _ifd, _tiff_codecs, _tiff_samples
from imfuse.imaging._ifd import Directory
from imfuse.imaging._support import DamagedError, Decoded, Header, LayoutError
from imfuse.imaging._tiff_codecs import Coding
from imfuse.imaging.sensors.sensor import Sensor
from imfuse.imaging.sensors.units import declared

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_PHOTOMETRIC = {0: "MINISWHITE", 1: "MINISBLACK", 2: "RGB", 3: "PALETTE", 4: "MASK", 5: "SEPARATED", 6: "YCBCR",
                8: "CIELAB", 9: "ICCLAB", 32803: "CFA", 34892: "LINEAR_RAW"}  # fmt: skip
_REDUCED, _MASK = 1, 4
_ALPHAS = (1, 2)
_FORMATS = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "complex", 6: "complex"}
_MAX_CHANNELS = 64
_MAX_JPEG_TABLES = 1 << 16
_SAVE = "save it as uint16 or float32"
_GDAL_NODATA, _DESCRIPTION, _XMP = 42113, 270, 700
_MOST_TEXT = 1 << 16


@dataclass(frozen=True)
class _Layout:
    """What the page says about itself, before any pixel is decoded."""

    width: int
    height: int
    coding: Coding
    sample_format: str
    photometric: int
    channels: int
    alphas: int
    planes: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that holds a sample: of unsigned ones with odd numbers of bits, the next wider."""
        bits = self.coding.bits
        if self.sample_format == "uint":
            bits = next((size for size in (8, 16, 32) if size >= bits), bits)
        try:
            return np.dtype(f"{self.sample_format}{bits}")
        except TypeError as error:
            raise LayoutError(f"{bits}-bit {self.sample_format} samples found; {_SAVE}") from error


def _page(file: BinaryIO) -> Directory:
    """Return the only full-size page; thumbnails and masks beside it do not count."""
    pages = [
        page
        for number, page in enumerate(_ifd.directories(file))
        if number == 0 or not page.number(254, 0) & (_REDUCED | _MASK)
    ]
    if not pages:
        raise DamagedError("it holds no page")
    if len(pages) > 1:
        raise LayoutError(f"{len(pages)} pages found, one picture is expected; save the page you want as its own file")
    if pages[0].number(254, 0) & _REDUCED and 330 in pages[0]:
        raise LayoutError("the first page is only a preview of a raw picture; develop it to a plain TIFF or PNG")
    return pages[0]


def _layout(page: Directory) -> _Layout:
    width, height, channels = page.number(256, 0), page.number(257, 0), page.number(277, 1)
    if width < 1 or height < 1 or not 1 <= channels <= 65535:
        raise DamagedError("its header holds impossible values")
    if channels > _MAX_CHANNELS:
        raise LayoutError(f"{channels} channels found, a gray or RGB picture is expected; save it as one of these")
    depth = page.number(32997, 1)
    if depth > 1 or page.number(32998, 1) > 1:
        raise LayoutError(f"a volume of depth {depth} found, one flat picture is expected; save one slice")
    bits, kinds = (set(page.numbers(tag, channels).tolist()) or {1} for tag in (258, 339))
    if len(bits) > 1 or len(kinds) > 1:
        raise LayoutError("channels of different types found, one type is expected; save it as a plain picture")
    if min(bits) < 1 or not kinds <= _FORMATS.keys():
        raise DamagedError("its header holds impossible values")
    planar, photometric = page.number(284, 1) == 2 and channels > 1, page.number(262, _BLACK_IS_ZERO)
    coding = Coding(
        compression=page.number(259, 1),
        bits=min(bits),
        channels=1 if planar else channels,
        photometric=photometric,
        reversed_bits=page.number(266, 1) == 2,
        subsampling=_subsampling(page) if photometric == _YCBCR else (1, 1),
        jpeg_tables=page.data(347, _MAX_JPEG_TABLES),
        fax_options=page.number(292, 0),
        big_endian=page.order == ">",
    )
    return _Layout(
        width=width,
        height=height,
        coding=coding,
        sample_format=_FORMATS[min(kinds)],
        photometric=photometric,
        channels=channels,
        alphas=sum(int(sample) in _ALPHAS for sample in page.numbers(338, channels)),
        planes=channels if planar else 1,
    )


def _subsampling(page: Directory) -> tuple[int, int]:
    across, down = page.numbers(530, 2).tolist() or (2, 2)
    if across not in (1, 2, 4) or down not in (1, 2, 4):
        raise DamagedError("its header holds impossible values")
    return across, down


def header(file: BinaryIO) -> Header:
    """Read the size of the only full-size page, and the orientation."""
    page = _page(file)
    found = _layout(page)
    turned = page.number(_ifd.ORIENTATION, 1)
    bits = found.channels * max(8, found.coding.bits)
    return Header("TIFF", found.width, found.height, bits, turned if 1 <= turned <= 8 else 1)


def decode(data: bytes, max_bytes: int) -> Decoded:
    """Decode the only full-size page to gray, RGB, or RGB with a fourth channel."""
    file = io.BytesIO(data)
    page = _page(file)
    found = _layout(page)
    if found.dtype.kind == "c" or found.dtype == np.int8 or found.dtype.itemsize > 8:
        raise LayoutError(f"{found.dtype} samples found; save it as uint8, uint16 or float32")
    cut = _tiff_samples.grid(page, found.height, found.width, found.planes)
    nodata = _nodata(page, found.dtype)
    samples = _tiff_samples.samples(page, data, cut, found.coding, nodata, max_bytes)
    invalid = None
    if nodata.size:
        invalid = (samples[..., : max(1, found.channels - found.alphas)] == nodata).all(axis=2)
    pixels = _as_supported(_arranged(page, found, samples))
    return Decoded(pixels, header(file).orientation, invalid, sensor=_sensor(page) if pixels.ndim == 2 else None)


def _sensor(page: Directory) -> Sensor | None:
    """What the page says of temperatures."""
    return declared(page.data(_XMP, _MOST_TEXT), page.data(_DESCRIPTION, _MOST_TEXT))


def _nodata(page: Directory, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The value that GDAL's entry names as no measurement; empty where there is none that a sample can have."""
    text = page.data(_GDAL_NODATA, 64).split(b"\0")[0].decode("latin-1").strip()
    try:
        value = float(text)
        # The text has more digits than the type, or says what no pixel of it can be.
        with np.errstate(over="ignore"):
            nodata = np.array(value if dtype.kind == "f" else int(value)).astype(dtype)
    except (ValueError, OverflowError):
        return np.empty(0, dtype)
    return nodata if dtype.kind == "f" or nodata == value else np.empty(0, dtype)


def _arranged(page: Directory, found: _Layout, samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn samples into gray or RGB by their photometric meaning. Other bands stay, to be chosen from."""
    colours = found.channels - found.alphas
    if found.photometric == _PALETTE and colours == 1 and found.coding.bits <= 8:
        return _painted(page.numbers(320, 3 << found.coding.bits), samples[..., 0], 1 << found.coding.bits)
    if found.photometric == _SEPARATED and found.channels == 4 and samples.dtype == np.uint8:
        return np.asarray(Image.frombytes("CMYK", samples.shape[1::-1], samples.tobytes()).convert("RGB"))
    if found.photometric == _YCBCR and found.channels == 3 and samples.dtype == np.uint8:
        if found.coding.compression == _tiff_codecs.JPEG:
            return samples
        return np.asarray(Image.frombytes("YCbCr", samples.shape[1::-1], samples.tobytes()).convert("RGB"))
    if found.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and colours == 1:
        gray = _filled(samples[..., 0], found.coding.bits)
        return _inverted(gray, found.coding.bits) if found.photometric == _WHITE_IS_ZERO else gray
    # Scientific writers store three or four bands as black-is-zero with unspecified ones.
    if found.photometric in (_RGB, _BLACK_IS_ZERO) and (colours == 3 or (found.channels == 4 and found.alphas == 0)):
        return _filled(samples[..., :4], found.coding.bits)
    if found.photometric in (_RGB, _BLACK_IS_ZERO) and found.channels > 1:
        return _filled(samples, found.coding.bits)
    raise LayoutError(
        f"{found.channels} channels ({_PHOTOMETRIC.get(found.photometric, found.photometric)}) found, "
        "a gray or RGB picture is expected; save it as one of these"
    )


def _painted(colours: npt.NDArray[Any], indices: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """The colours of a palette; gray if all of them are gray."""
    if colours.dtype.kind != "u" or len(colours) != 3 * count:
        raise DamagedError("its palette has another number of colours than its bits can name")
    table = (colours.reshape(3, count).T >> 8).astype(np.uint8)
    painted: npt.NDArray[Any] = (table[:, 0] if (table == table[:, :1]).all() else table)[indices]
    return painted


def _filled(pixels: npt.NDArray[Any], bits: int) -> npt.NDArray[Any]:
    """Samples of less than 8 bits spread over the range of 8 bits; others as they are."""
    return pixels * np.uint8(255 // (2**bits - 1)) if bits < 8 else pixels


def _inverted(pixels: npt.NDArray[Any], bits: int) -> npt.NDArray[Any]:
    if not np.issubdtype(pixels.dtype, np.unsignedinteger):
        raise LayoutError(f"white-is-zero {pixels.dtype} samples found; save the picture as black-is-zero")
    inverted: npt.NDArray[Any] = pixels.dtype.type(2 ** max(bits, 8) - 1) - pixels
    return inverted


def _as_supported(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Floating samples as float32; 64-bit integers as uint16 when all values fit, since cameras store counts that way.

    Anything else would need a rule for scaling that only the owner of the file knows.
    """
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return pixels.astype(np.float32, copy=False)
    if pixels.dtype.itemsize < 8:
        return pixels
    low, high = int(pixels.min()), int(pixels.max())
    if low >= 0 and high <= 65535:
        return pixels.astype(np.uint16)
    raise LayoutError(f"{pixels.dtype} values {low}..{high} found, 0..65535 is expected; save it as int32 or float32")


def description(file: BinaryIO, max_bytes: int) -> str:
    """Return the image description of the first page, or nothing when there is none or it is too long."""
    page = next(_ifd.directories(file))
    return page.data(270, max_bytes).split(b"\0")[0].decode("utf-8", "replace")
