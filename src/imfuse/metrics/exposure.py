"""MEF-SSIM: structural similarity to the best patch that can be made of all sources, made for multiple exposures."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imfuse.metrics._pictures import Image, Picture, at_least, pictures
from imfuse.metrics._structure import half, power
from imfuse.metrics.window import GAUSSIAN
from imfuse.ops import ssim
from imfuse.ops.windows import filter_separable

_SIZE = GAUSSIAN.size
_PIXELS = _SIZE**2
_C2 = ssim.constants(255)[1]
_EPS = torch.finfo(torch.float64).eps
_NOTHING = 1e-100
_SCALE_WEIGHTS = (0.0448 / 0.6305, 0.2856 / 0.6305, 0.3001 / 0.6305)


def mef_structural_similarity(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Structural similarity to the better patch MEF_SSIM. Higher is better.

    Made for multiple exposures. In each window of 11x11 pixels the sources make an ideal patch: their deviations
    ``x - mean``, each divided by its length and weighted by ``length^p``, added and stretched to the length of the
    longer. ``p = tan(pi R / 2)``, at most 10, grows with how far the sources agree:
    ``R = |sum of the deviations| / sum of their lengths``. The score is the mean over windows of
    ``(2 v12 + C) / (v1 + v2 + C)`` between ideal and fused patch in a Gaussian window, with ``C = 7.65^2``. It is blind
    to the mean level, so also to a constant added to an image.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 11.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [-1, 1], without a unit. Constant images have one too.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Ma, Zeng and Wang, IEEE Transactions on Image Processing 2015.

    Example:
        >>> source = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> round(mef_structural_similarity(source, source, source).item(), 6)
        1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, _SIZE, "MEF-SSIM")
    return _similarity(f, a, b)


def multi_scale_mef_structural_similarity(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """MEF_SSIM on three scales, MS_MEF_SSIM. Higher is better. What several toolboxes call "MS_SSIM".

    Product of ``mef_structural_similarity`` of the images, of their halves and of their quarters, to the powers
    0.0448, 0.2856 and 0.3001, each divided by their sum; a negative value counts as 0.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 44.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 1], without a unit.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Ma, Zeng and Wang, IEEE Transactions on Image Processing 2015.

    Example:
        >>> source = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
        >>> round(multi_scale_mef_structural_similarity(source, source, source).item(), 6)
        1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 4 * _SIZE, "multi-scale MEF-SSIM")
    product = f.levels.new_ones(())
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        if scale:
            f, a, b = half(f), half(a), half(b)
        product = product * power(_similarity(f, a, b), weight)
    return product


def _similarity(fused: Picture, infrared: Picture, visible: Picture) -> Tensor:
    """The ideal patch is a sum of the sources' deviations, so that its covariances follow from theirs."""
    share_a, share_b, variance = infrared.once(("MEF-SSIM patch", visible), lambda: _ideal_patch(infrared, visible))
    covariance = (share_a * GAUSSIAN.covariance(fused, infrared)).addcmul_(share_b, GAUSSIAN.covariance(fused, visible))
    return ssim.contrast_structure(variance + GAUSSIAN.moments(fused)[1], covariance, _C2).mean((1, 2, 3))


def _ideal_patch(infrared: Picture, visible: Picture) -> tuple[Tensor, Tensor, Tensor]:
    """How much of each source's deviation makes the ideal patch of a window, and its variance in a Gaussian window."""
    a, b = infrared.levels, visible.levels
    sum_a, sum_b = _sums(a), _sums(b)
    square_a, square_b = _deviation(a.square(), sum_a, sum_a), _deviation(b.square(), sum_b, sum_b)
    share_a, share_b = _shares(square_a, square_b, _deviation(a * b, sum_a, sum_b))
    variance_a, variance_b = GAUSSIAN.moments(infrared)[1], GAUSSIAN.moments(visible)[1]
    covariance = GAUSSIAN.covariance(infrared, visible)
    return share_a, share_b, _square(share_a, share_b, variance_a, variance_b, covariance)


def _shares(square_a: Tensor, square_b: Tensor, product: Tensor) -> tuple[Tensor, Tensor]:
    """From the squared lengths of both deviations and their inner product. Flat sources make a flat patch."""
    length_a, length_b = _root(square_a), _root(square_b)
    consistency = (_root(square_a + square_b + 2 * product) + _EPS) / (length_a + length_b + _EPS)
    exponent = torch.tan(consistency.clamp(max=1 - _EPS) * (math.pi / 2)).clamp(max=10)

    length_a, length_b = length_a + 0.001, length_b + 0.001
    weight_a, weight_b = (length_a / _SIZE) ** exponent + _EPS, (length_b / _SIZE) ** exponent + _EPS
    total = weight_a + weight_b
    share_a, share_b = weight_a / total / length_a, weight_b / total / length_b
    square = _square(share_a, share_b, square_a, square_b, product)
    stretch = torch.where(square > _NOTHING, torch.maximum(length_a, length_b) / _root(square), 0)
    return share_a * stretch, share_b * stretch


def _deviation(products: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Sum over a window of the products of both deviations from the mean, from products and from both sums.

    Exact until the division: levels are whole numbers, or quarters and sixteenths of them in the halves.
    """
    return (_PIXELS * _sums(products)).addcmul_(first, second, value=-1) / _PIXELS


def _sums(x: Tensor) -> Tensor:
    return filter_separable(x, torch.ones(_SIZE, dtype=torch.float64))


def _square(a: Tensor, b: Tensor, aa: Tensor, bb: Tensor, ab: Tensor) -> Tensor:
    """Squared length of the sum of a times one vector and b times another."""
    return a.square() * aa + b.square() * bb + 2 * a * b * ab


def _root(x: Tensor) -> Tensor:
    """Square root; that of nothing is 1e-50, without a slope."""
    return x.clamp(min=_NOTHING).sqrt()
