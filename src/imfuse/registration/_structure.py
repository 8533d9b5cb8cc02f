"""What both cameras see of a scene: where edges are and which way they run, whatever is bright on either side."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.registration.transform import Transform

Picture = npt.NDArray[np.float32]
Structure = npt.NDArray[np.complex64]
Mask = npt.NDArray[np.bool_]
_SMOOTHED, _SURROUNDINGS = 1.0, 12.0
_BORDER = 4


def structure(picture: Picture, inside: Mask | None = None) -> Structure:
    """Edges of a picture as complex numbers: how strong for their surroundings, at twice their angle.

    An edge from dark to bright and one from bright to dark have the same number, since what is warm may be bright or
    dark in the visible picture.

    Args:
        picture: (H, W) luminances.
        inside: where the picture holds data; edges of what it does not are none.

    Returns:
        (H, W); the product of one with the conjugate of another is real and positive where edges run alike.
    """
    smooth = cv2.GaussianBlur(picture, (0, 0), _SMOOTHED)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    strength = np.hypot(x, y)
    if inside is not None:
        kernel = np.ones((2 * _BORDER + 1, 2 * _BORDER + 1), np.uint8)
        strength = strength * cv2.erode(inside.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE)
    around = cv2.GaussianBlur(strength, (0, 0), _SURROUNDINGS)
    # Noise of an even part is not blown up to edges.
    floor = 0.5 * float(strength.mean()) + 1e-6
    weight = np.minimum(strength / (around + floor), 3.0)
    turned = (x + 1j * y) / np.maximum(strength, 1e-9)
    return cast("Structure", (weight * turned**2).astype(np.complex64))


def seen_by_visible(infrared: Picture, transform: Transform, size: tuple[int, int]) -> Structure:
    """Edges of the infrared picture where the visible camera has them, (height, width); 0 where it shows nothing."""
    height, width = size
    matrix = transform.matrix
    warped = cv2.warpPerspective(infrared, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    ones = np.ones(infrared.shape, np.uint8)
    inside = cv2.warpPerspective(ones, matrix, (width, height), flags=cv2.INTER_NEAREST) > 0
    return structure(cast("Picture", warped), inside)


def shrunk(picture: Picture, factor: float) -> Picture:
    """A picture at a fraction of its size, by means over areas; as it is where the factor is 1 or more."""
    if factor >= 1:
        return picture
    height, width = (max(1, round(side * factor)) for side in picture.shape)
    return cast("Picture", cv2.resize(cast(Any, picture), (width, height), interpolation=cv2.INTER_AREA))
