"""What all metrics do with their input first, and what they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor

from imfuse.core.errors import MetricError

T = TypeVar("T")

_STRIP = 1 << 15
"""Pixels at a time on a CPU: few enough for its cache."""


class Picture:
    """Images as gray levels, with a memory for what several metrics need of them: histogram, gradients, moments.

    Every metric takes tensors or pictures. Give the same ``Picture`` to several metrics, and the work that they share
    is done once; the picture of a source may serve any number of fused ones.

    Args:
        image: (N, 1, H, W) in [0, data_range], floating point; or whole numbers, which need their ``data_range``.
        data_range: the value of white, in the unit of the images.

    Attributes:
        levels: (N, 1, H, W) float64 in 0..255, rounded (half to even). Gradients pass through the rounding.

    Raises:
        MetricError: the shape is another, the image is empty, values are NaN or infinite, or the range is not positive
            or, for whole numbers, left out.

    Example:
        >>> Picture(torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 1, 1, 3), 255).levels.flatten().tolist()
        [0.0, 128.0, 255.0]
    """

    def __init__(self, image: Tensor, data_range: float = 1.0) -> None:
        self.levels = to_levels(image, data_range)
        self._memory: dict[Hashable, object] = {}

    @classmethod
    def of_levels(cls, levels: Tensor) -> Picture:
        """A picture of levels as they are, neither rounded nor limited to 0..255.

        Args:
            levels: (N, 1, H, W) float64.

        Returns:
            The picture, which shares the memory of ``levels``.

        Example:
            >>> Picture.of_levels(torch.tensor([0.5, 300.0]).view(1, 1, 1, 2)).levels.flatten().tolist()
            [0.5, 300.0]
        """
        picture = cls.__new__(cls)
        picture.levels, picture._memory = levels, {}
        return picture

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What ``compute`` returns, from memory if it was computed before.

        Args:
            key: what the result is remembered by. It may hold other pictures.
            compute: called without arguments the first time.

        Returns:
            The result. Whoever takes it must not change it.

        Example:
            >>> picture = Picture(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2))
            >>> picture.once("highest", lambda: picture.levels.amax((1, 2, 3))).item()
            255.0
        """
        if key not in self._memory:
            self._memory[key] = compute()
        return cast(T, self._memory[key])


Image = Tensor | Picture


def picture(image: Image, data_range: float) -> Picture:
    """The picture of a tensor; a picture stays what it is, whatever the range."""
    return image if isinstance(image, Picture) else Picture(image, data_range)


def pictures(fused: Image, infrared: Image, visible: Image, data_range: float) -> tuple[Picture, Picture, Picture]:
    """Pictures of a fused image and its sources; raises ``MetricError`` unless their shapes are the same."""
    triple = picture(fused, data_range), picture(infrared, data_range), picture(visible, data_range)
    shapes = [tuple(part.levels.shape) for part in triple]
    if len(set(shapes)) > 1:
        raise MetricError(f"images differ in shape: {', '.join(map(str, shapes))}")
    return triple


def to_levels(image: Tensor, data_range: float) -> Tensor:
    """Quantise (N, 1, H, W) in [0, data_range] to the levels 0..255, as float64: files and tensors then score alike.

    Raises ``MetricError`` for another shape, an empty image, NaN or infinite values, a range that is not
    positive, or whole numbers without a range.
    """
    if image.ndim != 4 or image.shape[1] != 1 or image.numel() == 0:
        raise MetricError(f"expected images of shape (N, 1, H, W), found {tuple(image.shape)}")
    if not data_range > 0:
        raise MetricError(f"data_range must be positive, found {data_range}")
    if data_range == 1 and not image.is_floating_point():
        raise MetricError("images of whole numbers need their data_range, such as data_range=255")
    if image.dtype == torch.uint8 and data_range == 255:
        return image.double()
    if not all(math.isfinite(extreme) for extreme in image.detach().aminmax()):
        raise MetricError("images hold NaN or infinite values")
    levels = image.double() * (255 / data_range)
    if not levels.requires_grad:
        return levels.clamp_(0, 255).round_()
    # Rounding has no slope; the gradient is that of the levels before it.
    levels = levels.clamp(0, 255)
    return levels + (levels.detach().round() - levels.detach())


def at_least(levels: Tensor, size: int, what: str) -> None:
    """Raise ``MetricError`` unless height and width reach ``size``."""
    if min(levels.shape[2:]) < size:
        raise MetricError(f"{what} needs at least {size}x{size} pixels, found {levels.shape[3]}x{levels.shape[2]}")


def ratio_or_nan(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Quotient, and nan where the denominator is zero: an undefined score is never an invented number."""
    safe = torch.where(denominator > 0, denominator, 1)
    return torch.where(denominator > 0, numerator / safe, torch.nan)


def average(per_source: Callable[[Picture, Picture], Tensor], fused: Picture, *sources: Picture) -> Tensor:
    """Mean over the sources of a comparison of a source with the fused image."""
    return torch.stack([per_source(source, fused) for source in sources]).mean(0)


def mean_of_parts(compute: Callable[..., Tensor], *images: Tensor) -> Tensor:
    """Mean over each image of a map that is computed from several (N, 1, H, W), part by part."""
    total = torch.stack([compute(*part).sum((1, 2, 3)) for part in parts(*images)]).sum(0)
    return total / images[0][0].numel()


def strips(image: Tensor) -> Iterator[slice]:
    """Rows of (..., H, W), on a CPU so few at a time that what is computed of them stays in its cache.

    Memory that was fresh for each step would take longer than the arithmetic.
    """
    height = image.shape[-2]
    size = max(1, _STRIP * height // image.numel()) if image.device.type == "cpu" else height
    for start in range(0, height, size):
        yield slice(start, start + size)


def parts(*images: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Strips of several images of the same shape side by side."""
    for rows in strips(images[0]):
        yield tuple(image[..., rows, :] for image in images)
