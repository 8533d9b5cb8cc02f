"""BMP files, whose headers can claim any number of pixels."""

from __future__ import annotations

import io
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, Image

from imfuse.imaging._support import DamagedError, Header, LayoutError

_MAX_OPENCV = 1 << 20
# Pixels and bytes that Pillow decodes in a fraction of a second.
_PATIENCE = 1_000_000


def header(stream: BinaryIO) -> Header:
    """Read the size."""
    with BmpImagePlugin.BmpImageFile(stream) as image:
        width, height = image.size
        if width < 1 or height < 1:
            raise DamagedError("its header holds impossible values")
        return Header("BMP", width, height, 8 * len(image.getbands()))


def decode(data: bytes, head: Header) -> tuple[Image.Image | npt.NDArray[np.uint8], tuple[str, ...]]:
    """Decode to the mode that is stored, run lengths to gray or RGB; and say what is odd."""
    with BmpImagePlugin.BmpImageFile(io.BytesIO(data)) as image:
        if image.size != (head.width, head.height):
            raise DamagedError("its headers contradict each other")
        codec, _, offset, options = image.tile[0]
        if codec == "bmp_rle":
            pixels = _run_lengths(data, head)
            if pixels is not None:
                return pixels, ()
            if head.width * head.height + len(data) > _PATIENCE:
                raise DamagedError("its run lengths are invalid")
            image.load()
            return image, ("its run lengths do not fit its rows, and were cut",)
        if not isinstance(options, tuple) or offset + options[1] * head.height > len(data):
            raise DamagedError("it ends before its pixels do (truncated)")
        image.load()
        return image, ()


def _run_lengths(data: bytes, head: Header) -> npt.NDArray[np.uint8] | None:
    """By OpenCV, which wants rows of the right length: Pillow's decoder, in Python, takes minutes for some bytes."""
    if max(head.width, head.height) > _MAX_OPENCV:
        raise LayoutError(f"run lengths for {head.width}x{head.height} pixels are not read; save it uncompressed")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None or pixels.shape[:2] != (head.height, head.width) or pixels.dtype != np.uint8:
        return None
    return np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[..., 2::-1])
