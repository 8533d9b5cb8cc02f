"""The pyramid of Burt and Adelson: "The Laplacian pyramid as a compact image code", IEEE Trans. Communications, 1983.

``zero_corners`` is a mistake of the published toolbox: see :func:`pad_mirror`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from imfuse.classical._selection import pad_mirror
from imfuse.ops.windows import filter_separable, pad

KERNEL = torch.tensor([1, 4, 6, 4, 1], dtype=torch.float64) / 16


class Level(NamedTuple):
    """One level: its picture with sides made even, what the next coarser level says of it, and its true size."""

    picture: Tensor
    predicted: Tensor
    size: torch.Size


def make_even(x: Tensor) -> Tensor:
    """Mirror one row below and one column right of (N, C, H, W) where a side is odd."""
    height, width = x.shape[2:]
    return pad(x, 1, 1, "mirror")[..., 1 : 1 + height + height % 2, 1 : 1 + width + width % 2]


def reduce(x: Tensor, zero_corners: bool) -> Tensor:
    """Blur (N, C, H, W) and keep every second pixel of every second row."""
    return filter_separable(pad_mirror(x, 2, zero_corners), KERNEL)[..., ::2, ::2]


def expand(x: Tensor, zero_corners: bool) -> Tensor:
    """Twice the size: zeros between the pixels, and a blur that fills them."""
    spread = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    spread[..., ::2, ::2] = x
    return filter_separable(pad_mirror(spread, 2, zero_corners), 2 * KERNEL)


def decompose(x: Tensor, levels: int, zero_corners: bool) -> tuple[list[Level], Tensor]:
    """Levels of (N, C, H, W), the finest first, and the base that is left."""
    found = []
    for _ in range(levels):
        size, x = x.shape[2:], make_even(x)
        coarser = reduce(x, zero_corners)
        found.append(Level(x, expand(coarser, zero_corners), size))
        x = coarser
    return found, x
