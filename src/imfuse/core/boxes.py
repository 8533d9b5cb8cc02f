"""Boxes around objects of one image: what a detector returns, what a label file holds, what a rendered scene knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Boxes:
    """Objects of one image, in no particular order; made by :meth:`of`.

    Args:
        corners: (N, 4): left, top, right, bottom in pixels, from the image's top left corner (0, 0) to (width, height).
        classes: (N,): class numbers from 0.
        scores: (N,): confidence from 0 to 1; 1 for known objects, as those of labels are.

    Example:
        >>> boxes = Boxes.of([[10, 20, 40, 90], [0, 0, 8, 8]], [0, 2])
        >>> len(boxes), boxes.areas.tolist(), boxes.scores.tolist()
        (2, [2100.0, 64.0], [1.0, 1.0])
        >>> boxes.where(boxes.classes == 2).corners.tolist()
        [[0.0, 0.0, 8.0, 8.0]]
    """

    corners: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]

    @classmethod
    def of(cls, corners: npt.ArrayLike, classes: npt.ArrayLike, scores: npt.ArrayLike | None = None) -> Boxes:
        """Boxes of anything like arrays.

        Args:
            corners: (N, 4); an empty list for none.
            classes: (N,).
            scores: (N,), or ``None`` for known objects.

        Returns:
            The same as arrays.

        Raises:
            ValueError: the numbers of boxes, classes and scores differ.
        """
        places = np.asarray(corners, np.float64).reshape(-1, 4)
        kinds = np.asarray(classes, np.int64).reshape(-1)
        sure = np.ones(len(kinds)) if scores is None else np.asarray(scores, np.float64).reshape(-1)
        if not len(places) == len(kinds) == len(sure):
            raise ValueError(f"{len(places)} boxes, {len(kinds)} classes and {len(sure)} scores")
        return cls(places, kinds, sure)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def areas(self) -> npt.NDArray[np.float64]:
        """(N,): square pixels."""
        left, top, right, bottom = self.corners.T
        areas: npt.NDArray[np.float64] = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
        return areas

    def where(self, kept: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Boxes:
        """Those that a mask or an array of indices picks.

        Args:
            kept: (N,) booleans, or indices in the order that is wanted.

        Returns:
            The boxes with their classes and scores.
        """
        return Boxes(self.corners[kept], self.classes[kept], self.scores[kept])
