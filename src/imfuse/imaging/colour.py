"""Colour by ITU-R BT.601, full range: luminance Y in [0, 1], chroma Cb and Cr in [-0.5, 0.5], centred on 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError

Float = npt.NDArray[np.float32]

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
_CB_SCALE = 2 * (1 - _BLUE)
_CR_SCALE = 2 * (1 - _RED)
_WEIGHTS = np.array([_RED, _GREEN, _BLUE], np.float32)


def _checked(rgb: npt.NDArray[Any]) -> Float:
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ImageError(f"an RGB array (H, W, 3) is expected, found shape {rgb.shape}")
    return rgb.astype(np.float32, copy=False)


def luminance(rgb: npt.NDArray[Any]) -> Float:
    """Luminance of a colour picture, Y = 0.299 R + 0.587 G + 0.114 B.

    Args:
        rgb: (H, W, 3) in [0, 1].

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        ImageError: the array is not (H, W, 3).

    Source:
        ITU-R BT.601-7, section 2.5.1.

    Example:
        >>> luminance(np.float32([[[1, 0, 0], [1, 1, 1]]])).round(3)
        array([[0.299, 1.   ]], dtype=float32)
    """
    return np.asarray(_checked(rgb) @ _WEIGHTS, np.float32)


def rgb_to_ycbcr(rgb: npt.NDArray[Any]) -> tuple[Float, Float, Float]:
    """Split colour into luminance and chroma.

    Args:
        rgb: (H, W, 3) in [0, 1].

    Returns:
        y in [0, 1], cb and cr in [-0.5, 0.5]; each (H, W) float32.

    Raises:
        ImageError: the array is not (H, W, 3).

    Source:
        ITU-R BT.601-7, section 2.5: the colour-difference signals at full range.

    Example:
        >>> [plane.item() for plane in rgb_to_ycbcr(np.float32([[[0, 0, 1]]]))][1]
        0.5
    """
    colours = _checked(rgb)
    y = luminance(colours)
    cb = (colours[..., 2] - y) / np.float32(_CB_SCALE)
    cr = (colours[..., 0] - y) / np.float32(_CR_SCALE)
    return y, cb, cr


def ycbcr_to_rgb(y: npt.NDArray[Any], cb: npt.NDArray[Any], cr: npt.NDArray[Any]) -> Float:
    """Join luminance and chroma, the inverse of `rgb_to_ycbcr`.

    Args:
        y: (H, W), luminance in [0, 1].
        cb: (H, W), centred on 0.
        cr: (H, W), centred on 0.

    Returns:
        (H, W, 3) float32, not clipped: a new luminance can push a saturated colour outside [0, 1].

    Raises:
        ImageError: the three shapes differ or are not (H, W).

    Source:
        ITU-R BT.601-7, section 2.5, solved for R, G and B.

    Example:
        >>> rgb = np.float32([[[0.25, 0.5, 1]]])
        >>> np.allclose(ycbcr_to_rgb(*rgb_to_ycbcr(rgb)), rgb, atol=1e-6)
        True
    """
    if y.ndim != 2 or not y.shape == cb.shape == cr.shape:
        raise ImageError(f"three (H, W) arrays of one size are expected, found {y.shape}, {cb.shape}, {cr.shape}")
    rgb = np.empty((*y.shape, 3), np.float32)
    rgb[..., 0] = y + np.float32(_CR_SCALE) * cr
    rgb[..., 2] = y + np.float32(_CB_SCALE) * cb
    green_cb, green_cr = np.float32(_CB_SCALE * _BLUE / _GREEN), np.float32(_CR_SCALE * _RED / _GREEN)
    rgb[..., 1] = y - green_cb * cb - green_cr * cr
    return rgb


def recombine(fused_luminance: npt.NDArray[Any], visible_rgb: npt.NDArray[Any]) -> Float:
    """Replace the luminance of a colour picture and keep its chroma.

    With Cb and Cr unchanged, each channel moves by the change in Y, so this equals
    `ycbcr_to_rgb(fused_luminance, cb, cr)` without computing the chroma.

    Args:
        fused_luminance: (H, W) in [0, 1].
        visible_rgb: (H, W, 3) in [0, 1].

    Returns:
        (H, W, 3) float32, not clipped.

    Raises:
        ImageError: the shapes do not belong together.

    Example:
        >>> recombine(np.float32([[0.5]]), np.float32([[[0.25, 0.25, 0.25]]]))
        array([[[0.5, 0.5, 0.5]]], dtype=float32)
    """
    colours = _checked(visible_rgb)
    if fused_luminance.shape != colours.shape[:2]:
        raise ImageError(
            f"a fused luminance of shape {colours.shape[:2]} is expected for this colour picture, "
            f"found {fused_luminance.shape}"
        )
    change = fused_luminance.astype(np.float32, copy=False) - luminance(colours)
    return np.asarray(colours + change[..., None], np.float32)


def is_gray(pixels: npt.NDArray[Any], *, equal_channels: bool = False) -> bool:
    """Say whether a picture is gray.

    Args:
        pixels: (H, W) or (H, W, 3), any type.
        equal_channels: count (H, W, 3) as gray when the three channels are exactly equal.

    Returns:
        True for (H, W), and for three equal channels where that counts.

    Example:
        >>> white = np.ones((2, 2, 3))
        >>> is_gray(white), is_gray(white, equal_channels=True)
        (False, True)
    """
    if pixels.ndim == 2:
        return True
    if not equal_channels or pixels.ndim != 3 or pixels.shape[2] != 3:
        return False
    red = pixels[..., 0]
    return bool(np.array_equal(red, pixels[..., 1]) and np.array_equal(red, pixels[..., 2]))
