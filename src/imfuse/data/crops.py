"""Crops of training pairs, drawn from a random generator and applied alike to both images and the labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Box = tuple[int, int, int, int]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Part:
    """A part of an image.

    Args:
        box: top, left, height and width, in pixels.
        size: side of the square that it is resized to.
        mirror_x: whether it is mirrored left-right.
        mirror_y: whether it is mirrored top-bottom.
        quarter_turns: by how many times 90 degrees it is turned.
    """

    box: Box
    size: int
    mirror_x: bool = False
    mirror_y: bool = False
    quarter_turns: int = 0

    def apply(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cut (size, size) out of an (H, W) image; bilinear where the box has another size."""
        return self._arrange(self._cut(image, Image.Resampling.BILINEAR))

    def apply_map(self, image: NDArray[Number]) -> NDArray[Number]:
        """The same for class numbers and masks, whose values are never mixed."""
        return self._arrange(self._cut(image, Image.Resampling.NEAREST))

    def _cut(self, image: NDArray[Number], resampling: Image.Resampling) -> NDArray[Number]:
        top, left, height, width = self.box
        cut = image[top : top + height, left : left + width]
        if (height, width) == (self.size, self.size):
            return cut
        # Pillow's filters, not those of imfuse.imaging.resize: the weights that ship have learnt from such crops.
        return np.asarray(Image.fromarray(cut).resize((self.size, self.size), resampling))

    def _arrange(self, cut: NDArray[Number]) -> NDArray[Number]:
        cut = cut[:, ::-1] if self.mirror_x else cut
        cut = cut[::-1] if self.mirror_y else cut
        return np.rot90(cut, self.quarter_turns)


@dataclass(frozen=True)
class CropPlan:
    """How parts of images are drawn.

    Args:
        kind: ``random`` and ``center``: a square of ``size`` pixels; ``random_resized``: 8 to 100 % of the area at a
            ratio of 3/4 to 4/3, resized, as for classifiers; ``whole``: the whole image, resized whatever its ratio.
        size: side of what is drawn, in pixels.
        flips: mirror left-right and top-bottom at random.
        rotations: turn by multiples of 90 degrees at random.
        zoom: of ``random``: every other part is up to this many times smaller, and enlarged.

    Example:
        >>> part = CropPlan("center", size=16).draw(np.random.default_rng(0), (20, 30))
        >>> part.box, part.apply(np.zeros((20, 30), np.float32)).shape
        ((2, 7, 16, 16), (16, 16))
    """

    kind: Literal["random", "center", "random_resized", "whole"] = "random"
    size: int = 128
    flips: bool = False
    rotations: bool = False
    zoom: float = 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Part:
        """Draw a part of an image.

        Args:
            rng: that decides.
            shape: height and width of the image, each at least ``size``.

        Returns:
            The part, which is applied to all images of a pair.
        """
        height, width = shape[:2]
        if self.kind == "random_resized":
            box = _resized_box(rng, height, width)
        elif self.kind == "whole":
            box = (0, 0, height, width)
        elif self.kind == "center":
            box = (round((height - self.size) / 2), round((width - self.size) / 2), self.size, self.size)
        else:
            zoomed = self.zoom > 1 and rng.random() < 0.5
            side = round(self.size / rng.uniform(1, self.zoom)) if zoomed else self.size
            top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
            box = (int(top), int(left), side, side)
        mirror_x, mirror_y = (bool(bit) for bit in rng.integers(2, size=2)) if self.flips else (False, False)
        turns = int(rng.integers(4)) if self.rotations else 0
        return Part(box, self.size, mirror_x, mirror_y, turns)


def _resized_box(rng: np.random.Generator, height: int, width: int) -> Box:
    for _ in range(10):
        area = height * width * rng.uniform(0.08, 1.0)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        h, w = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < h <= height and 0 < w <= width:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    # No such box fits a very long image: take the largest central one whose ratio is allowed.
    h, w = min(height, round(width / (3 / 4))), min(width, round(height * (4 / 3)))
    return (height - h) // 2, (width - w) // 2, h, w
