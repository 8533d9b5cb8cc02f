"""Pairs that are not registered, made up and published: what tests of alignment share."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.imaging import luminance, read_image
from imfuse.registration.transform import Transform
from imfuse.scenes import render_scene

Float = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]


class Landmarks(NamedTuple):
    """A pair with matched points, (N, 2) each."""

    moving: Float
    fixed: Float
    points: tuple[Points, Points]

    def error(self, transform: Transform) -> float:
        """Mean distance of the points that are moved from their partners, in pixels."""
        return float(np.linalg.norm(transform.apply(self.points[0]) - self.points[1], axis=1).mean())


def gray(path: Path) -> Float:
    pixels = read_image(path).astype(np.float32) / 255
    return pixels if pixels.ndim == 2 else luminance(pixels)


def published(shared: Path, group: str, name: str) -> Landmarks:
    """A pair of the data of real cameras and scanners."""
    folder = shared / "data" / "unaligned" / group
    points = np.loadtxt(folder / f"{name}_landmarks.csv", delimiter=",", skiprows=1)
    pictures = [gray(folder / f"{name}_{side}.png") for side in ("moving", "fixed")]
    return Landmarks(pictures[0], pictures[1], (points[:, 2:], points[:, :2]))


def scene(seed: int, height: int = 240, width: int = 320) -> tuple[Float, Float]:
    """Infrared and visible luminance of a rendered street, registered."""
    one = render_scene(height, width, seed)
    return one.infrared.astype(np.float32) / 255, luminance(one.visible.astype(np.float32) / 255)


def seen_by(picture: Float, transform: Transform, size: tuple[int, int]) -> Float:
    """What a camera of (height, width) sees whose pixels the transform takes to those of a picture."""
    matrix = transform.inverse().matrix
    seen = cv2.warpPerspective(picture, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(seen, np.float32)


def camera_pair(seed: int, transform: Transform, size: tuple[int, int] = (240, 320)) -> Landmarks:
    """A rendered street, whose infrared camera stands elsewhere."""
    infrared, visible = scene(seed)
    height, width = size
    places = np.stack(np.meshgrid(np.linspace(0, width - 1, 5), np.linspace(0, height - 1, 5)), -1).reshape(-1, 2)
    return Landmarks(seen_by(infrared, transform, size), visible, (places, transform.apply(places)))


def head(transform: Transform) -> Landmarks:
    """Two made-up scans of one head: tissue under a bright skull, and activity that has no skull but a faint skin."""
    rows, columns = np.mgrid[0:192, 0:192].astype(np.float32)

    def ellipse(x: float, y: float, across: float, down: float) -> npt.NDArray[np.bool_]:
        return ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 < 1

    tissue, activity = np.zeros((2, 192, 192), np.float32)
    for place, gray_level, active in [
        (ellipse(96, 96, 66, 80), 0.95, 0.08),
        (ellipse(96, 98, 58, 72), 0.1, 0.08),
        (ellipse(96, 100, 55, 68), 0.5, 0.8),
        (ellipse(96, 88, 36, 30), 0.62, 0.3),
        (ellipse(84, 96, 7, 20), 0.15, 0.05),
        (ellipse(108, 96, 7, 20), 0.15, 0.05),
        (ellipse(122, 128, 16, 12), 0.42, 1.0),
        (ellipse(64, 70, 10, 14), 0.7, 0.6),
    ]:
        tissue[place], activity[place] = gray_level, active
    activity = np.asarray(cv2.GaussianBlur(activity, (0, 0), 2), np.float32)
    moved = cv2.warpAffine(activity, transform.inverse().matrix[:2], (192, 192))
    places = np.stack(np.meshgrid(np.linspace(50, 140, 4), np.linspace(40, 160, 4)), -1).reshape(-1, 2)
    return Landmarks(np.asarray(moved, np.float32), tissue, (places, transform.apply(places)))


def turned(degrees: float, x: float, y: float, size: tuple[int, int] = (192, 192)) -> Transform:
    """A rotation about the middle, and a shift."""
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D(((size[1] - 1) / 2, (size[0] - 1) / 2), degrees, 1)
    matrix[:2, 2] += x, y
    return Transform(matrix, "rigid")


def board_seen(matrix: Points, dark: float, bright: float) -> Float:
    """A board of 10 by 7 squares of 20 pixels under a homography into (240, 320)."""
    board = np.full((180, 240), bright, np.float32)
    y, x = np.mgrid[:140, :200] // 20
    board[20:160, 20:220] = np.where((x + y) % 2, bright, dark)
    seen = cv2.warpPerspective(board, matrix, (320, 240), borderValue=bright, flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.GaussianBlur(seen, (0, 0), 0.7), np.float32)
