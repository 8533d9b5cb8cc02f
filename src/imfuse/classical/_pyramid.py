"""The pyramid of Burt and Adelson: "The Laplacian pyramid as a compact image code", IEEE Trans. Communications, 1983.

``zero_corners`` reproduces a mistake of the published toolbox: see :func:`pad_mirror`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from imfuse.classical._selection import pad_mirror
from imfuse.ops.windows import filter_separable, pad

KERNEL = torch.tensor([1, 4, 6, 4, 1], dtype=torch.float64) / 16


class Level(NamedTuple):
    """One level: its image with sides made even, its prediction from the next coarser level, and its true size."""

    image: Tensor
    prediction: Tensor
    size: torch.Size


def make_even(x: Tensor) -> Tensor:
    """Makes the sides of (N, C, H, W) even by a mirrored row at the bottom and a mirrored column at the right."""
    height, width = x.shape[2:]
    return pad(x, 1, 1, "mirror")[..., 1 : 1 + height + height % 2, 1 : 1 + width + width % 2]


def reduce(x: Tensor, zero_corners: bool) -> Tensor:
    """Blurs (N, C, H, W) and keeps every second pixel of every second row."""
    return filter_separable(pad_mirror(x, 2, zero_corners), KERNEL)[..., ::2, ::2]


def expand(x: Tensor, zero_corners: bool) -> Tensor:
    """Upsamples (N, C, H, W) to twice the size: inserts zeros and blurs."""
    spread = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    spread[..., ::2, ::2] = x
    return filter_separable(pad_mirror(spread, 2, zero_corners), 2 * KERNEL)


def decompose(x: Tensor, levels: int, zero_corners: bool) -> tuple[list[Level], Tensor]:
    """The levels of (N, C, H, W), from the finest to the coarsest, and the remaining base."""
    pyramid = []
    for _ in range(levels):
        size, x = x.shape[2:], make_even(x)
        coarser = reduce(x, zero_corners)
        pyramid.append(Level(x, expand(coarser, zero_corners), size))
        x = coarser
    return pyramid, x
