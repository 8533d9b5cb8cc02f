"""What task networks are trained on: pictures with labels or boxes, normalised, in batches, and split by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imfuse.core.boxes import Boxes

UNKNOWN = 255
"""Class number of pixels that no loss and no score counts."""
T = TypeVar("T")


@dataclass(frozen=True)
class Example:
    """A picture and what is known of it.

    Args:
        name: by which messages call it.
        image: (H, W, channels) uint8: gray; R, G, B; or R, G, B, infrared.
        labels: class number of every pixel, (H, W) uint8, 255 where unknown; ``None`` where there are none.
        boxes: its objects; ``None`` where they are not known.

    Example:
        >>> Example("01", np.zeros((4, 6, 3), np.uint8), boxes=Boxes.of([], [])).channels
        3
    """

    name: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None = None
    boxes: Boxes | None = None

    @property
    def channels(self) -> int:
        """How many numbers a pixel has."""
        return int(self.image.shape[2])


@dataclass(frozen=True)
class Normalisation:
    """What is taken off pixels in [0, 1], and what the rest is divided by, for each channel.

    Args:
        mean: of each channel.
        deviation: of each channel, positive.

    Example:
        >>> Normalisation.of([Example("01", np.full((2, 2, 1), 51, np.uint8))])
        Normalisation(mean=(0.2,), deviation=(0.01,))
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Normalisation:
        """That of a training set: means over pictures of each one's mean and deviation, as segmenters use them.

        Args:
            examples: the pictures to train on, no others.

        Returns:
            Deviations are at least 0.01, so that an even channel is not blown up.
        """
        means, deviations = [], []
        for example in examples:
            pixels = example.image.reshape(-1, example.channels) / 255
            means.append(pixels.mean(0))
            deviations.append(pixels.std(0))
        least = np.maximum(np.mean(deviations, axis=0), 0.01)
        return cls(tuple(np.mean(means, axis=0).round(6).tolist()), tuple(least.round(6).tolist()))

    def apply(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Pictures (H, W, channels) of one size as (N, channels, H, W) float32."""
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous().float() / 255
        mean, deviation = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.deviation))
        return (batch - mean) / deviation


@dataclass(frozen=True)
class Batch:
    """Examples side by side; labels or boxes are there if all of them have them."""

    images: Tensor
    labels: Tensor | None
    boxes: list[Boxes] | None


def collate(examples: Sequence[Example], normalisation: Normalisation) -> Batch:
    """Examples of one size as a batch: images (N, channels, H, W), labels (N, H, W) int64, boxes one by one."""
    labels = [example.labels for example in examples if example.labels is not None]
    boxes = [example.boxes for example in examples if example.boxes is not None]
    return Batch(
        normalisation.apply([example.image for example in examples]),
        torch.from_numpy(np.stack(labels)).long() if len(labels) == len(examples) else None,
        boxes if len(boxes) == len(examples) else None,
    )


def split_by_seed(items: Sequence[T], seed: int, *shares: float) -> tuple[list[T], ...]:
    """Divide items at random, the same way whenever number and seed are the same.

    Args:
        items: in an order that does not change, as of sorted names.
        seed: of the division.
        shares: of the parts after the first, each from 0 to 1; the first part takes what is left.

    Returns:
        The parts, each in the order of ``items``. Every share above 0 gets at least one item.

    Example:
        >>> split_by_seed("abcdefghij", 0, 0.1, 0.2)
        (['a', 'b', 'd', 'f', 'h', 'i', 'j'], ['e'], ['c', 'g'])
    """
    order = np.random.default_rng(seed).permutation(len(items))
    parts, taken = [], 0
    for share in shares:
        count = max(1, round(share * len(items))) if share > 0 else 0
        parts.append(order[taken : taken + count])
        taken += count
    return tuple([items[place] for place in sorted(part)] for part in (order[taken:], *parts))
