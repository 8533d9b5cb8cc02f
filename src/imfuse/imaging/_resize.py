"""Pictures at another size."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

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
