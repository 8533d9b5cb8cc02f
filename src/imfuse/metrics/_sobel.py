"""Sobel edges of pictures, and how metrics compare them."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import torch
from torch import Tensor

from imfuse.metrics._pictures import Picture, parts
from imfuse.ops.windows import Border, filter_separable

Responses = Callable[[Tensor, Border], tuple[Tensor, Tensor]]
"""From levels (N, 1, H, W), and what lies beyond their border, to responses to changes down and across."""

DIFFERENCE, SMOOTHING = (-1, 0, 1), (1, 2, 1)
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


def sobel(levels: Tensor, border: Border) -> tuple[Tensor, Tensor]:
    """Correlate with the Sobel kernels of whole numbers: responses to changes down and across."""
    difference, smoothing = (torch.tensor(taps, dtype=torch.float64) for taps in (DIFFERENCE, SMOOTHING))
    return (
        filter_separable(levels, smoothing, difference, border),
        filter_separable(levels, difference, smoothing, border),
    )


def edges(
    image: Picture,
    border: Border,
    orientation: Callable[[Tensor, Tensor], Tensor],
    responses: Responses = sobel,
) -> tuple[Tensor, Tensor]:
    """Length of the Sobel gradient and ``orientation`` of the responses down and across, (N, 1, H, W) each."""

    def compute() -> tuple[Tensor, Tensor]:
        down, across = responses(image.levels, border)
        if down.requires_grad:
            return _length(down, across), orientation(down, across)
        for d, a in parts(down, across):
            length = _length(d, a)
            d.copy_(orientation(d, a))
            a.copy_(length)
        return across, down

    return image.once(("edges", border, orientation, responses), compute)


def _length(down: Tensor, across: Tensor) -> Tensor:
    return root((down * down).add_(across * across))


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
