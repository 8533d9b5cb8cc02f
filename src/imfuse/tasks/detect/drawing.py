"""Boxes drawn into a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from imfuse.core.boxes import Boxes

DRAWN = 0.3
"""Boxes of smaller scores are in the files, but would hide the picture."""
_GOLDEN = 0.618034


def draw_boxes(
    picture: npt.NDArray[Any], boxes: Boxes, names: Sequence[str], smallest: float = DRAWN
) -> npt.NDArray[np.uint8]:
    """Draw boxes with the names of their classes and their scores.

    Args:
        picture: (H, W) or (H, W, 3), uint8.
        boxes: of the picture.
        names: of the classes, by number.
        smallest: the smallest score of a box that is drawn.

    Returns:
        (H, W, 3) uint8; each class has a colour of its own.

    Example:
        >>> drawn = draw_boxes(np.zeros((40, 60), np.uint8), Boxes.of([[10, 20, 50, 38]], [0]), ["person"])
        >>> drawn.shape, bool(drawn[30, 10].any()), bool(drawn[30, 30].any())
        ((40, 60, 3), True, False)
    """
    colours = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    image = Image.fromarray(np.ascontiguousarray(colours))
    draw = ImageDraw.Draw(image)
    side = min(picture.shape[:2])
    width, font = max(1, round(side / 400)), ImageFont.load_default(max(8, round(side / 50)))
    shown = boxes.where(boxes.scores >= smallest)
    # The surest last, on top.
    for i in np.argsort(shown.scores, kind="stable"):
        left, top, right, bottom = (float(value) for value in shown.corners[i])
        colour = class_colour(int(shown.classes[i]))
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=width)
        score = "" if shown.scores[i] == 1 else f" {shown.scores[i]:.2f}"
        text = names[shown.classes[i]] + score
        tall = draw.textbbox((0, 0), text, font=font)[3] + 1
        place = (left + width, top - tall if top >= tall else top + width)
        draw.rectangle(draw.textbbox(place, text, font=font), fill=colour)
        draw.text(place, text, fill=(0, 0, 0), font=font)
    return np.asarray(image)


def class_colour(number: int) -> tuple[int, int, int]:
    """A bright colour for a class; those of neighbouring numbers are far apart.

    Args:
        number: of the class.

    Returns:
        Red, green and blue, 0 to 255.

    Example:
        >>> class_colour(0), class_colour(1)
        ((255, 77, 77), (77, 129, 255))
    """
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.7, 1)
    return round(255 * red), round(255 * green), round(255 * blue)
