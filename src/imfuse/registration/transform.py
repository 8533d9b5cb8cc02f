"""Where a pixel of the infrared picture lies in the visible one: a 3x3 matrix, as free as the data allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.errors import RegistrationError

Model = Literal["identity", "shift", "rigid", "similarity", "affine", "homography"]
Points = npt.NDArray[np.float64]
MODELS: tuple[Model, ...] = get_args(Model)
"""Models of a transform, from no freedom to the most."""
LEAST_POINTS: dict[Model, int] = {
    "identity": 0,
    "shift": 1,
    "rigid": 2,
    "similarity": 2,
    "affine": 3,
    "homography": 4,
}
"""How many matched points decide each model."""


@dataclass(frozen=True, eq=False)
class Transform:
    """A map of the plane. Pixels are counted from 0, x to the right and y downwards; whole numbers are their centres.

    Args:
        matrix: (3, 3), float64: takes (x, y, 1) of the moving picture, which is the infrared one, to homogeneous
            coordinates in the fixed one, which is the visible one.
        model: whose freedom it has.

    Raises:
        RegistrationError: the matrix is not one that can be inverted.

    Example:
        >>> moved = Transform(np.array([[1.0, 0, 5], [0, 1, -2], [0, 0, 1]]), "shift")
        >>> moved.apply(np.array([[10.0, 20.0]])).tolist(), moved.inverse().apply(np.array([[15.0, 18.0]])).tolist()
        ([[15.0, 18.0]], [[10.0, 20.0]])
    """

    matrix: npt.NDArray[np.float64]
    model: Model = "homography"

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
            raise RegistrationError("matrix: 3 rows of 3 finite numbers that can be inverted are expected")
        if self.model not in MODELS:
            raise RegistrationError(f"model={self.model!r}: one of {', '.join(MODELS)} is expected")
        scale = matrix[2, 2] if abs(matrix[2, 2]) > 1e-12 else 1.0
        object.__setattr__(self, "matrix", matrix / scale)

    def apply(self, points: Points) -> Points:
        """Places in the fixed picture of points (N, 2) of the moving one; infinite where they have none."""
        ones = np.ones((len(points), 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            mapped = np.concatenate([points, ones], axis=1) @ self.matrix.T
            return np.where(mapped[:, 2:] > 0, mapped[:, :2] / mapped[:, 2:], np.inf)

    def inverse(self) -> Transform:
        """The way back."""
        return Transform(np.asarray(np.linalg.inv(self.matrix), np.float64), self.model)

    def after(self, first: Transform) -> Transform:
        """``first``, then this one; with the freedom of the freer."""
        return Transform(self.matrix @ first.matrix, max(self.model, first.model, key=MODELS.index))

    def scaled(self, moving: tuple[float, float], fixed: tuple[float, float]) -> Transform:
        """The same transform for pictures at other sizes.

        Args:
            moving: factors of the moving picture's width and height.
            fixed: those of the fixed one's.

        Returns:
            The transform between the resized pictures, whose corners fell on those of the originals.
        """
        return Transform(resized(*fixed) @ self.matrix @ np.linalg.inv(resized(*moving)), self.model)

    def moved(self, size: tuple[int, int]) -> float:
        """How far it moves the corners of a moving picture of (height, width): the mean distance in pixels."""
        corners = corners_of(size)
        return float(np.linalg.norm(self.apply(corners) - corners, axis=1).mean())


def identity() -> Transform:
    """The transform that moves nothing."""
    return Transform(np.eye(3), "identity")


def corners_of(size: tuple[int, int]) -> Points:
    """Centres of the four corner pixels of a picture of (height, width), (4, 2).

    >>> corners_of((2, 3)).tolist()
    [[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]
    """
    height, width = size
    right, bottom = width - 1.0, height - 1.0
    return np.array([[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]])


def fit_transform(moving: Points, fixed: Points, model: Model) -> Transform:
    """The transform of a model that brings points of the moving picture closest to those of the fixed one.

    All points count alike; wrong matches are for the caller to leave out.

    Args:
        moving: (N, 2), x and y in pixels.
        fixed: (N, 2), their partners.
        model: the freedom.

    Returns:
        The transform of least squares.

    Raises:
        RegistrationError: the points are too few, or lie so that they do not decide the model.

    Example:
        >>> square = corners_of((3, 3))
        >>> fit_transform(square, square + [4, 1], "shift").matrix[:2, 2].tolist()
        [4.0, 1.0]
    """
    if len(moving) != len(fixed) or len(moving) < LEAST_POINTS[model]:
        raise RegistrationError(
            f"{len(moving)} and {len(fixed)} points: a {model} takes as many of both, at least {LEAST_POINTS[model]}"
        )
    if model == "identity":
        return identity()
    centres = moving.mean(0), fixed.mean(0)
    if model == "shift":
        return Transform(_shift(*(centres[1] - centres[0])), model)
    if model in ("rigid", "similarity"):
        linear = _rotation(moving - centres[0], fixed - centres[1], scaled=model == "similarity")
    elif model == "affine":
        linear = np.linalg.lstsq(moving - centres[0], fixed - centres[1], rcond=None)[0].T
    else:
        found, _ = cv2.findHomography(moving, fixed, 0)
        if found is None:
            raise RegistrationError(f"{len(moving)} points lie so that they decide no {model}")
        return Transform(np.asarray(found, np.float64), model)
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, centres[1] - linear @ centres[0]
    return Transform(matrix, model)


def _rotation(moving: Points, fixed: Points, *, scaled: bool) -> Points:
    """Rotation of centred points, with one scale where wanted (Umeyama, IEEE TPAMI 1991, in the plane)."""
    left, values, right = np.linalg.svd(fixed.T @ moving)
    signs = np.array([1.0, np.sign(np.linalg.det(left @ right)) or 1.0])
    scale = float((values * signs).sum() / max((moving**2).sum(), 1e-300)) if scaled else 1.0
    return np.asarray(scale * (left * signs) @ right)


def _shift(x: float, y: float) -> Points:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def resized(x: float, y: float) -> Points:
    """Pixel centres before and after resizing by factors: edges of pictures stay on edges."""
    return np.array([[x, 0.0, (x - 1) / 2], [0.0, y, (y - 1) / 2], [0.0, 0.0, 1.0]])
