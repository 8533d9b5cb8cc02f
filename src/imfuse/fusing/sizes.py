"""How pictures get sizes that a network takes: by a mirrored margin, or as released test programs do it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from imfuse.core.errors import ImageError, ModelError

Fit = Literal["mirror", "zero", "resize"]
FITS: tuple[Fit, ...] = ("mirror", "zero", "resize")
"""``mirror``: a margin of mirrored pixels, cut off again. ``zero``: one of zeros, as TransFusion's released program.
``resize``: bicubic down to the next smaller multiples, the fused picture up again, as PSFusion's. The latter two cut
levels off instead of rounding them, as those programs do."""
Float = npt.NDArray[np.float32]


def checked_fit(fit: str) -> Fit:
    """One of ``FITS``, or ``ModelError``."""
    if fit not in FITS:
        raise ModelError(f"fit={fit!r}: one of {', '.join(FITS)} is expected")
    return fit


def shrunk(pixels: npt.NDArray[Any], multiple: int, name: str) -> npt.NDArray[Any]:
    """A stored picture, bicubic at 8 bits, brought down to multiples of ``multiple``. Raises ``ImageError``."""
    height, width = (side - side % multiple for side in pixels.shape[:2])
    if (height, width) == pixels.shape[:2]:
        return pixels
    if pixels.dtype != np.uint8 or not min(height, width):
        raise ImageError(f"{name}: fit='resize' is of 8-bit pictures of at least {multiple}x{multiple} pixels")
    return _bicubic(pixels, height, width)


def truncated(unit: Float, height: int, width: int) -> Float:
    """Whole levels of 8 bits, cut off, and brought back to the size of the pair: (H, W) or (H, W, 3) in [0, 1]."""
    levels = (unit.clip(0, 1) * np.float32(255)).astype(np.uint8)
    if levels.shape[:2] != (height, width):
        levels = _bicubic(levels, height, width)
    return levels.astype(np.float32) / np.float32(255)


def _bicubic(levels: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    # Pillow's filter, as those programs have it: that of imfuse.imaging.resize gives other levels.
    return np.asarray(Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC))
