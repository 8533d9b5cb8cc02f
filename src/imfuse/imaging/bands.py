"""Which bands of a picture are meant, where it has more than gray or RGB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.core.text import printable

Bands: TypeAlias = "int | str | Sequence[int] | None"
"""Numbers of bands, the first being 1: one for a gray picture, three for red, green and blue; ``None`` for all."""
_EXPECTED = "one band or three are expected, counted from 1, such as 4 or 1,2,3"
_FOUR = ", or four with infrared as the last"


def parse_bands(bands: Bands, parameter: str = "bands", *, four: bool = False) -> tuple[int, ...] | None:
    """Read the numbers of bands, from text as well.

    Args:
        bands: one number or three, or their text.
        parameter: what errors call them.
        four: whether there may be four as well, the last being infrared.

    Returns:
        The numbers; ``None`` where none are given.

    Raises:
        ImageError: they are no such numbers.

    Example:
        >>> parse_bands("1,2,3"), parse_bands(4), parse_bands(None)
        ((1, 2, 3), (4,), None)
    """
    if bands is None:
        return None
    expected = _EXPECTED + _FOUR if four else _EXPECTED
    parts = [bands] if isinstance(bands, int) else bands.split(",") if isinstance(bands, str) else bands
    try:
        numbers = tuple(int(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise ImageError(f"{parameter}={printable(repr(bands))}: {expected}") from error
    if len(numbers) not in ((1, 3, 4) if four else (1, 3)) or min(numbers) < 1:
        raise ImageError(f"{parameter}={printable(repr(bands))}: {expected}")
    return numbers


def take_bands(pixels: npt.NDArray[Any], bands: tuple[int, ...] | None, name: str, side: str) -> npt.NDArray[Any]:
    """Take bands of a picture.

    Args:
        pixels: (H, W) or (H, W, C).
        bands: those of :func:`parse_bands`; ``None`` for all of a picture that is gray or RGB.
        name: what errors call the picture.
        side: "infrared" or "visible".

    Returns:
        (H, W) or (H, W, 3).

    Raises:
        ImageError: there are no such bands, or the picture is neither gray nor RGB and none were named.

    Example:
        >>> import numpy as np
        >>> take_bands(np.zeros((4, 5, 4)), (4,), "x.png", "infrared").shape
        (4, 5)
    """
    count = pixels.shape[2] if pixels.ndim == 3 else 1
    if bands is None:
        if count in (1, 3):
            return pixels
        raise ImageError(
            f"{printable(name)}: {count} bands found, and nothing says which of them is the {side} picture",
            "say which, as by infrared_bands=4 and visible_bands='1,2,3'",
        )
    if max(bands) > count:
        raise ImageError(f"{printable(name)}: {side} band {max(bands)} is asked for, the picture has {count}")
    if pixels.ndim == 2:
        return pixels
    chosen = pixels[..., [band - 1 for band in bands]]
    return chosen[..., 0] if len(bands) == 1 else chosen
