"""Metrics of how much of the sources' fine detail the fused image keeps."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from imfuse.metrics._pictures import Image, Picture, at_least, pictures, ratio_or_nan

_LEVEL_POWERS = (2 / 3, 1 / 3)
_DIRECTIONS = (1, 1, math.sqrt(0.5), math.sqrt(0.5))


def wavelet_edge_quality(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Wavelet edges kept QM: ``q1^(2/3) q2^(1/3)`` over two levels of the Haar transform. Higher is better.

    ``q = sum(e_a w_a + e_b w_b) / sum(w_a + w_b)`` with ``w = h^2 + v^2 + d^2`` of a source's three detail bands and e
    the sum over the bands of ``exp(-|band of the source - band of f|)``. An odd last row or column is left out.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 4.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 3], not in [0, 1], without a unit: 3 where all three images are the
        same, nan where both sources are flat on a level.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Wang and Liu, ICSP 2008, as computed by Liu et al., IEEE TPAMI 2012.

    Example:
        >>> picture = torch.rand(1, 1, 16, 16)
        >>> round(wavelet_edge_quality(picture, picture, picture).item(), 9)
        3.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 4, "QM")
    product = torch.ones_like(f.levels[:, 0, 0, 0])
    for level, power in enumerate(_LEVEL_POWERS):
        kept = _kept_edges(a, f, level) + _kept_edges(b, f, level)
        product = product * ratio_or_nan(kept, _edge_weight(a, level)[1] + _edge_weight(b, level)[1]) ** power
    return product


def spatial_frequency_error(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Spatial frequency ratio error QSF: ``(S(f) - S_r) / S_r``. 0 is best; less: detail is lost, more: artefacts.

    ``S = sqrt(sum_d k_d sum(difference^2) / HW)`` over differences of neighbours down, across (k = 1) and along both
    diagonals (k = sqrt(1/2)); for S_r each is the greater of the two sources', regardless of sign.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 2.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [-1, inf), without a unit; nan where both sources are constant.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Zheng, Essock, Hansen and Haun, Information Fusion 2007, as computed by Liu et al., IEEE TPAMI 2012.

    Example:
        >>> picture = torch.rand(1, 1, 16, 16)
        >>> spatial_frequency_error(picture, picture, picture).item()
        0.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 2, "QSF")
    reference = a.once(("reference frequency", b), lambda: _frequency(a, b))
    return ratio_or_nan(_frequency(f) - reference, reference)


def _kept_edges(source: Picture, fused: Picture, level: int) -> Tensor:
    similar = (_haar(source, level)[1] - _haar(fused, level)[1]).abs_().neg_().exp_()
    return (similar.sum(1, keepdim=True) * _edge_weight(source, level)[0]).sum((1, 2, 3))


def _edge_weight(image: Picture, level: int) -> tuple[Tensor, Tensor]:
    """Squared length of the detail, (N, 1, h, w), and its sum over the image, (N,)."""

    def compute() -> tuple[Tensor, Tensor]:
        weight = _haar(image, level)[1].square().sum(1, keepdim=True)
        return weight, weight.sum((1, 2, 3))

    return image.once(("haar weight", level), compute)


def _haar(image: Picture, level: int) -> tuple[Tensor, Tensor]:
    """Approximation (N, 1, h, w) and horizontal, vertical and diagonal detail (N, 3, h, w); level 0 is the finest."""

    def compute() -> tuple[Tensor, Tensor]:
        x = _haar(image, level - 1)[0] if level else image.levels
        x = x[..., : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
        above, below = x[..., ::2, :], x[..., 1::2, :]
        total, change = above + below, above - below
        left, right, west, east = total[..., ::2], total[..., 1::2], change[..., ::2], change[..., 1::2]
        return (left + right).mul_(0.5), torch.cat([west + east, left - right, west - east], 1).mul_(0.5)

    return image.once(("haar", level), compute)


def _frequency(*images: Picture) -> Tensor:
    """Spatial frequency in four directions; of several images, by the greatest difference at each place."""
    total = torch.zeros_like(images[0].levels[:, 0, 0, 0])
    for factor, *differences in zip(_DIRECTIONS, *(_differences(image.levels) for image in images), strict=True):
        squares = [difference * difference for difference in differences]
        total = total + factor * (squares[0] if len(squares) == 1 else torch.maximum(*squares)).sum((1, 2, 3))
    return (total / images[0].levels[0].numel()).sqrt()


def _differences(x: Tensor) -> Iterator[Tensor]:
    yield x[..., 1:, :] - x[..., :-1, :]
    yield x[..., 1:] - x[..., :-1]
    yield x[..., 1:, 1:] - x[..., :-1, :-1]
    yield x[..., 1:, :-1] - x[..., :-1, 1:]
