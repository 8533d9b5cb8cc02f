"""3x3 convolutions of many channels by Winograd's minimal filtering, in float32 on a processor.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016: m x m results of a 3x3 filter need
(m + 2)² products of transformed values, not 9 m²: a quarter of the products for m = 4, 4/9 of them for m = 2. The
transforms are sums, which pay where channels are many. Results differ from those of a direct sum in the last digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.blocks import Conv3x3, conv_mirrored

MOST = 1 << 17
"""Pairs of channels up to which m is 4; transformed weights are four times as large then, else not even twice."""
TILES = 128
"""Tiles of m x m results that are computed at once: fewer use the weights badly, more do not stay in the cache."""

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
    """A 3x3 convolution of stride 1 that keeps the size; its border is zero, or mirrored as a ``Conv3x3`` has it.

    Weights are transformed when they are first used, and kept. In another number format, or on another device, the
    convolution is done as it stands.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv, self.mirrored = conv, isinstance(conv, Conv3x3) and conv.mirrored
        self.side = 4 if conv.in_channels * conv.out_channels <= MOST else 2
        self.transformed: Tensor | None = None

    @staticmethod
    def suits(module: nn.Module) -> bool:
        """Whether it is a 3x3 convolution that keeps the size and gains by this: transforms cost what channels do."""
        return (
            isinstance(module, nn.Conv2d)
            # Fitted to measured times: equal on the border, a third faster at 128 to 128, twice as fast at 512.
            and 31 / module.in_channels + 70 / module.out_channels < 1
            and (isinstance(module, Conv3x3) or (module.padding, module.padding_mode) == ((1, 1), "zeros"))
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
        """(N, C, H, W) with its border, as (N, H', W', C) of whole tiles."""
        count, channels, height, width = x.shape
        padded = x.new_zeros(count, down * self.side + 2, across * self.side + 2, channels)
        padded[:, 1 : height + 1, 1 : width + 1] = x.permute(0, 2, 3, 1)
        if self.mirrored:
            for start, copied in ((0, 2), (height + 1, height - 1)):
                padded[:, start] = padded[:, copied]
            for start, copied in ((0, 2), (width + 1, width - 1)):
                padded[:, :, start] = padded[:, :, copied]
        return padded

    def _tiled(self, padded: Tensor, down: int, across: int) -> Tensor:
        assert self.transformed is not None
        side, span, channels = self.side, self.side + 2, self.conv.out_channels
        inputs, outputs = (_both_ways(table[side]) for table in (_INPUTS, _OUTPUTS))
        bias = padded.new_zeros(()) if self.conv.bias is None else self.conv.bias
        fused = padded.new_empty(len(padded), down, side, across, side, channels)
        # Overlapping squares of span x span pixels, without a copy: (N, down, across, C, span, span).
        squares = padded.unfold(1, span, side).unfold(2, span, side)
        columns = -(-across // -(-across // TILES))
        rows = max(1, TILES // columns)
        for image in range(len(padded)):
            for top in range(0, down, rows):
                for left in range(0, across, columns):
                    part = squares[image, top : top + rows, left : left + columns]
                    high, wide = part.shape[:2]
                    values = inputs @ part.permute(3, 4, 0, 1, 2).reshape(span * span, -1)
                    products = torch.bmm(values.view(span * span, high * wide, -1), self.transformed)
                    results = (outputs @ products.view(span * span, -1)).view(side, side, high, wide, channels)
                    place = fused[image, top : top + high, :, left : left + wide]
                    torch.add(results.permute(2, 0, 3, 1, 4), bias, out=place)
        return fused.view(len(padded), down * side, across * side, channels).permute(0, 3, 1, 2)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Weights that change are transformed anew."""
        self.transformed = None
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


def transform(weight: Tensor, side: int) -> Tensor:
    """Weights (outputs, inputs, 3, 3) to ((side + 2)², inputs, outputs), computed in float64."""
    filters = _both_ways(_FILTERS[side], torch.float64)
    taps = weight.double().permute(2, 3, 1, 0).reshape(9, -1)
    return (filters @ taps).to(weight.dtype).view(len(filters), weight.shape[1], weight.shape[0])


def _both_ways(table: Sequence[Sequence[float]], dtype: torch.dtype = torch.float32) -> Tensor:
    """The transform of a square, its values in a row, from that of a line."""
    line = torch.tensor(table, dtype=dtype)
    return torch.kron(line, line)
