"""Sobel edges of pictures, and how metrics compare them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import cv2
import torch
from torch import Tensor

from imfuse.metrics._pictures import Picture, parts
from imfuse.ops.windows import Border, filter_separable, pad

Summation = Literal["matlab", "octave", "columns"]
"""The order in which a program adds the terms of a Sobel response: ``matlab`` and ``octave`` as their ``conv2`` do,
``columns`` each column from top to bottom first.

On levels, which are whole numbers, the order is all one. On levels / 255 it decides which responses are exactly zero
and which edges exactly equal, and rules for those cases turn that into visible differences.
"""

_TERMS: dict[Summation, list[list[tuple[int, int]]]] = {
    "matlab": [[(row, column) for column in (2, 1, 0) for row in (2, 1, 0)]],
    "octave": [[(row, column) for column in (0, 1, 2) for row in (2, 1, 0)]],
    "columns": [[(row, column) for row in (0, 1, 2)] for column in (0, 1, 2)],
}
_DIFFERENCE, _SMOOTHING = (-1, 0, 1), (1, 2, 1)
_TINY = 1e-300


def strength(image: Picture, border: Border) -> Tensor:
    """Length of the Sobel gradient, (N, 1, H, W)."""

    def compute() -> Tensor:
        down, across = sobel(image.levels, border)
        if down.requires_grad:
            return _length(down, across)
        for d, a in parts(down, across):
            d.copy_(_length(d, a))
        return down

    return image.once(("strength", border), compute)


def edges(
    image: Picture,
    border: Border,
    orientation: Callable[[Tensor, Tensor], Tensor],
    summation: Summation | None = None,
) -> tuple[Tensor, Tensor]:
    """Length of the Sobel gradient and ``orientation`` of the responses down and across, (N, 1, H, W) each."""

    def compute() -> tuple[Tensor, Tensor]:
        down, across = sobel(image.levels, border) if summation is None else _in_order(image.levels, border, summation)
        if down.requires_grad:
            return _length(down, across), orientation(down, across)
        for d, a in parts(down, across):
            length = _length(d, a)
            d.copy_(orientation(d, a))
            a.copy_(length)
        return across, down

    return image.once(("edges", border, orientation, summation), compute)


def _length(down: Tensor, across: Tensor) -> Tensor:
    return root((down * down).add_(across * across))


def sobel(levels: Tensor, border: Border) -> tuple[Tensor, Tensor]:
    """Correlate with the Sobel kernels of whole numbers: responses to changes down and across."""
    difference, smoothing = (torch.tensor(taps, dtype=torch.float64) for taps in (_DIFFERENCE, _SMOOTHING))
    return (
        filter_separable(levels, smoothing, difference, border),
        filter_separable(levels, difference, smoothing, border),
    )


def _in_order(levels: Tensor, border: Border, summation: Summation) -> tuple[Tensor, Tensor]:
    """Responses of levels / 255, terms added in an order of programs."""
    # By a tensor: a GPU would multiply by 1 / 255 instead, which is not the same.
    padded = pad(levels / levels.new_tensor(255), 1, 1, border)
    height, width = levels.shape[2:]

    def respond(down: tuple[int, ...], across: tuple[int, ...]) -> Tensor:
        total = torch.zeros_like(levels)
        for group in _TERMS[summation]:
            part = torch.zeros_like(levels)
            for row, column in group:
                if weight := down[row] * across[column]:
                    # Weights are powers of two: products are exact, fused with the addition or not.
                    part = torch.add(part, padded[..., row : row + height, column : column + width], alpha=weight)
            total = total + part
        return total

    return respond(_DIFFERENCE, _SMOOTHING), respond(_SMOOTHING, _DIFFERENCE)


def root(x: Tensor) -> Tensor:
    """Square root whose gradient at zero is zero, not infinite."""
    if x.requires_grad:
        flat = x == 0
        return x.masked_fill(flat, 1).sqrt().masked_fill(flat, 0)
    if x.device.type != "cpu":
        return x.sqrt()
    # PyTorch's may be MKL's: slower, and not always the nearest number, but edges are compared for equality.
    return torch.from_numpy(cv2.sqrt(x.reshape(1, -1).numpy())).view_as(x)


def arctangent(x: Tensor) -> Tensor:
    """``atan``, infinities included: in float64 on a CPU, PyTorch's ``atan2`` takes less time than its ``atan``."""
    return torch.atan2(x, x.new_ones(()))


def ratio(first: Tensor, second: Tensor) -> Tensor:
    """The smaller of two strengths by the greater; 0 where both are 0."""
    return torch.minimum(first, second).div_(torch.maximum(first, second).clamp_min_(_TINY))


def agreement(first: Tensor, second: Tensor) -> Tensor:
    """From 0 for angles at right angles to 1 for the same or opposite ones."""
    return (first - second).abs_().sub_(math.pi / 2).abs_().mul_(2 / math.pi)


def sigmoid_(x: Tensor, slope: float, middle: float) -> Tensor:
    """``1 / (1 + exp(-slope (x - middle)))``, in place of x."""
    return x.sub_(middle).mul_(slope).sigmoid_()
