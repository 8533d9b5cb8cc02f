"""Pictures at another size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ModelError, PairError
from imfuse.core.notes import note
from imfuse.core.text import printable

Placement = Literal["stretch", "crop", "pad"]
Resize = Literal["same", "stretch", "crop", "pad"]
_WAYS: tuple[Resize, ...] = ("same", "stretch", "crop", "pad")
Pixels = TypeVar("Pixels", bound=np.generic)


def resize(image: npt.NDArray[Pixels], height: int, width: int) -> npt.NDArray[Pixels]:
    """Bring a picture to another size: means over areas where a side shrinks, bilinear where both grow.

    For looking at pictures and for pairs of one view in two sizes. Networks resize features (`imfuse.ops.resize`);
    training crops and the programs of others that `fit` repeats have filters of their own, which decide their numbers.

    Args:
        image: (H, W) or (H, W, C); uint8, uint16 or float32.
        height: rows wanted, at least 1.
        width: columns wanted, at least 1.

    Returns:
        (height, width) or (height, width, C) of the same type; the picture itself where it has that size.

    Example:
        >>> resize(np.float32([[0, 1], [2, 3]]), 1, 2)
        array([[1., 2.]], dtype=float32)
    """
    if image.shape[:2] == (height, width):
        return image
    # Bilinear samples would skip pixels where the picture shrinks.
    shrinks = image.shape[0] > height or image.shape[1] > width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cast("npt.NDArray[Pixels]", cv2.resize(cast(Any, image), (width, height), interpolation=how))


def checked_resize(resize: bool | str) -> bool | Resize:
    """A value of the setting ``resize``, or ``ModelError``."""
    if isinstance(resize, bool):
        return resize
    if resize not in _WAYS:
        raise ModelError(f"resize={resize!r}: True, False or one of {', '.join(_WAYS)} is expected")
    return resize


def same_aspect(first: Sequence[int], second: Sequence[int]) -> bool:
    """Whether two shapes are of one aspect ratio, up to a pixel of the smaller picture.

    >>> same_aspect((480, 640), (600, 800)), same_aspect((33, 44), (100, 133)), same_aspect((120, 160), (360, 640))
    (True, True, False)
    """
    apart = abs(first[1] * second[0] - second[1] * first[0])
    return apart <= max(*first[:2], *second[:2])


def placement(
    resize: bool | Resize, infrared: Sequence[int], visible: Sequence[int], names: tuple[str, str]
) -> Placement:
    """How an infrared picture comes to the size of the visible one.

    Args:
        resize: the setting; with ``True`` another aspect ratio is told, with ``"same"`` it is refused.
        infrared: shape of the one.
        visible: shape of the other.
        names: what messages call them.

    Returns:
        How :func:`place` does it.

    Raises:
        PairError: their aspect ratios differ, and nothing says what to do.
    """
    if same_aspect(infrared, visible):
        return "stretch"
    if resize in ("stretch", "crop", "pad"):
        return resize
    sizes = [
        f"{printable(name)} is {shape[1]}x{shape[0]}" for name, shape in zip(names, (infrared, visible), strict=True)
    ]
    told = f"{sizes[0]} but {sizes[1]} (width x height), which is another aspect ratio"
    advice = "say what to do by resize='stretch', resize='crop' or resize='pad'"
    if resize == "same":
        raise PairError(told, advice)
    note(f"{told}: the infrared picture is stretched", advice)
    return "stretch"


def place(image: npt.NDArray[Pixels], onto: npt.NDArray[Pixels], how: Placement) -> npt.NDArray[Pixels]:
    """Bring a picture to the size of another one, whatever the aspect ratios.

    Args:
        image: (H, W).
        onto: the other picture, (H', W'), of the same type.
        how: ``stretch``, over the whole of it; ``crop``, enlarged until it covers the whole, its middle; ``pad``, as
            large as fits into it, in the middle, and around it the other picture.

    Returns:
        (H', W').

    Example:
        >>> place(np.float32([[1, 2]]), np.zeros((3, 2), np.float32), "pad").tolist()
        [[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
    """
    (rows, columns), (height, width) = image.shape, onto.shape
    if how == "pad":
        scale = min(height / rows, width / columns)
        inner = max(1, round(rows * scale)), max(1, round(columns * scale))
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        placed = onto.copy()
        placed[top : top + inner[0], left : left + inner[1]] = resize(image, *inner)
        return placed
    if how == "crop":
        scale = max(height / rows, width / columns)
        kept = max(1, round(height / scale)), max(1, round(width / scale))
        top, left = (rows - kept[0]) // 2, (columns - kept[1]) // 2
        image = image[top : top + kept[0], left : left + kept[1]]
    return resize(image, height, width)
