"""3x3 convolutions of many channels by Winograd's minimal filtering, in float32 on a CPU.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. A tile of m x m outputs of a 3x3 filter
takes (m + 2)² products of transformed values instead of 9 m²: a quarter of the products for m = 4, 4/9 of them for
m = 2. The transforms consist of sums, which pay off with many channels. Results differ from those of a direct
convolution in the last digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.blocks import Conv3x3, MirroredConv, conv_mirrored

LARGE_TILE_LIMIT = 1 << 17
"""Product of input and output channels up to which m is 4.

Transformed weights take 4 times the memory of plain ones for m = 4, and 16/9 times for m = 2.
"""
TILES = 128
"""Tiles in one batch: with fewer, loading the weights dominates; more do not stay in the cache."""

_FILTERS: dict[int, list[list[float]]] = {
    2: [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
    4: [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
}
_INPUTS = {
    2: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    4: [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
}
_OUTPUTS = {
    2: [[1, 1, 1, 0], [0, 1, -1, -1]],
    4: [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
}


class Winograd(nn.Module):
    """Inference form of a 3x3 convolution of stride 1 that keeps the size.

    The border is zero, or mirrored where that of ``conv`` is. Weights are
    transformed at first use, and kept. In other number formats and on other devices it is a plain convolution.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv, self.mirrored = conv, isinstance(conv, MirroredConv) or (isinstance(conv, Conv3x3) and conv.mirrored)
        self.side = 4 if conv.in_channels * conv.out_channels <= LARGE_TILE_LIMIT else 2
        self.transformed: Tensor | None = None

    @staticmethod
    def suits(module: nn.Module) -> bool:
        """Whether a module is a 3x3 convolution that keeps the size and has enough channels to gain."""
        return (
            isinstance(module, nn.Conv2d)
            # Fitted to measured times: equal where the sum is 1, a third faster for 128 to 128 channels, twice for 512.
            and 31 / module.in_channels + 70 / module.out_channels < 1
            and (
                isinstance(module, Conv3x3 | MirroredConv) or (module.padding, module.padding_mode) == ((1, 1), "zeros")
            )
            and (module.kernel_size, module.stride, module.dilation, module.groups) == ((3, 3), (1, 1), (1, 1), 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W), channels-last; H, W >= 2 where the border is mirrored."""
        if x.dtype != torch.float32 or x.device.type != "cpu":
            if self.mirrored:
                return conv_mirrored(x, self.conv.weight, self.conv.bias)
            return F.conv2d(x, self.conv.weight, self.conv.bias, padding=1)
        if self.transformed is None:
            self.transformed = transform(self.conv.weight.detach(), self.side)
        height, width = x.shape[2:]
        across, down = -(-width // self.side), -(-height // self.side)
        return self._tiled(self._padded(x, down, across), down, across)[:, :, :height, :width]

    def _padded(self, x: Tensor, down: int, across: int) -> Tensor:
        """(N, C, H, W) with its border, as (N, H', W', C) for ``down`` x ``across`` whole tiles."""
        count, channels, height, width = x.shape
        padded = x.new_zeros(count, down * self.side + 2, across * self.side + 2, channels)
        padded[:, 1 : height + 1, 1 : width + 1] = x.permute(0, 2, 3, 1)
        if self.mirrored:
            for border, source in ((0, 2), (height + 1, height - 1)):
                padded[:, border] = padded[:, source]
            for border, source in ((0, 2), (width + 1, width - 1)):
                padded[:, :, border] = padded[:, :, source]
        return padded

    def _tiled(self, padded: Tensor, down: int, across: int) -> Tensor:
        """Outputs (N, C, down m, across m) of the padded inputs (N, H', W', C)."""
        assert self.transformed is not None
        side, span, channels = self.side, self.side + 2, self.conv.out_channels
        inputs, outputs = (_two_dimensional(table[side]) for table in (_INPUTS, _OUTPUTS))
        bias = padded.new_zeros(()) if self.conv.bias is None else self.conv.bias
        result = padded.new_empty(len(padded), down, side, across, side, channels)
        # Overlapping squares of span x span pixels, without a copy: (N, down, across, C, span, span).
        squares = padded.unfold(1, span, side).unfold(2, span, side)
        columns = -(-across // -(-across // TILES))
        rows = max(1, TILES // columns)
        for image in range(len(padded)):
            for top in range(0, down, rows):
                for left in range(0, across, columns):
                    batch = squares[image, top : top + rows, left : left + columns]
                    height, width = batch.shape[:2]
                    values = inputs @ batch.permute(3, 4, 0, 1, 2).reshape(span * span, -1)
                    products = torch.bmm(values.view(span * span, height * width, -1), self.transformed)
                    tiles = (outputs @ products.view(span * span, -1)).view(side, side, height, width, channels)
                    area = result[image, top : top + height, :, left : left + width]
                    torch.add(tiles.permute(2, 0, 3, 1, 4), bias, out=area)
        return result.view(len(padded), down * side, across * side, channels).permute(0, 3, 1, 2)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # Moved weights are transformed anew.
        self.transformed = None
        parent: Any = super()
        return parent._apply(fn, recurse)


def transform(weight: Tensor, side: int) -> Tensor:
    """Winograd's transform, computed in float64, of weights (outputs, inputs, 3, 3) for tiles of ``side`` x ``side``.

    Returns ((side + 2)², inputs, outputs).
    """
    filters = _two_dimensional(_FILTERS[side], torch.float64)
    taps = weight.double().permute(2, 3, 1, 0).reshape(9, -1)
    return (filters @ taps).to(weight.dtype).view(len(filters), weight.shape[1], weight.shape[0])


def _two_dimensional(table: Sequence[Sequence[float]], dtype: torch.dtype = torch.float32) -> Tensor:
    """The transform of a flattened square, from that of a line."""
    line = torch.tensor(table, dtype=dtype)
    return torch.kron(line, line)
