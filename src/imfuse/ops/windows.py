"""Correlation with separable windows, in float64 as image metrics need it, or in float32.

OpenCV computes it on the CPU, matrix products where gradients or a GPU are required; both agree to rounding.
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
"""How an image continues beyond its border.

``valid`` does not continue it: only windows inside the image count. ``zero`` and ``replicate`` continue it with zeros
and with the edge pixel. ``mirror`` does not repeat the edge pixel (-1 is 1), ``symmetric`` does (-1 is 0); ``circular``
continues at the other side (-1 is the last pixel).
"""

_OPENCV = {
    "valid": cv2.BORDER_CONSTANT,
    "zero": cv2.BORDER_CONSTANT,
    "replicate": cv2.BORDER_REPLICATE,
    "mirror": cv2.BORDER_REFLECT_101,
    "symmetric": cv2.BORDER_REFLECT,
}
_BLOCK = 32
"""Rows that one matrix product computes."""


@lru_cache
@torch.inference_mode(False)
def gaussian(size: int, sigma: float) -> Tensor:
    """Weights of a Gaussian window along one axis, (size,) float64 with sum 1."""
    position = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-position.square() / (2 * sigma**2))
    return weights / weights.sum()


@lru_cache
@torch.inference_mode(False)
def box(size: int) -> Tensor:
    """Equal weights along one axis, (size,) float64 with sum 1."""
    return torch.full((size,), 1 / size, dtype=torch.float64)


def filter_separable(x: Tensor, across: Tensor, down: Tensor | None = None, border: Border = "valid") -> Tensor:
    """Correlates images with the window ``down[i] * across[j]``.

    Args:
        x: (N, C, H, W), float64 or float32.
        across: weights along rows, an odd number of them.
        down: weights along columns; the same as ``across`` if left out.
        border: how the image continues beyond its border.

    Returns:
        (N, C, H, W); with border ``valid`` (N, C, H - len(down) + 1, W - len(across) + 1).
    """
    down = across if down is None else down
    if border == "circular":
        x, border = pad(x, len(down) // 2, len(across) // 2, border), "valid"
    if x.device.type == "cpu" and not (torch.is_grad_enabled() and x.requires_grad):
        return _with_opencv(x.detach(), across, down, border)
    return _with_products(x, across, down, border)


def sum_separable(x: Tensor, size: int) -> Tensor:
    """Sum over each whole window of ``size`` x ``size`` pixels: (N, C, H - size + 1, W - size + 1).

    Sums of 1, 2, 4 ... neighbours come from repeated doubling, so the work grows with the logarithm of ``size``. Unlike
    differences of running sums they lose no digits in float32 and do not depend on the position of the window.

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
        # x holds sums of 2^power neighbours; the powers that add up to the size are laid end to end.
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
    """The correlation as products of blocks of pixels with banded matrices.

    They are differentiable, and in float64 much faster than convolutions.
    """
    if border != "valid":
        x = pad(x, len(down) // 2, len(across) // 2, border)
    x = _down(x, down.to(x))
    return _down(x.transpose(-1, -2), across.to(x)).transpose(-1, -2)


def _down(x: Tensor, taps: Tensor) -> Tensor:
    size = x.shape[-2] - len(taps) + 1
    blocks = math.ceil(size / _BLOCK)
    length = _BLOCK + len(taps) - 1
    x = F.pad(x, (0, 0, 0, max(0, blocks * _BLOCK + len(taps) - 1 - x.shape[-2])))
    tap = torch.arange(length, device=x.device) - torch.arange(_BLOCK, device=x.device)[:, None]
    inside = (tap >= 0) & (tap < len(taps))
    band = torch.where(inside, taps[tap.clamp(0, len(taps) - 1)], 0)
    windows = x.unfold(-2, length, _BLOCK).transpose(-1, -2)
    return (band @ windows).flatten(-3, -2)[..., :size, :]


def pad(x: Tensor, rows: int, columns: int, border: Border) -> Tensor:
    """Pads (N, C, H, W) by ``rows`` above and below and by ``columns`` left and right."""
    if border == "zero":
        return F.pad(x, (columns, columns, rows, rows))
    fold = _FOLD[border]
    x = x[..., fold(torch.arange(-rows, x.shape[-2] + rows), x.shape[-2]).to(x.device), :]
    return x[..., fold(torch.arange(-columns, x.shape[-1] + columns), x.shape[-1]).to(x.device)]


def _mirror(index: Tensor, size: int) -> Tensor:
    period = max(2 * size - 2, 1)
    index = index % period
    return torch.minimum(index, period - index) if size > 1 else torch.zeros_like(index)


def _symmetric(index: Tensor, size: int) -> Tensor:
    index = index % (2 * size)
    return torch.minimum(index, 2 * size - 1 - index)


_FOLD: dict[str, Callable[[Tensor, int], Tensor]] = {
    "replicate": lambda index, size: index.clamp(0, size - 1),
    "mirror": _mirror,
    "symmetric": _symmetric,
    "circular": lambda index, size: index % size,
}
"""From indices that may lie outside an axis of ``size`` to the pixels that continue it there."""
