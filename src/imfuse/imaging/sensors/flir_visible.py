"""The visible picture in a radiometric JPEG file of FLIR, and which part of it the thermal plane shows."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from imfuse.imaging import _jpeg, _png
from imfuse.imaging._channels import as_array, without_alpha
from imfuse.imaging._support import LayoutError
from imfuse.imaging.sensors import _fff
from imfuse.imaging.sensors.sensor import Embedded, Field

_JPEG = b"\xff\xd8\xff"
_MAX_PIXELS = 50_000_000
_SCALES = (0.2, 20.0)


@dataclass(frozen=True)
class Recorded:
    """How the camera says that its plane lies in its visible picture: size, and middle from the middle."""

    scale: float
    right: int
    down: int

    @property
    def facts(self) -> dict[str, float]:
        """As FLIR calls them."""
        return {"Real2IR": float(f"{self.scale:.9g}"), "OffsetX": self.right, "OffsetY": self.down}


def recorded(fff: bytes) -> Recorded | None:
    """The record of a file on the alignment; ``None`` where there is none that makes sense."""
    record = _fff.optional_record(fff, _fff.ALIGNMENT)
    if not record:
        return None
    scale, right, down = struct.unpack_from("<fhh", record)
    return Recorded(scale, right, down) if _SCALES[0] <= scale <= _SCALES[1] else None


def stored_picture(fff: bytes) -> bytes:
    """The file of the visible picture; nothing where there is none of a kind that is known."""
    record = _fff.optional_record(fff, _fff.VISIBLE)
    stored = record[_fff.RECORD_HEAD :]
    return stored if stored.startswith((_JPEG, _png.SIGNATURE)) else b""


def read(stored: bytes, alignment: Recorded | None, plane: tuple[int, int]) -> Embedded:
    """Decode the picture, and find the part of it over which the plane lies."""
    pixels = _decoded(stored)
    return Embedded(pixels, None if alignment is None else common_field(alignment, plane, pixels.shape[:2]))


def _decoded(stored: bytes) -> npt.NDArray[np.uint8]:
    stream = io.BytesIO(stored)
    if stored.startswith(_JPEG):
        head: Any = _jpeg.header(stream)
    else:
        head = _png.image_header(stream, _png.chunk_table(stream))
    if head.width * head.height > _MAX_PIXELS:
        raise LayoutError(f"its visible picture has {head.width}x{head.height} pixels, at most {_MAX_PIXELS} are read")
    if stored.startswith(_JPEG):
        return np.asarray(_jpeg.decode(stored, head)[0], np.uint8)
    picture = _png.decode(stored)[0]
    pixels = without_alpha(as_array(picture) if isinstance(picture, Image.Image) else picture)
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise LayoutError("its visible picture is no colour picture of 8 bits")
    # Cameras that store a PNG here put luminance and colour differences into its channels.
    colours = Image.frombytes("YCbCr", pixels.shape[1::-1], np.ascontiguousarray(pixels).tobytes())
    return np.asarray(colours.convert("RGB"), np.uint8)


def common_field(alignment: Recorded, plane: tuple[int, int], visible: tuple[int, int]) -> Field | None:
    """Whole pixels of both over the same field; ``None`` where the plane leaves the picture by more than a half."""
    (rows, columns), (height, width) = plane, visible
    across = width / alignment.scale
    sides = (across * rows / columns, across)
    found = []
    for pixels, room, size, offset in zip(
        (rows, columns), (height, width), sides, (alignment.down, alignment.right), strict=True
    ):
        start, step = room / 2 + offset - size / 2, size / pixels
        # Pixels of the plane that lie in the picture as a whole.
        first = max(0, math.ceil(-start / step - 1e-6))
        last = min(pixels, math.floor((room - start) / step + 1e-6))
        if last - first < pixels / 2:
            return None
        low, high = round(start + first * step), round(start + last * step)
        if high <= low:
            return None
        found.append((slice(first, last), slice(max(0, low), min(room, high))))
    return Field((found[0][0], found[1][0]), (found[0][1], found[1][1]))
