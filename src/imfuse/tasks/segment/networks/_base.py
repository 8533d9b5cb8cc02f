"""What every segmentation network has: its objective, the smallest picture, and names in its authors' checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.errors import ModelError
from imfuse.losses.common import IGNORE

Size = tuple[int, int]


class SegmentationNetwork(nn.Module):
    """A network that tells the class of every pixel.

    ``forward`` takes pictures (N, channels, H, W), normalised by the mean and the deviation they were trained with, and
    returns logits (N, classes, H, W); of four channels the last is infrared.
    """

    smallest: ClassVar[int] = 1
    """The shortest side of a picture."""
    published: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Patterns of our names and what stands for each in the authors' checkpoints, applied in turn."""
    ends: ClassVar[tuple[str, str]] = ("", "")
    """Our names of the first convolution's weights and of the last's, which tell channels and classes."""
    unused: ClassVar[tuple[str, ...]] = ()
    """Beginnings of names in the authors' checkpoints of what no result depends on."""
    ratios: ClassVar[tuple[float, ...]] = ()
    """Sizes at which :meth:`augmented` looks at a picture; none where no test-time augmentation is published."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """The objective of the paper, here the cross entropy: of labels (N, H, W), int64, 255 for unknown."""
        return pixel_loss(self(images), labels)

    def augmented(self, images: Tensor) -> Tensor:
        """Scores (N, classes, H, W) by the test-time augmentation of PSFusion's authors, for networks with ``ratios``.

        Here the mean of the probabilities of the picture in several sizes and of its mirror images. It was tuned on
        test pictures: compare its scores with none that were made without.
        """
        size = size_of(images)
        pictures = (resize(images, (round(size[0] * ratio), round(size[1] * ratio))) for ratio in self.ratios)
        return torch.stack([self.both_ways(picture, size) for picture in pictures]).mean(0) / 2

    def both_ways(self, images: Tensor, size: Size) -> Tensor:
        """Sum of the probabilities of pictures and of their mirror images, mirrored back, at a size."""
        plain, mirrored = (resize(self(x), size).softmax(1) for x in (images, images.flip(-1)))
        return plain + mirrored.flip(-1)

    def check_size(self, images: Tensor) -> Size:
        """Height and width. Raises ``ModelError`` where a side is too short."""
        height, width = size_of(images)
        if min(height, width) < self.smallest:
            raise ModelError(
                f"a picture of {width}x{height} pixels: {type(self).__name__} needs {self.smallest} on a side at least"
            )
        return height, width

    @classmethod
    def published_name(cls, ours: str) -> str:
        """Name of an entry in the authors' checkpoints."""
        for pattern, replacement in cls.published:
            ours = re.sub(pattern, replacement, ours)
        return ours

    @classmethod
    def from_published(cls, entries: Mapping[str, Tensor], names: list[str]) -> dict[str, Tensor]:
        """Entries of a checkpoint under our ``names``; others keep theirs, what is unused is left out."""
        ours = {cls.published_name(name): name for name in names}
        return {ours.get(name, name): value for name, value in entries.items() if not name.startswith(cls.unused)}


def pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of the labelled pixels; 0 where none is."""
    total = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
    return total / (labels != IGNORE).sum().clamp_min(1)


def size_of(maps: Tensor) -> Size:
    """Height and width of (N, C, H, W)."""
    return maps.shape[-2], maps.shape[-1]


def resize(maps: Tensor, size: Size, align_corners: bool = False) -> Tensor:
    """Bilinear interpolation of (N, C, h, w) to another size."""
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=align_corners)


class DropPath(nn.Module):
    """In training, leaves a residual branch out for whole pictures at random; others are scaled to keep the mean."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """What is added to the trunk, of any shape (N, ...)."""
        if not self.training or not self.rate:
            return branch
        kept = torch.rand(len(branch), *[1] * (branch.ndim - 1), device=branch.device) >= self.rate
        return branch * kept / (1 - self.rate)


def drop_rates(most: float, depths: tuple[int, ...]) -> list[list[float]]:
    """Rates of :class:`DropPath` for the blocks of each stage: they rise evenly from 0 to ``most``.

    >>> drop_rates(0.5, (1, 2))
    [[0.0], [0.25, 0.5]]
    """
    rates = iter(np.linspace(0, most, sum(depths)).tolist())
    return [[next(rates) for _ in range(depth)] for depth in depths]


def start_conv(conv: nn.Conv2d) -> None:
    """Starting values of a convolution by how many outputs an input has (He, fan-out); the bias is 0."""
    side, groups = conv.kernel_size[0] * conv.kernel_size[1], conv.groups
    nn.init.normal_(conv.weight, 0, (2 / (side * conv.out_channels / groups)) ** 0.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
