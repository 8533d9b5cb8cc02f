"""Boxes around the people, cars and bikes of a rendered scene: one for each object, tight around what is seen of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from imfuse.core.boxes import Boxes
from imfuse.scenes.canvas import Canvas
from imfuse.scenes.classes import CLASSES, DETECTED

MIN_PIXELS = 12
MIN_SHARE = 0.15
"""An object has a box if it shows so many pixels, and so much of what it showed before others were painted over it."""


def outlines(canvas: Canvas) -> dict[tuple[int, int], int]:
    """Pixels that the object painted last shows, by its number and class; nothing has been painted over it yet."""
    counts = np.bincount(canvas.labels[canvas.objects == canvas.painting], minlength=len(CLASSES))
    return {(canvas.painting, CLASSES.index(name)): int(counts[CLASSES.index(name)]) for name in DETECTED}


def visible_boxes(canvas: Canvas, whole: Mapping[tuple[int, int], int]) -> tuple[Boxes, NDArray[np.uint16]]:
    """Boxes of a finished canvas, from far to near, and for each pixel 1 + the index of the box whose object it shows.

    ``whole`` has the pixels of all outlines. A cyclist is two objects, a person and a bike, which one call has painted:
    class and number together tell them apart.
    """
    shown = np.zeros_like(canvas.objects)
    corners, classes = list[tuple[int, int, int, int]](), list[int]()
    for (number, label), complete in whole.items():
        if complete < MIN_PIXELS:
            continue
        rows, columns = np.nonzero((canvas.objects == number) & (canvas.labels == label))
        if len(rows) < max(MIN_PIXELS, MIN_SHARE * complete):
            continue
        corners.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        classes.append(DETECTED.index(CLASSES[label]))
        shown[rows, columns] = len(classes)
    return Boxes.of(corners, classes), shown
