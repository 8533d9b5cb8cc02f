"""From a picture to the input of a detector, and from what comes out to boxes in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.boxes import Boxes
from imfuse.core.errors import ModelError
from imfuse.imaging import quantise
from imfuse.metrics.detection import box_iou
from imfuse.tasks.detect.layouts import Float, Layout, Size

MOST_BOXES = 300
"""Boxes of one picture that are kept; evaluations look at 100 of each class."""
_MOST_CANDIDATES = 3000


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in the input of a detector: its size there and the margin on the left and above.

    ``size`` is that of the picture, (height, width), as is ``placed``; ``margin`` is (left, top).
    """

    size: Size
    placed: Size
    margin: tuple[int, int]

    def into_input(self, corners: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Corners in the picture (N, 4) as corners in the input."""
        moved: npt.NDArray[np.float64] = np.asarray(corners, np.float64) * self._scale + self._shift
        return moved

    def into_picture(self, corners: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Corners in the input (N, 4) as corners in the picture."""
        moved: npt.NDArray[np.float64] = (np.asarray(corners, np.float64) - self._shift) / self._scale
        return moved

    @property
    def _scale(self) -> npt.NDArray[np.float64]:
        return np.tile(np.array(self.placed[::-1]) / np.array(self.size[::-1]), 2)

    @property
    def _shift(self) -> npt.NDArray[np.float64]:
        return np.tile(np.array(self.margin, np.float64), 2)


def place(size: Size, room: Size, layout: Layout) -> Placement:
    """Where a picture of a size lies in an input of another, both (height, width)."""
    if not layout.letterbox:
        return Placement(size, room, (0, 0))
    scale = min(room[0] / size[0], room[1] / size[1])
    height, width = (min(most, max(1, round(side * scale))) for side, most in zip(size, room, strict=True))
    margin = ((room[1] - width) // 2, (room[0] - height) // 2) if layout.centred else (0, 0)
    return Placement(size, (height, width), margin)


def as_input(picture: npt.NDArray[Any], room: Size, layout: Layout) -> tuple[Float, Placement]:
    """The input (1, 3, height, width) for a picture, uint8 or in [0, 1], and where it lies there."""
    # Detectors are trained on pictures of 8 bits, resized as such.
    levels = picture if picture.dtype == np.uint8 else quantise(picture, 8)
    colours = np.repeat(levels[..., None], 3, axis=2) if levels.ndim == 2 else levels
    ordered = colours if layout.channels == "RGB" else colours[..., ::-1]
    placement = place((picture.shape[0], picture.shape[1]), room, layout)
    height, width = placement.placed
    left, top = placement.margin
    mean, deviation = np.array(layout.mean, np.float32), np.array(layout.deviation, np.float32)
    canvas = np.full((*room, 3), mean if layout.fill is None else layout.fill, np.float32)
    resized = cv2.resize(np.ascontiguousarray(ordered), (width, height), interpolation=cv2.INTER_LINEAR)
    canvas[top : top + height, left : left + width] = resized
    scaled = (canvas - mean) / deviation
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))[None], placement


def checked_threshold(threshold: float) -> float:
    """The smallest score of a box. Raises ``ModelError`` where it is none."""
    if not 0 < threshold < 1:
        raise ModelError(f"threshold={threshold!r}: a score between 0 and 1 is expected")
    return float(threshold)


def as_boxes(corners: Float, scores: Float, placement: Placement, threshold: float, nms: float | None) -> Boxes:
    """The objects of a picture: every place and class whose score reaches the threshold, the surest first."""
    places, classes = np.nonzero(scores >= threshold)
    found = Boxes.of(placement.into_picture(corners[places]), classes, scores[places, classes])
    found = found.where(np.argsort(-found.scores, kind="stable")[:_MOST_CANDIDATES])
    height, width = placement.size
    clipped = Boxes(np.clip(found.corners, 0, (width, height, width, height)), found.classes, found.scores)
    seen = clipped.where(clipped.areas > 0)
    kept = seen if nms is None else seen.where(suppressed(seen, nms))
    return kept.where(np.arange(min(len(kept), MOST_BOXES)))


def suppressed(boxes: Boxes, overlap: float) -> npt.NDArray[np.int64]:
    """Which boxes are left, the surest first, where none overlaps a surer one of its class by more than ``overlap``.

    >>> boxes = Boxes.of([[0, 0, 9, 9], [0, 0, 10, 10], [0, 0, 10, 10]], [0, 0, 1], [0.5, 0.9, 0.3])
    >>> suppressed(boxes, 0.6).tolist()
    [1, 2]
    """
    left = np.argsort(-boxes.scores, kind="stable")
    kept = []
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(int(first))
        overlaps = box_iou(boxes.corners[first], boxes.corners[rest])[0]
        left = rest[(overlaps <= overlap) | (boxes.classes[rest] != boxes.classes[first])]
    return np.array(kept, np.int64)
