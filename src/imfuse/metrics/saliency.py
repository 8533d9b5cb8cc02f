"""Metrics that weigh the structural similarity to each source by what stands out in the sources."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import hardshrink, threshold

from imfuse.metrics._pictures import Image, Picture, at_least, mean_of_parts, parts, pictures
from imfuse.metrics._sobel import root
from imfuse.metrics.window import GAUSSIAN, Window
from imfuse.ops import ssim
from imfuse.ops.windows import filter_separable

_CONSTANTS = ssim.constants(255)
_SMALL_WINDOW, _SMALL_CONSTANTS = Window(size=7), (2e-16, 2e-16)
_NOISE = 1e-9
"""Moments below this are rounding noise: one pixel that differs by a level moves a variance by 1e-6 or more."""
_TINY = 1e-100


def piella_quality(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Piella's quality index QS: mean of ``m = l s(f, a) + (1 - l) s(f, b)``. Higher is better.

    s is the local SSIM (Gaussian 11x11, sigma 1.5, whole windows, range 255, K 0.01 and 0.03), ``l = va / (va + vb)``
    with the variances of the sources; where both are flat each counts half.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 11.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [-1, 1], without a unit; 1 where all three images are the same; always
        defined.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Piella and Heijmans, ICIP 2003, as computed by Liu et al., IEEE TPAMI 2012.

    Example:
        >>> picture = torch.rand(1, 1, 16, 16)
        >>> round(piella_quality(picture, picture, picture).item(), 9)
        1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 11, "QS")
    return _piella(f, a, b)[0]


def piella_weighted_quality(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Piella's weighted index QW: ``sum(c m) / sum(c)`` with ``c = max(va, vb)``. Higher is better.

    The map m and the variances are those of QS, ``piella_quality``; c is 0.5 where both sources are flat.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 11.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [-1, 1], without a unit; 1 where all three images are the same; always
        defined.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Piella and Heijmans, ICIP 2003, as computed by Liu et al., IEEE TPAMI 2012.

    Example:
        >>> picture = torch.rand(1, 1, 16, 16)
        >>> round(piella_weighted_quality(picture, picture, picture).item(), 9)
        1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 11, "QW")
    return _piella(f, a, b)[1]


def piella_edge_quality(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Piella's edge-dependent index QE: QW of the images times QW of their edge images. Higher is better.

    Edge images are the lengths of Prewitt gradients (3x3 of -1, 0, 1, zero border), neither scaled nor rounded; the
    range stays 255.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 11.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [-1, 1], without a unit; 1 where all three images are the same; always
        defined.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Piella and Heijmans, ICIP 2003, with exponent 1. The program of Liu et al. 2012 stops with an error there:
        tables with QE were made by others.

    Example:
        >>> picture = torch.rand(1, 1, 16, 16)
        >>> round(piella_edge_quality(picture, picture, picture).item(), 9)
        1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 11, "QE")
    return _piella(f, a, b)[1] * _piella(_edge_image(f), _edge_image(a), _edge_image(b))[1]


def cvejic_quality(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Cvejic's index QC: mean of ``w s(f, a) + (1 - w) s(f, b)``. Higher is better.

    ``w = cov(a, f) / (cov(a, f) + cov(b, f))``, a half where both are zero; s is the local SSIM (Gaussian 7x7, sigma
    1.5, whole windows, C1 = C2 = 2e-16). Windows with w < 0 count as 0 and those with w > 1 as 1, whatever s is there:
    an accident, Cvejic et al. limit the weight. So the order of the sources matters.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 7.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [-1, 1], without a unit; 1 where all three images are the same; always
        defined.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Cvejic, Loza, Bull and Canagarajah, International Journal of Signal Processing 2005, as computed by Liu et al.,
        IEEE TPAMI 2012; there, flat windows score what rounding leaves of them.

    Example:
        >>> picture = torch.rand(1, 1, 16, 16)
        >>> round(cvejic_quality(picture, picture, picture).item(), 9)
        1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 7, "QC")

    def quality(mf: Tensor, ma: Tensor, mb: Tensor, *second: Tensor) -> Tensor:
        vf, va, vb, caf, cbf = (hardshrink(moment, _NOISE) for moment in second)
        share = _share(caf, cbf)
        to_a, to_b = (_similar(m, v, mf, vf, c, _SMALL_CONSTANTS) for m, v, c in ((ma, va, caf), (mb, vb, cbf)))
        # A share of 0 may come out as low as -_TINY / _NOISE.
        return torch.where(share < -1e-30, 0, torch.where(share > 1, 1, torch.lerp(to_b, to_a, share)))

    return mean_of_parts(quality, *_moments(_SMALL_WINDOW, f, a, b))


def yang_quality(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Yang's index QY: mean of ``l s(f, a) + (1 - l) s(f, b)`` or, where s(a, b) < 0.75, ``max(s(f, a), s(f, b))``.

    Higher is better. s is the local SSIM (Gaussian 7x7, sigma 1.5, whole windows, C1 = C2 = 2e-16),
    ``l = va / (va + vb)`` with the variances of the sources; where both are flat each counts half.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 7.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [-1, 1], without a unit; 1 where all three images are the same; always
        defined.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Yang, Zhang, Wang and Liu, Information Fusion 2008, as computed by Liu et al., IEEE TPAMI 2012, whose program
        writes nan where both sources are flat.

    Example:
        >>> picture = torch.rand(1, 1, 16, 16)
        >>> round(yang_quality(picture, picture, picture).item(), 9)
        1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 7, "QY")

    def quality(mf: Tensor, ma: Tensor, mb: Tensor, *second: Tensor) -> Tensor:
        vf, va, vb, caf, cbf, cab = (hardshrink(moment, _NOISE) for moment in second)
        to_a, to_b = (_similar(m, v, mf, vf, c, _SMALL_CONSTANTS) for m, v, c in ((ma, va, caf), (mb, vb, cbf)))
        alike = _similar(ma, va, mb, vb, cab, _SMALL_CONSTANTS) >= 0.75
        return torch.where(alike, torch.lerp(to_b, to_a, _share(va, vb)), torch.maximum(to_a, to_b))

    return mean_of_parts(quality, *_moments(_SMALL_WINDOW, f, a, b), _SMALL_WINDOW.covariance(a, b))


def _piella(f: Picture, a: Picture, b: Picture) -> tuple[Tensor, Tensor]:
    """QS and QW."""

    def compute() -> tuple[Tensor, Tensor]:
        moments = _moments(GAUSSIAN, f, a, b)
        sums = f.levels.new_zeros(3, len(f.levels))
        for mf, ma, mb, *second in parts(*moments):
            vf, va, vb, caf, cbf = (hardshrink(moment, _NOISE) for moment in second)
            to_a, to_b = (_similar(m, v, mf, vf, c, _CONSTANTS) for m, v, c in ((ma, va, caf), (mb, vb, cbf)))
            score = torch.lerp(to_b, to_a, _share(va, vb))
            # A threshold replaces what does not exceed it: windows that are flat in both sources.
            weight = threshold(torch.maximum(va, vb), 0, 0.5)
            terms = score, weight * score, weight
            sums = sums + torch.stack([term.sum((1, 2, 3)) for term in terms])
        return sums[0] / moments[0][0].numel(), sums[1] / sums[2]

    return f.once(("piella", a, b), compute)


def _similar(
    mean_1: Tensor, var_1: Tensor, mean_2: Tensor, var_2: Tensor, covariance: Tensor, constants: tuple[float, float]
) -> Tensor:
    return ssim.similarity(mean_1, mean_2, var_1 + var_2, covariance, *constants)


def _moments(window: Window, f: Picture, a: Picture, b: Picture) -> list[Tensor]:
    """Means of all, variances of all, covariances of f with a and with b."""
    means, variances = zip(*(window.moments(image) for image in (f, a, b)), strict=True)
    return [*means, *variances, window.covariance(f, a), window.covariance(f, b)]


def _share(first: Tensor, second: Tensor) -> Tensor:
    """``first / (first + second)``, and a half where both are zero."""
    return (first + _TINY) / (first + second + 2 * _TINY)


def _edge_image(image: Picture) -> Picture:
    """Lengths of the Prewitt gradients of a picture, neither rounded nor limited."""

    def compute() -> Picture:
        difference, threefold = image.levels.new_tensor([-1, 0, 1]), image.levels.new_ones(3)
        across = filter_separable(image.levels, difference, threefold, "zero")
        down = filter_separable(image.levels, threefold, difference, "zero")
        return Picture.of_levels(root(across.square().addcmul_(down, down)))

    return image.once("prewitt", compute)
