"""BMP files, whose headers can claim any number of pixels."""

from __future__ import annotations

import io
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, Image

from imfuse.imaging._support import DamagedError, Header


def header(stream: BinaryIO) -> Header:
    """Read the size."""
    with BmpImagePlugin.BmpImageFile(stream) as image:
        width, height = image.size
        if width < 1 or height < 1:
            raise DamagedError("its header holds impossible values")
        return Header("BMP", width, height, 8 * len(image.getbands()))


def decode(data: bytes, head: Header) -> Image.Image | npt.NDArray[np.uint8]:
    """Decode to the mode that is stored; run lengths to gray or RGB."""
    with BmpImagePlugin.BmpImageFile(io.BytesIO(data)) as image:
        if image.size != (head.width, head.height):
            raise DamagedError("its headers contradict each other")
        codec, _, offset, options = image.tile[0]
        if codec == "bmp_rle":
            return _run_lengths(data, head)
        if not isinstance(options, tuple) or offset + options[1] * head.height > len(data):
            raise DamagedError("it ends before its pixels do (truncated)")
        image.load()
        return image


def _run_lengths(data: bytes, head: Header) -> npt.NDArray[np.uint8]:
    """By OpenCV: Pillow's decoder is written in Python, and takes minutes for some hundred bytes."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DamagedError(f"run lengths for {head.width}x{head.height} pixels cannot be decoded") from error
    if pixels is None or pixels.shape[:2] != (head.height, head.width) or pixels.dtype != np.uint8:
        raise DamagedError("its run lengths are invalid")
    return np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[..., 2::-1])
