"""A camera's picture, its lens, and the plane without distortion in which transforms hold."""

from __future__ import annotations

from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from typing_extensions import Self

from imfuse.registration.transform import Points

MOST_SIDE = 32_000
"""Pixels of a side at most: OpenCV resamples nothing larger."""
_Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Row = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Matrix = tuple[Row, Row, Row]
_COUNTS = (4, 5, 8, 12, 14)


class Camera(BaseModel):
    """One of the two cameras of a rig.

    Args:
        width: of its pictures, in pixels.
        height: of its pictures.
        matrix: focal lengths and centre as OpenCV writes them, where its lens was measured.
        distortion: OpenCV's coefficients, 4, 5, 8, 12 or 14 of them; none for a lens without distortion.

    Example:
        >>> Camera(width=640, height=512).size
        (512, 640)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    width: _Side
    height: _Side
    matrix: Matrix | None = None
    distortion: tuple[Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)], ...] = ()

    @model_validator(mode="after")
    def _has_a_lens(self) -> Self:
        if self.distortion and self.matrix is None:
            raise ValueError("distortion: the matrix of the camera is missing")
        if self.distortion and len(self.distortion) not in _COUNTS:
            raise ValueError(f"distortion: {len(self.distortion)} numbers found, one of {_COUNTS} is expected")
        if self.matrix is not None and not (self.matrix[0][0] > 0 and self.matrix[1][1] > 0 and self.matrix[2][2] == 1):
            raise ValueError("matrix: positive focal lengths and 1 in the last place are expected")
        return self

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    def straightened(self, points: Points) -> Points:
        """Points (N, 2) of a picture where a lens without distortion would show them."""
        if not self.distortion:
            return points
        matrix = np.array(self.matrix)
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 15, 1e-8)
        found = _undistort(points[:, None], matrix, np.array(self.distortion), criteria)
        return np.asarray(found, np.float64).reshape(-1, 2)

    def bent(self, points: Points) -> Points:
        """The way back: where the lens shows points; infinite for those that lie far outside of the picture.

        Polynomials of a lens are right in its picture, and fold far points back into it.
        """
        if not self.distortion:
            return points
        matrix = np.array(self.matrix)
        near = (np.abs(points / np.array([self.width, self.height]) - 0.5) < 1.0).all(axis=1)
        rays = np.where(near[:, None], points, 0.0)
        rays = np.concatenate([rays, np.ones((len(rays), 1))], axis=1) @ np.linalg.inv(matrix).T
        seen, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, np.array(self.distortion))
        return np.where(near[:, None], np.asarray(seen, np.float64).reshape(-1, 2), np.inf)


def _undistort(points: Any, matrix: Any, distortion: Any, criteria: Any) -> Any:
    # With criteria the function has another name before OpenCV 5.
    if hasattr(cv2, "undistortPointsIter"):
        return cv2.undistortPointsIter(points, matrix, distortion, np.eye(3), matrix, criteria)
    return cv2.undistortPoints(points, matrix, distortion, R=np.eye(3), P=matrix, criteria=criteria)
