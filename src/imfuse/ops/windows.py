"""Separable windows, in float64 as image metrics need them or in float32: OpenCV on the CPU, matrix products where
gradients or a GPU are wanted. Both are correlations and agree to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

Border = Literal["valid", "zero", "replicate", "mirror", "symmetric", "circular"]
"""``valid`` keeps whole windows. ``mirror`` does not repeat the edge pixel (-1 is 1), ``symmetric`` does (-1 is 0);
``circular`` goes on at the other side (-1 is the last)."""

_OPENCV = {
    "valid": cv2.BORDER_CONSTANT,
    "zero": cv2.BORDER_CONSTANT,
    "replicate": cv2.BORDER_REPLICATE,
    "mirror": cv2.BORDER_REFLECT_101,
    "symmetric": cv2.BORDER_REFLECT,
}
_BLOCK = 32


@lru_cache
@torch.inference_mode(False)
def gaussian(size: int, sigma: float) -> Tensor:
    """Weights of a Gaussian window along one axis, (size,) float64 with sum 1."""
    place = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-place.square() / (2 * sigma**2))
    return weights / weights.sum()


@lru_cache
@torch.inference_mode(False)
def box(size: int) -> Tensor:
    """Equal weights along one axis, (size,) float64 with sum 1."""
    return torch.full((size,), 1 / size, dtype=torch.float64)


def filter_separable(x: Tensor, across: Tensor, down: Tensor | None = None, border: Border = "valid") -> Tensor:
    """Correlate (N, C, H, W), float64 or float32, with the window ``down[i] * across[j]`` of odd size.

    ``down`` left out is ``across``. The result has the size of ``x``; with border ``valid`` it is
    (H - len(down) + 1, W - len(across) + 1).
    """
    down = across if down is None else down
    if border == "circular":
        x, border = pad(x, len(down) // 2, len(across) // 2, border), "valid"
    if x.device.type == "cpu" and not (torch.is_grad_enabled() and x.requires_grad):
        return _with_opencv(x.detach(), across, down, border)
    return _with_products(x, across, down, border)


def sum_separable(x: Tensor, size: int) -> Tensor:
    """Sum over each whole window of ``size`` x ``size`` pixels: (N, C, H - size + 1, W - size + 1).

    Sums of 1, 2, 4 ... neighbours are made by doubling, so the work grows with the logarithm of ``size``. Unlike
    differences of running sums they lose no digits in float32, and do not depend on where the window lies.

    >>> sum_separable(torch.ones(1, 1, 8, 9), 7)
    tensor([[[[49., 49., 49.],
              [49., 49., 49.]]]])
    """
    return _sum_along(_sum_along(x, size, -2), size, -1)


def _sum_along(x: Tensor, size: int, dim: int) -> Tensor:
    length, summed = x.shape[dim] - size + 1, 0
    parts = []
    for power in range(size.bit_length()):
        if power:
            half = 2 ** (power - 1)
            x = x.narrow(dim, 0, x.shape[dim] - half) + x.narrow(dim, half, x.shape[dim] - half)
        # x holds sums of 2^power neighbours; those that make up the size are laid end to end.
        if size & 2**power:
            parts.append(x.narrow(dim, summed, length))
            summed += 2**power
    return sum(parts[1:], parts[0])


def _with_opencv(x: Tensor, across: Tensor, down: Tensor, border: Border) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    kernels = across.numpy(), down.numpy()
    for source, target in zip(x.flatten(0, 1).numpy(), out.flatten(0, 1).numpy(), strict=True):
        cv2.sepFilter2D(source, -1, *kernels, dst=target, borderType=_OPENCV[border])
    if border == "valid":
        top, left = len(down) // 2, len(across) // 2
        out = out[..., top : out.shape[2] - top, left : out.shape[3] - left]
    return out


def _with_products(x: Tensor, across: Tensor, down: Tensor, border: Border) -> Tensor:
    """Blocks of pixels times banded matrices: much faster in float64 than convolutions, and differentiable."""
    if border != "valid":
        x = pad(x, len(down) // 2, len(across) // 2, border)
    x = _down(x, down.to(x))
    return _down(x.transpose(-1, -2), across.to(x)).transpose(-1, -2)


def _down(x: Tensor, taps: Tensor) -> Tensor:
    size = x.shape[-2] - len(taps) + 1
    blocks = math.ceil(size / _BLOCK)
    length = _BLOCK + len(taps) - 1
    x = F.pad(x, (0, 0, 0, max(0, blocks * _BLOCK + len(taps) - 1 - x.shape[-2])))
    places = torch.arange(length, device=x.device) - torch.arange(_BLOCK, device=x.device)[:, None]
    inside = (places >= 0) & (places < len(taps))
    band = torch.where(inside, taps[places.clamp(0, len(taps) - 1)], 0)
    windows = x.unfold(-2, length, _BLOCK).transpose(-1, -2)
    return (band @ windows).flatten(-3, -2)[..., :size, :]


def pad(x: Tensor, rows: int, columns: int, border: Border) -> Tensor:
    """Put ``rows`` above and below and ``columns`` left and right of (N, C, H, W)."""
    if border == "zero":
        return F.pad(x, (columns, columns, rows, rows))
    place = _FOLD[border]
    x = x[..., place(torch.arange(-rows, x.shape[-2] + rows), x.shape[-2]).to(x.device), :]
    return x[..., place(torch.arange(-columns, x.shape[-1] + columns), x.shape[-1]).to(x.device)]


def _mirror(place: Tensor, size: int) -> Tensor:
    period = max(2 * size - 2, 1)
    place = place % period
    return torch.minimum(place, period - place) if size > 1 else torch.zeros_like(place)


def _symmetric(place: Tensor, size: int) -> Tensor:
    place = place % (2 * size)
    return torch.minimum(place, 2 * size - 1 - place)


_FOLD: dict[str, Callable[[Tensor, int], Tensor]] = {
    "replicate": lambda place, size: place.clamp(0, size - 1),
    "mirror": _mirror,
    "symmetric": _symmetric,
    "circular": lambda place, size: place % size,
}
