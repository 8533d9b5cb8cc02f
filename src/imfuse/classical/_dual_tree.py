"""Kingsbury's dual-tree complex wavelet transform: nearly shift-invariant, with six directions per scale.

Kingsbury, "Image processing with complex wavelets", Phil. Trans. R. Soc. A 357, 1999, and "A dual-tree complex wavelet
transform with improved orthogonality and symmetry properties", ICIP 2000. The first scale has LeGall's 5/3 filters, the
others Kingsbury's q-shift filters of 10 taps, of which 6 are not zero. A column filter maps (..., H, W) along H.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from imfuse.ops.windows import filter_separable, pad

ColumnFilter = Callable[[Tensor], Tensor]
Taps = Sequence[float]
HALF_ROOT = 0.5**0.5

# The q-shift low-pass of the first tree; the other filters are its reverse, its modulation by (-1)^n, and both.
LOW_A = (
    0.03516383657149474, 0.0, -0.08832942445107285, 0.23389032060723564, 0.7602723690661257,
    0.5875182977235605, 0.0, -0.11430183714424873, 0.0, 0.0,
)  # fmt: skip
LOW_B = LOW_A[::-1]
HIGH_A = tuple((-1) ** n * tap for n, tap in enumerate(LOW_B))
HIGH_B = HIGH_A[::-1]


class Bands(NamedTuple):
    """The six complex bands of one scale: real and imaginary part, (2, 3, N, C, H, W) each."""

    real: Tensor
    imaginary: Tensor

    @property
    def modulus(self) -> Tensor:
        """Magnitude of the coefficients, of the same shape."""
        return (self.real.square() + self.imaginary.square()).sqrt()


def analyse(x: Tensor, levels: int) -> tuple[list[Bands], Tensor]:
    """The transform of (N, C, H, W) with even sides: bands from the finest scale to the coarsest, and the low band."""
    low, quads = _split(x, *FIRST_SPLIT)
    bands = [_to_complex(quads)]
    for _ in range(levels - 1):
        # The filters halve two trees at once, so sides have to be multiples of 4.
        rows, columns = (side % 4 // 2 for side in low.shape[2:])
        low, quads = _split(pad(low, rows, columns, "replicate"), *SPLIT)
        bands.append(_to_complex(quads))
    return bands, low


def synthesise(bands: Sequence[Bands], low: Tensor) -> Tensor:
    """The image (N, C, H, W) of bands and low band: undoes :func:`analyse`."""
    for scale, finer in zip(reversed(bands[1:]), reversed(bands[:-1]), strict=True):
        low = _join(low, _to_quads(scale), *JOIN)
        # The low band was padded before it was split.
        height, width = finer.real.shape[4:]
        rows, columns = (low.shape[2] - 2 * height) // 2, (low.shape[3] - 2 * width) // 2
        low = low[..., rows : low.shape[2] - rows, columns : low.shape[3] - columns]
    return _join(low, _to_quads(bands[0]), *FIRST_JOIN)


def _split(x: Tensor, low: ColumnFilter, high: ColumnFilter) -> tuple[Tensor, Tensor]:
    """Filters columns, then rows: low band (N, C, h, w); bands high along columns, both, rows, (3, N, C, h, w)."""
    lows, highs = low(x).mT, high(x).mT
    return low(lows).mT, torch.stack([low(highs), high(highs), high(lows)]).mT


def _join(x: Tensor, quads: Tensor, low: ColumnFilter, high: ColumnFilter) -> Tensor:
    columns, both, rows = quads
    lows, highs = low(x) + high(columns), low(rows) + high(both)
    return (low(lows.mT) + high(highs.mT)).mT


def _to_complex(x: Tensor) -> Bands:
    """Complex bands of the four trees, which fill 2x2 blocks a b / c d: (a - d) + (b + c)i and (a + d) + (b - c)i."""
    x = HALF_ROOT * x
    a, b, c, d = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    return Bands(torch.stack([a - d, a + d]), torch.stack([b + c, b - c]))


def _to_quads(bands: Bands) -> Tensor:
    real, imaginary = HALF_ROOT * bands.real, HALF_ROOT * bands.imaginary
    x = real.new_empty(*real.shape[1:-2], 2 * real.shape[-2], 2 * real.shape[-1])
    x[..., ::2, ::2] = real[0] + real[1]
    x[..., ::2, 1::2] = imaginary[0] + imaginary[1]
    x[..., 1::2, ::2] = imaginary[0] - imaginary[1]
    x[..., 1::2, 1::2] = real[1] - real[0]
    return x


def _same_size(x: Tensor, taps: Tensor) -> Tensor:
    """Filters columns, mirrored with the edge repeated."""
    return filter_separable(x.flatten(0, -4), torch.ones(1, dtype=torch.float64), taps, "symmetric").reshape(x.shape)


def _convolve(x: Tensor, taps: Taps) -> Tensor:
    """Convolves columns with ``taps``, without padding."""
    length = x.shape[-2] - len(taps) + 1
    terms = [tap * x.narrow(-2, i, length) for i, tap in enumerate(reversed(taps)) if tap]
    return sum(terms[1:], terms[0])


def _halve(x: Tensor, first: Taps, second: Taps) -> Tensor:
    """Low- or high-pass of both trees for columns of a multiple of 4 rows; the rows of the two results alternate."""
    size, margin = x.shape[-2], len(first)
    x = pad(x, margin, 0, "symmetric")

    def phase(start: int) -> Tensor:
        return x[..., start : size + 2 * margin - 2 + start - 5 : 4, :]

    trees = (
        _convolve(phase(4), first[::2]) + _convolve(phase(2), first[1::2]),
        _convolve(phase(5), second[::2]) + _convolve(phase(3), second[1::2]),
    )
    return _interleave(trees if _in_phase(first, second) else trees[::-1])


def _double(x: Tensor, first: Taps, second: Taps) -> Tensor:
    """The inverse of :func:`_halve`: columns in which the rows of two trees alternate, to columns of twice the rows."""
    size, margin = x.shape[-2], len(first) // 2
    x = pad(x, margin, 0, "symmetric")
    even, odd = (x[..., start : size + 2 * margin - 2 + start - 1 : 2, :] for start in (1, 2))
    first_tree, second_tree = (odd, even) if _in_phase(first, second) else (even, odd)
    return _interleave(
        (
            _convolve(second_tree, first[::2]),
            _convolve(first_tree, second[::2]),
            _convolve(second_tree, first[1::2]),
            _convolve(first_tree, second[1::2]),
        )
    )


def _in_phase(first: Taps, second: Taps) -> bool:
    return sum(a * b for a, b in zip(first, second, strict=True)) > 0


def _interleave(parts: Sequence[Tensor]) -> Tensor:
    """Columns in which the rows of the parts alternate."""
    return torch.stack(list(parts), -2).flatten(-3, -2)


def _taps(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


FIRST_SPLIT = (
    partial(_same_size, taps=_taps(-1, 2, 6, 2, -1) / 8),
    partial(_same_size, taps=_taps(-1, 2, -1) / 4),
)
FIRST_JOIN = (
    partial(_same_size, taps=_taps(1, 2, 1) / 4),
    partial(_same_size, taps=_taps(-1, -2, 6, -2, -1) / 8),
)
SPLIT = partial(_halve, first=LOW_B, second=LOW_A), partial(_halve, first=HIGH_B, second=HIGH_A)
# These filters are orthogonal: each is inverted by its reverse.
JOIN = partial(_double, first=LOW_A, second=LOW_B), partial(_double, first=HIGH_A, second=HIGH_B)
