"""A picture seen from the other camera: resampled once, at the end of the chain."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.registration.transform import Transform

Mask = npt.NDArray[np.bool_]


def warp(
    picture: npt.NDArray[np.float32], transform: Transform, size: tuple[int, int]
) -> tuple[npt.NDArray[np.float32], Mask]:
    """Resample the moving picture on the pixels of the fixed one.

    Lanczos' kernel of 8x8 pixels where the picture is not made smaller; else the picture is first shrunk by means over
    areas, since a kernel of constant size would skip pixels. Values stay within those of the picture.

    Args:
        picture: (H, W) or (H, W, C), float32.
        transform: from the moving picture to the fixed one.
        size: height and width of the fixed picture.

    Returns:
        The picture, zero where the moving one does not reach, and a mask (height, width) of where it does.

    Example:
        >>> moved = Transform(np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 1]]), "shift")
        >>> picture, inside = warp(np.float32([[1, 2, 3]]), moved, (1, 3))
        >>> picture.tolist(), inside.tolist()
        ([[0.0, 1.0, 2.0]], [[False, True, True]])
    """
    height, width = size
    low, high = float(picture.min()), float(picture.max())
    source, shrunk = picture, transform
    if (factor := _scale(transform, size, picture.shape)) < 0.75:
        rows, columns = (max(1, round(side * factor)) for side in picture.shape[:2])
        source = cast(
            "npt.NDArray[np.float32]", cv2.resize(cast(Any, picture), (columns, rows), interpolation=cv2.INTER_AREA)
        )
        shrunk = transform.scaled((columns / picture.shape[1], rows / picture.shape[0]), (1, 1))
    warped = cv2.warpPerspective(
        source, shrunk.matrix, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
    )
    inside = covered(transform, (picture.shape[0], picture.shape[1]), size)
    warped = np.clip(warped, low, high)
    warped[~inside] = 0
    return warped.astype(np.float32), inside


def covered(transform: Transform, moving: tuple[int, int], fixed: tuple[int, int]) -> Mask:
    """Which pixels of a fixed picture of (height, width) the moving one reaches: those between its pixel centres."""
    height, width = fixed
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2).astype(np.float64)
    x, y = transform.inverse().apply(grid).T
    # Half a pixel of rounding in the inverse must not empty the border of an identity.
    edge = 1e-6
    inside = (x >= -edge) & (y >= -edge) & (x <= moving[1] - 1 + edge) & (y <= moving[0] - 1 + edge)
    return np.asarray(inside.reshape(height, width))


def _scale(transform: Transform, fixed: tuple[int, int], moving: tuple[int, ...]) -> float:
    """How many pixels of the fixed picture a pixel in the middle of the moving one spans, on a side."""
    middle = np.array([[(moving[1] - 1) / 2, (moving[0] - 1) / 2]])
    steps = transform.apply(middle + np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [-0.5, 0.0], [0.0, -0.5]]))
    across, down = steps[1] - steps[3], steps[2] - steps[4]
    area = abs(float(across[0] * down[1] - across[1] * down[0]))
    return area**0.5 if np.isfinite(area) and area > 0 else 1.0
