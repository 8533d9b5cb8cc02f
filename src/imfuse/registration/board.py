"""A chequered board that both cameras see: distortion of each lens, and the transform between them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.errors import RegistrationError
from imfuse.registration._structure import Picture
from imfuse.registration.lens import Camera
from imfuse.registration.points import transform_of_points
from imfuse.registration.transform import Model, Points, Transform

LEAST_VIEWS = 8
"""Views of the board from which the lenses are measured: fewer do not tell distortion from a tilt of the board."""
_SEARCH = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY
Corners = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FromBoard:
    """What a board tells of two cameras.

    Args:
        transform: from infrared to visible, between pictures without distortion.
        residual: root mean square of the distances of corners, in pixels of the visible picture.
        infrared: the infrared camera, with its lens where there were views enough.
        visible: the visible one.
        dropped: views that were left out, by their place, each with the reason.

    Example:
        ```python
        found = transform_of_board(infrared, visible, board_of("9x6"))
        ```
    """

    transform: Transform
    residual: float
    infrared: Camera
    visible: Camera
    dropped: dict[int, str]


def board_of(text: str) -> tuple[int, int]:
    """Inner corners of a board, across and down.

    Args:
        text: such as "9x6".

    Raises:
        RegistrationError: it is no such text, or the board has less than 3 or more than 50 corners on a side.

    Example:
        >>> board_of("9x6")
        (9, 6)
    """
    found = re.fullmatch(r"(\d{1,2})x(\d{1,2})", text)
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(3 <= side <= 50 for side in sides):
        raise RegistrationError(
            f"board={text!r}: the numbers of inner corners are expected, such as 9x6 for 10 by 7 squares"
        )
    return sides


def transform_of_board(
    infrared: Sequence[Picture], visible: Sequence[Picture], board: tuple[int, int], model: Model | None = None
) -> FromBoard:
    """Measure two cameras by a board that both see, heated or cut out so that the infrared one does.

    Dark squares may be bright in the infrared. From 8 views on the distortion of each lens is measured (OpenCV's
    calibration).

    Args:
        infrared: luminances in [0, 1] of views of the board, of one size.
        visible: those of the other camera at the same times, of one size.
        board: inner corners, across and down.
        model: freedom of the transform; left out: the least that serves.

    Returns:
        Cameras and transform.

    Raises:
        RegistrationError: no view shows the board in both.

    Example:
        ```python
        found = transform_of_board(infrared, visible, (9, 6))
        print(found.residual)
        ```
    """
    dropped: dict[int, str] = {}
    views: list[tuple[Corners, Corners]] = []
    for index, (ir, vi) in enumerate(zip(infrared, visible, strict=True)):
        first, second = _corners(ir, board), _corners(vi, board)
        if first is None or second is None:
            sides = [side for side, found in (("infrared", first), ("visible", second)) if found is None]
            dropped[index] = f"no board of {board[0]}x{board[1]} inner corners in the {' and '.join(sides)} picture"
        else:
            views.append((first, _same_way(second, first)))
    if not views:
        raise RegistrationError(
            f"no frame shows a board of {board[0]}x{board[1]} inner corners in both pictures",
            "count the inner corners, across and down: board='9x6'",
        )
    cameras = [
        _camera([view[side] for view in views], frames[0].shape, board)
        for side, frames in ((0, infrared), (1, visible))
    ]
    straight = [
        np.concatenate([cameras[side].straightened(view[side].astype(np.float64)) for view in views]) for side in (0, 1)
    ]
    transform, residual = transform_of_points(straight[0], straight[1], model or _freedom(straight))
    return FromBoard(transform, residual, cameras[0], cameras[1], dropped)


def _freedom(straight: Sequence[Points]) -> Model:
    """A model by a part of the corners: neighbours on a board tell nothing new."""
    step = max(1, len(straight[0]) // 120)
    return transform_of_points(straight[0][::step], straight[1][::step])[0].model


def _corners(picture: Picture, board: tuple[int, int]) -> Corners | None:
    """(N, 2) inner corners; light and dark squares may be swapped."""
    levels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    for pixels in (levels, 255 - levels):
        found, corners = cv2.findChessboardCornersSB(pixels, board, flags=_SEARCH)
        if found:
            return np.asarray(corners, np.float32).reshape(-1, 2)
    return None


def _same_way(corners: Corners, other: Corners) -> Corners:
    """The order of corners that runs as that of the other camera does: a board looks the same from its other end."""
    along, others = corners[-1] - corners[0], other[-1] - other[0]
    return corners if float(along @ others) >= 0 else corners[::-1].copy()


def _camera(views: Sequence[Corners], shape: Sequence[int], board: tuple[int, int]) -> Camera:
    """A camera with its lens, where enough views show the board."""
    height, width = shape[0], shape[1]
    if len(views) < LEAST_VIEWS:
        return Camera(width=width, height=height)
    flat = np.zeros((board[0] * board[1], 3), np.float32)
    flat[:, :2] = np.mgrid[: board[0], : board[1]].T.reshape(-1, 2)
    # The third radial term is decided by the far corners alone, which boards hardly reach.
    _, matrix, distortion, *_ = _calibrated([flat] * len(views), [view[:, None] for view in views], (width, height))
    rows = tuple(tuple(float(value) for value in row) for row in matrix)
    return Camera.model_validate(
        {"width": width, "height": height, "matrix": rows, "distortion": tuple(map(float, distortion.ravel()))}
    )


def _calibrated(objects: Any, corners: Any, size: tuple[int, int]) -> Any:
    return cv2.calibrateCamera(objects, corners, size, np.eye(3), np.zeros(5), flags=cv2.CALIB_FIX_K3)
