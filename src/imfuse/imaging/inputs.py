"""What a picture can come as (path, array, PIL image, tensor): to stored pixels, and from a result back to the kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Union

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from imfuse.core.errors import ImageError, PairError, first_line
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging import is_gray, quantise
from imfuse.imaging._channels import as_array, without_alpha
from imfuse.imaging._support import LayoutError, quiet
from imfuse.imaging.bands import take_bands
from imfuse.imaging.read import image_hash, read_picture, reading, upright
from imfuse.imaging.sensors.sensor import ALL, Sensor, View

Array = npt.NDArray[Any]
PathLike = Union[str, "os.PathLike[str]"]
Picture = Union[str, "os.PathLike[str]", npt.NDArray[Any], Image.Image, Tensor]
Bits = Literal[8, 16]
_BITS: dict[str, Bits] = {"uint8": 8, **dict.fromkeys(("uint16", "int16", "int32", "uint32"), 16)}
MAX_PIXELS = 100_000_000
MAX_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Result:
    """A fused picture before its type is chosen: (H, W) or (H, W, 3) float32, near [0, 1]."""

    unit: npt.NDArray[np.float32]

    def as_type(self, bits: Bits | None) -> Array:
        """uint8, uint16, or with ``None`` float32 clipped to [0, 1]; the only quantisation there is."""
        if bits is not None:
            return quantise(self.unit, bits)
        if not np.isfinite(self.unit).all():
            raise ImageError("the network returns NaN or infinite values; these weights cannot be used")
        return np.clip(self.unit, 0, 1)


@dataclass(frozen=True)
class Stored:
    """A picture as stored, (H, W) or (H, W, 3), masked where it holds no data; ``name`` is what errors call it.

    ``path`` is that of its file, ``None`` for one that never was in a file; ``sensor`` is what the file says beside.
    ``same_field`` tells that it shows exactly what its partner shows, whatever the sizes.
    """

    pixels: Array
    name: str
    path: Path | None = None
    sensor: Sensor | None = None
    same_field: bool = False


@dataclass(frozen=True)
class Loaded:
    """The pictures of one argument (several for a batch of tensors), and how to give results back in its kind."""

    pictures: list[Stored]
    give_back: Callable[[list[Result], Bits | None], Any]


def load(
    picture: Picture, side: str, max_pixels: int, bands: tuple[int, ...] | None = None, view: View = ALL
) -> Loaded:
    """Take a picture of any kind; ``side`` ("infrared" or "visible") names it in errors. Raises ``ImageError``."""
    if isinstance(picture, (str, os.PathLike)):
        stored = read(picture, max_pixels, side, bands, view)
        return Loaded([stored], lambda results, bits: results[0].as_type(bits or 8))
    if isinstance(picture, np.ndarray):
        return _from_array(picture, side, bands)
    if isinstance(picture, Image.Image):
        return _from_pil(picture, side, bands)
    if isinstance(picture, Tensor):
        return _from_tensor(picture, side, bands)
    raise ImageError(
        f"{side}: a path, a NumPy array, a PIL image or a tensor is expected, found {type(picture).__name__}"
    )


def read(
    path: PathLike,
    max_pixels: int,
    side: str = "infrared or visible",
    bands: tuple[int, ...] | None = None,
    view: View = ALL,
) -> Stored:
    """Read a file. A gray picture that is stored as RGB counts as gray: its result is gray as well."""
    with _byte_limit(max_pixels) as max_bytes:
        found = read_picture(path, max_pixels=max_pixels, max_bytes=max_bytes, view=view, bands=bands is not None)
    name = str(Path(path))
    stored = as_stored(take_bands(found.pixels, bands, name, side), name)
    return replace(stored, path=Path(path), sensor=found.sensor)


def read_both(path: PathLike, max_pixels: int, view: View = ALL) -> tuple[Stored, Stored]:
    """Read the thermal and the visible picture of one file, both cut to what they share.

    Raises:
        ImageError: the file holds no visible picture, or nothing says how the two lie.
    """
    infrared = read(path, max_pixels, view=view)
    name, sensor = infrared.name, infrared.sensor
    if sensor is None or sensor.visible is None:
        raise ImageError(
            f"{printable(name)}: a file that holds a thermal and a visible picture is expected of one file alone, and "
            "this one holds no visible picture beside",
            "give the visible picture as a second file",
        )
    with reading(Path(path)):
        embedded = sensor.visible()
    if embedded.field is None:
        raise ImageError(
            f"{printable(name)}: nothing usable in the file says how its visible picture lies over the thermal one",
            "register the two pictures and give two files",
        )
    field = embedded.field
    visible = Stored(np.ascontiguousarray(embedded.pixels[field.visible]), f"{name} (visible)", Path(path))
    pixels = np.ascontiguousarray(infrared.pixels[field.plane])
    return replace(infrared, pixels=pixels, same_field=True), visible


def digest(path: PathLike, max_pixels: int) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits, where :func:`read` would not refuse it for its length."""
    with _byte_limit(max_pixels) as max_bytes:
        return image_hash(path, max_bytes=max_bytes)


@contextmanager
def _byte_limit(max_pixels: int) -> Iterator[int]:
    """Who raises the limit on pixels wants the pictures read, so the limit on bytes goes along."""
    try:
        yield MAX_BYTES * max(max_pixels, MAX_PIXELS) // MAX_PIXELS
    except ImageError as error:
        advice = [words for words in error.advice if "max_bytes=" not in words]
        if len(advice) == len(error.advice):
            raise
        raise ImageError(error.message, *advice, "use a larger max_pixels=..., with which the limit grows") from error


def as_stored(pixels: Array, name: str) -> Stored:
    """Pixels as ``read`` returns them for a file that holds them."""
    if pixels.ndim == 3 and is_gray(pixels, equal_channels=True):
        pixels = pixels[..., 0].copy()
    return Stored(pixels, name)


def check_batches(infrared: Loaded, visible: Loaded) -> None:
    """Raise ``PairError`` where two batches of tensors differ in length."""
    if len(infrared.pictures) != len(visible.pictures):
        raise PairError(
            f"{len(infrared.pictures)} infrared and {len(visible.pictures)} visible pictures; a batch needs one each"
        )


def bits_of(dtype: np.dtype[Any]) -> Bits | None:
    """Bits of a result like pixels of an integer type; ``None`` for a floating one."""
    return _BITS.get(dtype.name)


def _from_array(array: Array, side: str, bands: tuple[int, ...] | None) -> Loaded:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] in (0, 2) and bands is None):
        raise ImageError(f"{side}: an array (H, W), (H, W, 1) or (H, W, 3) is expected, found shape {array.shape}")
    chosen = take_bands(array, bands, side, side)
    single = chosen.ndim == 3 and chosen.shape[2] == 1
    pixels = chosen[..., 0] if single else chosen

    def give_back(results: list[Result], bits: Bits | None) -> Array:
        fused = results[0].as_type(bits or bits_of(array.dtype))
        return fused[..., None] if single else fused

    return Loaded([Stored(pixels, side)], give_back)


def _from_pil(image: Image.Image, side: str, bands: tuple[int, ...] | None) -> Loaded:
    with quiet():
        shortened, narrowed = _is_cut_to_8_bits(image), image.mode == "RGB" and _is_decoded_from(image, "RGBX")
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise ImageError(f"{side}: PIL cannot decode this image: {first_line(error)}") from error
        # As read_image turns the picture that the file of this image holds.
        pixels = take_bands(upright(_pil_pixels(image, side), image.info.get("exif", b"")), bands, side, side)
    if shortened:
        note(f"{side}: PIL has cut the 16 bits of this file to 8", "give the path of the file instead")
    if narrowed:
        note(f"{side}: PIL has left out the fourth band of this file", "give the path of the file instead")

    def give_back(results: list[Result], bits: Bits | None) -> Image.Image:
        fused = results[0].as_type(bits or bits_of(pixels.dtype))
        if fused.dtype == np.uint16 and fused.ndim == 3:
            raise ImageError(f"{side}: PIL has no 16-bit colour; use bits=8 or gray=True, or pass an array")
        return Image.fromarray(fused)

    return Loaded([Stored(pixels, side)], give_back)


def _pil_pixels(image: Image.Image, side: str) -> Array:
    if image.mode == "F" or image.mode.startswith("I;16"):
        pixels = np.asarray(image)
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if image.mode == "I":
        # Some versions of PIL open PNG files of 16 bits in it; a TIFF file of 32 bits is read as it is stored.
        wide = np.asarray(image)
        narrow = image.format != "TIFF" and wide.min() >= 0 and wide.max() <= 65535
        return wide.astype(np.uint16) if narrow else wide
    try:
        return without_alpha(as_array(image))
    except LayoutError as error:
        raise ImageError(f"{side}: PIL mode {image.mode} cannot be used; convert it to L or RGB") from error


def _is_cut_to_8_bits(image: Image.Image) -> bool:
    """Whether PIL decodes, or has begun to decode, a file of more bits than its mode has."""
    return image.mode in ("L", "LA", "RGB", "RGBA") and _is_decoded_from(image, ";16")


def _is_decoded_from(image: Image.Image, layout: str) -> bool:
    """Whether Pillow's name for how the file of an image stores its pixels has these letters in it."""
    return any(layout in str(tile.args) for tile in getattr(image, "tile", ()))


def _from_tensor(tensor: Tensor, side: str, bands: tuple[int, ...] | None) -> Loaded:
    """(H, W), (C, H, W) or (N, C, H, W), C 1 or 3, or as many as ``bands`` choose from."""
    batch = tensor.detach()[(None,) * max(0, 4 - tensor.ndim)]
    if batch.ndim != 4 or tensor.ndim < 2 or batch.shape[0] == 0 or (batch.shape[1] in (0, 2) and bands is None):
        raise ImageError(
            f"{side}: a tensor (H, W), (C, H, W) or (N, C, H, W) with C 1 or 3 is expected, found {tuple(tensor.shape)}"
        )
    # NumPy has no bfloat16, and half precision would lose levels.
    batch = batch.float() if batch.is_floating_point() else batch
    arrays = [item[0] if len(item) == 1 else np.moveaxis(item, 0, 2) for item in batch.numpy(force=True)]
    arrays = [take_bands(array, bands, side, side) for array in arrays]

    def give_back(results: list[Result], bits: Bits | None) -> Tensor:
        fused = [result.as_type(bits or bits_of(arrays[0].dtype)) for result in results]
        planes = [item[None] if item.ndim == 2 else np.moveaxis(item, 2, 0) for item in fused]
        stacked = torch.from_numpy(np.stack(planes)).to(tensor.device)
        return stacked[0, 0] if tensor.ndim == 2 else stacked[0] if tensor.ndim == 3 else stacked

    return Loaded([Stored(array, side) for array in arrays], give_back)
