"""Feature mutual information of many 3x3 windows at once, without their 9x9 joint tables.

A window of a source and one of the fused image are two distributions p and q over the places 1..9, with distribution
functions P and Q. Their joint distribution is ``phi g + (1 - phi) p q``, where g is the one of extreme correlation,
which is zero but for a path of 17 cells from one corner of the table to the other. Sort the steps of P and of Q along
0..1: the k-th gap between neighbouring steps is the mass of the k-th cell of the path. Then

- each step leads either one row down or one column on, so cell k has ``row + column = k + 1``: that yields
  the covariance of g;
- in that cell, p q is the product of the two intervals, one between steps of P and one between steps of Q, that
  contain the gap;
- in all other cells the joint distribution is ``(1 - phi) p q``, and its entropy follows from those of p and q.

Arrays are (places, images, windows). Few are allocated: memory, not arithmetic, is what takes the time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_TINY = 1e-300
"""Added before a logarithm that is multiplied by zero."""
POINT = 1e-12
"""Variance of a place below which all mass is at one place."""
_PLACES = np.arange(-4.0, 5.0)
_SUMS = np.arange(-8.0, 9.0)
_ONE = np.uint64(1)


def _odd_even_merge(low: int, count: int, stride: int) -> list[tuple[int, int]]:
    """Pairs to put in order, one after the other, so that two sorted halves become one sorted whole (Batcher)."""
    if 2 * stride >= count:
        return [(low, low + stride)]
    halves = _odd_even_merge(low, count, 2 * stride) + _odd_even_merge(low + stride, count, 2 * stride)
    return halves + [(place, place + stride) for place in range(low + stride, low + count - stride, 2 * stride)]


_MERGE = _odd_even_merge(0, 16, 1)


class _Shares(NamedTuple):
    """Windows as distributions over the places -4..4: arrays (images, windows), the first two (places, ...) of them."""

    share: Array
    steps: Array
    information: Array
    mean: Array
    square: Array
    spread: Array

    def of(self, images: slice) -> _Shares:
        return _Shares(*(part[..., images, :] for part in self))


class WindowScores:
    """The normalised mutual information of windows of a fused image with those of its sources.

    Attributes:
        windows: (9, 1 + sources, size), to be filled before each call of ``scores``: the windows of the fused image
            and those of each source, less their minimum, column by column.
    """

    def __init__(self, sources: int, size: int) -> None:
        # Two allocations, large enough that NumPy asks for large pages.
        each, pairs = np.empty((26, 1 + sources, size)), np.empty((171, sources, size))
        self.windows, self._steps_of_each, self._log_of_each = np.split(each, (9, 17))
        self._steps, self._gap, self._ahead, self._behind, self._kept, alike, mass, log = np.split(
            pairs, np.cumsum((17, 17, 17, 18, 17, 17, 34))
        )
        self._alike = alike.view(np.uint64)
        self._mass, self._log = mass.reshape(2, 17, sources, size), log.reshape(2, 17, sources, size)
        self._kept[0] = self._alike[16] = 0

    def scores(self, same: Mask, tolerance: float) -> Array:
        """One score per source and window; ``same`` says where windows are equal (sources, size).

        A window whose values exceed their minimum by no more than ``tolerance`` in all is flat.
        """
        each, flat = self._shares(tolerance)
        flat_fused, flat_source = flat[:1], flat[1:]
        fused, source = each.of(slice(1)), each.of(slice(1, None))
        covariance = np.einsum("kan,kbn->bn", fused.share, source.share) - 1 / 9
        opposed = covariance < 0
        self._merge(fused.steps, source.steps, opposed)
        # E[(i + j)^2] along the path, less E[i^2] and E[j^2], is twice E[i j].
        product = (np.einsum("k,kan->an", _SUMS**2, self._gap) - fused.square - source.square) / 2
        extreme = product - fused.mean * np.where(opposed, -source.mean, source.mean)
        spread = fused.spread * source.spread
        related = (covariance != 0) & (spread > 0) & (extreme > 0)
        phi = np.where(related, np.abs(covariance) * np.sqrt(spread) / np.where(related, extreme, 1), 1)
        rest = 1 - phi
        on_path = self._information_on_path(rest / phi) + np.log2(phi)
        entropies = -(fused.information + source.information)
        entropies += entropies == 0
        score: Array = 2 * (phi + (phi * on_path + rest * np.log2(np.abs(rest) + _TINY)) / entropies)
        score *= related & ~flat_fused & ~flat_source
        score[same | (flat_fused & flat_source)] = 1
        return score

    def _shares(self, tolerance: float) -> tuple[_Shares, Mask]:
        windows, steps, logarithm = self.windows, self._steps_of_each, self._log_of_each
        total = windows.sum(0)
        flat = total <= tolerance
        total += flat
        windows *= 1 / total
        # Between 1 and 2 all numbers have the same spacing: sums and differences of steps are exact.
        np.add(windows[0], 1, out=steps[0])
        for k in range(1, 8):
            np.add(steps[k - 1], windows[k], out=steps[k])
        np.add(windows, _TINY, out=logarithm)
        np.log2(logarithm, out=logarithm)
        information = np.einsum("kan,kan->an", windows, logarithm)
        mean, square = np.einsum("k,kan->an", _PLACES, windows), np.einsum("k,kan->an", _PLACES**2, windows)
        variance = square - mean * mean
        variance *= variance > POINT
        # The correlation of p and q divides by the variance of their values; flat windows are scored without it.
        variance /= np.einsum("kan,kan->an", windows, windows) - 1 / 9 + flat
        return _Shares(windows, steps, information, mean, square, variance), flat

    def _merge(self, fused: Array, source: Array, opposed: Mask) -> None:
        """Gaps between the sorted steps of two distribution functions, and which gaps lie between two steps alike.

        Where ``opposed``, the source's places are counted backwards. The last bit of a step says whose it is.
        """
        steps, gap, turn = self._steps, self._gap, self._gap[:4]
        bits = steps.view(np.uint64)
        np.bitwise_and(fused.view(np.uint64), ~_ONE, out=bits[:8])
        # Counted backwards, step k of 1..8 is 3 less step 9 - k: both of the two move by as much.
        np.subtract(3, source[:4], out=turn)
        turn -= source[:3:-1]
        turn *= opposed
        np.add(source[:4], turn, out=steps[8:12])
        np.add(source[4:], turn[::-1], out=steps[12:16])
        bits[8:16] |= _ONE
        *rows, spare = steps
        for i, j in _MERGE:
            np.minimum(rows[i], rows[j], out=spare)
            np.maximum(rows[i], rows[j], out=rows[j])
            rows[i], spare = spare, rows[i]
        np.subtract(rows[0], 1, out=gap[0])
        np.subtract(2, rows[15], out=gap[16])
        row_bits = [row.view(np.uint64) for row in rows]
        for k in range(1, 16):
            np.subtract(rows[k], rows[k - 1], out=gap[k])
            np.bitwise_xor(row_bits[k], row_bits[k - 1], out=self._alike[k])
        alike = self._alike[1:16]
        alike &= _ONE
        alike -= _ONE

    def _information_on_path(self, ratio: Array) -> Array:
        """Sum over the path of ``m log2 m - r log2 r``, where r is ``ratio p q`` and ``m = g + r``.

        ``ahead`` is the way from the end of a gap to the next step of the other kind, ``behind`` that from its start
        back to the last step of the other kind. They add up gap by gap, from the last and from the first one.
        """
        gap, ahead, behind, kept = self._gap, self._ahead, self._behind, self._kept
        joint, independent = self._mass
        ahead[16] = 0
        ahead[15] = gap[16]
        behind[0] = 0
        behind[1] = gap[0]
        gaps, aheads, behinds, keeps = list(gap), list(ahead), list(behind), list(kept)
        alikes, keep_bits = list(self._alike), list(kept.view(np.uint64))
        ahead_bits, behind_bits = list(ahead.view(np.uint64)), list(behind.view(np.uint64))
        for k in range(15, 0, -1):
            np.bitwise_and(ahead_bits[k], alikes[k], out=keep_bits[k])
            np.add(gaps[k], keeps[k], out=aheads[k - 1])
        for k in range(1, 17):
            np.bitwise_and(behind_bits[k], alikes[k], out=keep_bits[k])
            np.add(gaps[k], keeps[k], out=behinds[k + 1])
        # The interval that ends with the gap, times the other one.
        np.add(gap, behind[:17], out=independent)
        independent -= kept
        ahead += behind[1:]
        independent *= ahead
        independent *= ratio
        np.add(gap, independent, out=joint)
        np.abs(self._mass, out=self._log)
        self._log += _TINY
        np.log2(self._log, out=self._log)
        information: Array = np.einsum("kan,kan->an", joint, self._log[0])
        information -= np.einsum("kan,kan->an", independent, self._log[1])
        return information
