"""Pixels that hold no data: masked ones, and in floating pictures NaN and infinity."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.core.text import printable

Mask = npt.NDArray[np.bool_]


def no_data(pixels: npt.NDArray[Any]) -> Mask | None:
    """Find the pixels of a picture that hold no data.

    Args:
        pixels: (H, W) or (H, W, C), or a ``numpy.ma`` masked array of such a shape.

    Returns:
        (H, W), true where any channel is masked, or not finite as float32; ``None`` where every pixel holds data.

    Example:
        >>> no_data(np.array([[20.5, np.nan]]))
        array([[False,  True]])
        >>> no_data(np.array([[20.5, 21.0]])) is None
        True
    """
    missing: Any = np.ma.getmask(pixels)
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            missing = missing | ~np.isfinite(np.ma.getdata(pixels).astype(np.float32, copy=False))
    if not np.any(missing):
        return None
    return cast(Mask, missing.any(axis=2) if pixels.ndim == 3 else np.array(missing))


def fill_no_data(pixels: npt.NDArray[Any], name: str = "image") -> tuple[npt.NDArray[Any], Mask | None]:
    """Give every pixel without data the value of the nearest one that has some.

    So the picture goes on without an edge where its data end, which is what a network should see there.

    Args:
        pixels: (H, W) or (H, W, C), masked or not.
        name: what errors call the picture.

    Returns:
        A plain array of the same shape and type, the picture itself where nothing is missing; and what :func:`no_data`
        returns.

    Raises:
        ImageError: no pixel holds data.

    Example:
        >>> fill_no_data(np.array([[20.5, np.nan, np.inf]]))[0]
        array([[20.5, 20.5, 20.5]])
    """
    missing, plain = no_data(pixels), np.ma.getdata(pixels)
    if missing is None:
        return plain, None
    if missing.all():
        raise ImageError(f"{printable(name)}: no pixel holds data: all are masked, NaN or infinite")
    _, label = cv2.distanceTransformWithLabels(
        missing.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Every pixel with data has a label of its own, which its surroundings bear as well.
    rows, columns = np.nonzero(~missing)
    source = np.zeros((label.max() + 1, 2), np.intp)
    source[label[rows, columns]] = np.stack([rows, columns], axis=1)
    nearest = source[label]
    return plain[nearest[..., 0], nearest[..., 1]], missing
