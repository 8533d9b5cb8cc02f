"""False colours back to heat: palettes that cameras and programs paint thermal pictures with."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.core.text import printable

Float = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]

# Position from cold to hot, red, green and blue. Cameras and programs have ironbows of their own; this one runs between
# them: black and blue, violet, red, orange, yellow, nearly white.
_IRONBOW = (
    (0.00, 0, 0, 30),
    (0.06, 25, 15, 95),
    (0.12, 68, 12, 138),
    (0.25, 140, 15, 160),
    (0.37, 192, 44, 126),
    (0.50, 222, 86, 70),
    (0.62, 240, 133, 20),
    (0.75, 244, 180, 12),
    (0.87, 242, 218, 72),
    (0.94, 238, 235, 145),
    (1.00, 240, 248, 243),
)
_RECOGNISED = (
    *("ironbow", "jet", "turbo", "rainbow", "inferno", "plasma", "magma", "viridis", "parula", "hot"),
    *("cool", "autumn", "spring", "summer", "winter"),
)
# Natural pictures look like these, or their two ends look alike: never taken for granted.
_ON_REQUEST = ("cividis", "hsv", "bone", "pink", "ocean", "deepgreen")
PALETTES = (*_RECOGNISED, *_ON_REQUEST)
"""Names of the palettes that are known; those before cividis are recognised."""

_SAMPLES = 2048
# Gray levels: farther from every colour of a palette is no colour of it, whatever JPEG did to it.
_NEAR = 40
_SHARE_NEAR, _MEDIAN = 0.85, 20
# Of a shorter part of a palette it cannot be told which palette it is of; cameras use most of theirs.
_SPAN = 100
# By how much the channels of coloured pixels differ, in the mean: 20 to 60 levels in natural pictures, 100 to 250 in
# painted ones.
_COLOURED, _VIVID = 16, 68
_SHARE_COLOURED = 0.2
_CHUNK = 1 << 12


@cache
def palette_colours(name: str, parameter: str = "infrared_palette") -> Float:
    """The 256 colours of a palette, from cold to hot.

    Args:
        name: one of ``PALETTES``.
        parameter: what errors call it.

    Returns:
        (256, 3), red, green and blue in 0..255.

    Raises:
        ImageError: there is no such palette.

    Example:
        >>> palette_colours("hot")[[0, 255]].tolist()
        [[0.0, 0.0, 0.0], [255.0, 255.0, 255.0]]
    """
    if name not in PALETTES:
        raise ImageError(f"{parameter}={printable(name)!r}: auto, none, or one of {', '.join(PALETTES)} is expected")
    if name == "ironbow":
        points = np.array(_IRONBOW)
        place = np.arange(256) / 255
        return np.stack([np.interp(place, points[:, 0], points[:, i]) for i in (1, 2, 3)], axis=1).astype(np.float32)
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], getattr(cv2, f"COLORMAP_{name.upper()}"))
    return table[:, 0, ::-1].astype(np.float32)


def find_palette(pixels: npt.NDArray[Any]) -> str | None:
    """Recognise the palette that a picture was painted with, also behind the noise of JPEG.

    Args:
        pixels: (H, W, 3), uint8, uint16 or floating in [0, 1].

    Returns:
        Its name, if nearly all colours lie on it and run along a part of it, and the picture is coloured at all.

    Example:
        >>> ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
        >>> find_palette(cv2.applyColorMap(ramp, cv2.COLORMAP_JET)[..., ::-1])
        'jet'
    """
    if not is_painted(pixels):
        return None
    colours = _sample(pixels)
    fits: dict[str, float] = {}
    for name in PALETTES:
        place, distance = _nearest(colours, palette_colours(name))
        if _is_near(distance) and np.ptp(np.percentile(place, (2, 98))) >= _SPAN:
            fits[name] = float(distance.mean())
    best = min(fits, key=lambda name: fits[name], default=None)
    return best if best in _RECOGNISED else None


def has_palette(pixels: npt.NDArray[Any], name: str) -> bool:
    """Say whether nearly all colours of a picture lie on a palette.

    Args:
        pixels: (H, W, 3), uint8, uint16 or floating in [0, 1].
        name: one of ``PALETTES``.

    Returns:
        Whether they do.

    Raises:
        ImageError: there is no such palette.

    Example:
        >>> has_palette(np.uint8([[[0, 0, 128], [128, 0, 0]]]), "jet"), has_palette(np.uint8([[[0, 99, 0]]]), "jet")
        (True, False)
    """
    return _is_near(_nearest(_sample(pixels), palette_colours(name))[1])


def heat_of(pixels: npt.NDArray[Any], name: str) -> Levels:
    """Map a picture in false colours back: each pixel to the place of the nearest colour on the palette.

    Args:
        pixels: (H, W, 3), uint8, uint16 or floating in [0, 1].
        name: one of ``PALETTES``.

    Returns:
        (H, W) uint8, 0 for the cold end and 255 for the hot one.

    Raises:
        ImageError: there is no such palette.

    Example:
        >>> ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
        >>> bool((heat_of(cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO)[..., ::-1], "turbo") == ramp).all())
        True
    """
    palette, colours = palette_colours(name), _levels(pixels).reshape(-1, 3)
    heat = np.empty(len(colours), np.uint8)
    for start in range(0, len(colours), _CHUNK):
        part = slice(start, start + _CHUNK)
        heat[part] = _nearest(colours[part].astype(np.float32), palette)[0]
    return heat.reshape(pixels.shape[:2])


def coloured_share(pixels: npt.NDArray[Any]) -> float:
    """How much of a picture has colours.

    Args:
        pixels: (H, W) or (H, W, 3), uint8, uint16 or floating in [0, 1].

    Returns:
        The share of the pixels whose channels differ by more than 16 of 255 levels; 0 for a gray picture.

    Example:
        >>> coloured_share(np.uint8([[[200, 100, 0], [90, 90, 90]]]))
        0.5
    """
    return float((np.ptp(_sample(pixels), axis=1) > _COLOURED).mean()) if pixels.ndim == 3 else 0.0


def is_painted(pixels: npt.NDArray[Any]) -> bool:
    """Say whether a picture is in false colours, of whatever palette: they are far more vivid than natural ones.

    Args:
        pixels: (H, W) or (H, W, 3), uint8, uint16 or floating in [0, 1].

    Returns:
        Whether a good part of it is coloured, and vividly.

    Example:
        >>> is_painted(np.uint8([[[200, 0, 200], [0, 90, 190]]])), is_painted(np.uint8([[[90, 110, 80]]]))
        (True, False)
    """
    if pixels.ndim == 2:
        return False
    apart = np.ptp(_sample(pixels), axis=1)
    coloured = apart[apart > _COLOURED]
    return bool(len(coloured) >= _SHARE_COLOURED * len(apart) and coloured.mean() >= _VIVID)


def _nearest(colours: Float, palette: Float) -> tuple[npt.NDArray[np.intp], Float]:
    """Place on the palette of the nearest colour, and how far it is; colours and palette (N, 3)."""
    # |c - p|^2 without |c|^2, which is the same for all p.
    apart = (palette**2).sum(1) - 2 * colours @ palette.T
    place = apart.argmin(1)
    least = np.take_along_axis(apart, place[:, None], 1)[:, 0] + (colours**2).sum(1)
    return place, np.sqrt(np.maximum(least, 0))


def _is_near(distance: Float) -> bool:
    return bool(np.median(distance) <= _MEDIAN and (distance <= _NEAR).mean() >= _SHARE_NEAR)


def _sample(pixels: npt.NDArray[Any]) -> Float:
    """Colours of some pixels in 0..255, always the same ones of a picture: (N, 3)."""
    flat = np.ma.getdata(pixels).reshape(-1, 3)
    if len(flat) > _SAMPLES:
        flat = flat[np.random.default_rng(0).integers(0, len(flat), _SAMPLES)]
    return _levels(flat).astype(np.float32)


def _levels(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The picture in 0..255; beyond what its type says is white."""
    plain = np.ma.getdata(pixels)
    if plain.dtype == np.uint8:
        return plain
    top = np.iinfo(plain.dtype).max if plain.dtype.kind in "iu" else 1
    return (plain.astype(np.float32) * (255 / top)).clip(0, 255)


def painted(unit: Float, palette: str) -> Float:
    """Paint a gray picture, such as a PET or SPECT scan, in the colours of a palette.

    Args:
        unit: (H, W) in [0, 1].
        palette: one of ``PALETTES``.

    Returns:
        (H, W, 3) in [0, 1].

    Example:
        >>> painted(np.float32([[0, 1]]), "hot").tolist()
        [[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]]
    """
    colours = palette_colours(palette) / 255
    channels = [np.interp(unit * 255, np.arange(256), colours[:, i]) for i in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)
