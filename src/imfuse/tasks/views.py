"""Random views of training pictures, their labels and boxes: which, and of what part, is a matter of seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imfuse.core.boxes import Boxes
from imfuse.tasks.examples import UNKNOWN, Example

_LEAST_PART, _LEAST_SIDE = 0.25, 2.0


@dataclass(frozen=True)
class View:
    """A part of a picture, enlarged or reduced, and mirrored or not: (x, y) of it is (left + x / scale, ...) there.

    Args:
        size: height and width of the result.
        scale: pixels of the result for one of the picture.
        left: of the part in the picture; below 0 where the picture is narrower than the part.
        top: the same.
        mirrored: left and right change places.

    Example:
        >>> view = View.draw(np.random.default_rng(0), (48, 64), (32, 32), (1.0, 1.0), mirror=True)
        >>> view.apply(Example("01", np.zeros((48, 64, 3), np.uint8)), (0, 0, 0)).image.shape
        (32, 32, 3)
    """

    size: tuple[int, int]
    scale: float
    left: int
    top: int
    mirrored: bool

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        shape: tuple[int, ...],
        size: tuple[int, int],
        scales: tuple[float, float],
        mirror: bool,
    ) -> View:
        """Draw a view; as many random numbers are taken whatever the picture is.

        Args:
            rng: that decides.
            shape: height and width of the picture.
            size: height and width of the result.
            scales: least and largest.
            mirror: whether one of two is mirrored.

        Returns:
            A view of a part of the picture, or, of a smaller picture, of all of it with a border around.
        """
        at = rng.random(4)
        scale = scales[0] + (scales[1] - scales[0]) * float(at[0])
        top, left = (round(float(at[i + 2]) * (shape[i] - size[i] / scale)) for i in (0, 1))
        return cls(size, scale, left, top, mirror and bool(at[1] < 0.5))

    def apply(self, example: Example, border: Sequence[float]) -> Example:
        """Take the view of an example.

        Args:
            example: the whole picture.
            border: level of each channel, in 0 to 255, where the picture ends; labels are unknown there.

        Returns:
            What is seen. Objects of which less than a quarter is left, or less than 2 pixels, are left out.
        """
        image = self._warped(example.image, cv2.INTER_LINEAR, border)
        labels = None if example.labels is None else self._warped(example.labels, cv2.INTER_NEAREST, (UNKNOWN,))
        boxes = None if example.boxes is None else self._moved(example.boxes)
        return Example(example.name, image.reshape(*self.size, example.channels), labels, boxes)

    def _warped(self, pixels: NDArray[np.uint8], method: int, border: Sequence[float]) -> NDArray[np.uint8]:
        # OpenCV counts from the centres of pixels, views from the corner of the picture.
        step, width = 1 / self.scale, self.size[1]
        half = step / 2 - 0.5
        across = (-step, self.left + width * step - step / 2 - 0.5) if self.mirrored else (step, self.left + half)
        matrix = np.array([[across[0], 0, across[1]], [0, step, self.top + half]])
        seen = cv2.warpAffine(
            pixels,
            matrix,
            (width, self.size[0]),
            flags=method | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=tuple(border),
        )
        return np.asarray(seen, np.uint8)

    def _moved(self, boxes: Boxes) -> Boxes:
        height, width = self.size
        corners = (boxes.corners - np.array([self.left, self.top] * 2)) * self.scale
        if self.mirrored:
            corners = np.stack([width - corners[:, 2], corners[:, 1], width - corners[:, 0], corners[:, 3]], axis=1)
        whole = Boxes(corners, boxes.classes, boxes.scores)
        seen = Boxes(np.clip(corners, 0, [width, height] * 2), boxes.classes, boxes.scores)
        sides = seen.corners[:, 2:] - seen.corners[:, :2]
        return seen.where((seen.areas >= _LEAST_PART * whole.areas) & (sides >= _LEAST_SIDE).all(1))


@dataclass(frozen=True)
class Views:
    """Which examples are seen in which step, and what parts of them: by seed and step, whatever the pictures show.

    Args:
        count: of the examples.
        batch: examples in a step.
        size: height and width of the views.
        scales: least and largest.
        mirror: whether one of two is mirrored.
        seed: of all that is drawn.
        shuffled: each round has an order of its own; else that of the examples.

    Example:
        >>> Views(5, 2, (8, 8), (1.0, 1.0), False, seed=0).chosen(0)
        [2, 4]
    """

    count: int
    batch: int
    size: tuple[int, int]
    scales: tuple[float, float]
    mirror: bool
    seed: int
    shuffled: bool = True

    def chosen(self, step: int) -> list[int]:
        """Places of the examples of a step: each example once in as many as there are, in an order of its own."""
        places = range(step * self.batch, (step + 1) * self.batch)
        return [int(self._order(place // self.count)[place % self.count]) for place in places]

    def take(self, step: int, examples: Sequence[Example], border: Sequence[float]) -> list[Example]:
        """The views of a step."""
        taken = []
        for slot, place in enumerate(self.chosen(step)):
            rng = np.random.default_rng((self.seed, 1, step, slot))
            example = examples[place]
            taken.append(
                View.draw(rng, example.image.shape, self.size, self.scales, self.mirror).apply(example, border)
            )
        return taken

    def _order(self, round_: int) -> NDArray[np.int64]:
        if not self.shuffled:
            return np.arange(self.count)
        return np.random.default_rng((self.seed, 0, round_)).permutation(self.count)
