"""What the channels of a decoded picture mean: gray, RGB, transparency, or a band of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from imfuse.imaging._support import LayoutError

_FEW = 16
# Of random numbers, neighbours differ as much as any two.
_RELATED = 0.85


def as_array(image: Image.Image) -> npt.NDArray[Any]:
    """Pixels of a Pillow image as gray, RGB or RGBA."""
    if image.mode in ("L", "RGB", "RGBA"):
        return np.asarray(image)
    if image.mode in ("1", "LA", "La"):
        return np.asarray(image.convert("L"))
    if image.mode in ("P", "PA"):
        palette = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return np.asarray(image.convert("L" if (palette == palette[:, :1]).all() else "RGB"))
    if image.mode in ("RGBX", "RGBa", "CMYK", "YCbCr"):
        return np.asarray(image.convert("RGB"))
    raise LayoutError(f"{image.mode} pixels found, a gray or RGB picture is expected; save it as one of these")


def without_alpha(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """RGB of a picture with a fourth channel, unless that is a picture of its own."""
    if pixels.ndim == 2 or pixels.shape[2] != 4 or _is_picture(pixels[..., 3]):
        return pixels
    return pixels[..., :3]


def _is_picture(band: npt.NDArray[Any]) -> bool:
    """Whether a channel is no transparency.

    Transparency is clear or opaque nearly everywhere; a picture has many levels, most of them between the extremes, and
    its neighbouring pixels resemble each other.
    """
    inner = (band != 0) & (band != band.max())
    if inner.mean() <= 0.5 or len(np.unique(band[:: 1 + band.shape[0] // 512])) < _FEW:
        return False
    levels = band[:: 1 + band.shape[0] // 512].astype(np.float32)
    near = np.abs(np.diff(levels, axis=1)).mean()
    far = np.abs(levels - np.roll(levels, levels.shape[1] // 2, axis=1)).mean()
    return bool(near < _RELATED * far)
