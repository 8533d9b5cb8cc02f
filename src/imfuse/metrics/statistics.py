"""Metrics from moments: deviations, errors and correlations, over all pixels of an image."""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.metrics._pictures import Image, picture, pictures
from imfuse.metrics._sobel import root
from imfuse.metrics._sums import Sums, pixels_of, squared_deviations, squared_errors

_WHITE = 255.0


def standard_deviation(fused: Image, data_range: float = 1.0) -> Tensor:
    """Standard deviation SD: ``sqrt(mean((F - mean F)^2))``. Higher is better.

    Of the population of pixels: the mean is over H W.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 127.5], in gray levels; 0 for a constant image.

    Raises:
        MetricError: the image is not what ``Picture`` takes.

    Source:
        Common; the field cites Rao, Measurement Science and Technology 1997.

    Example:
        >>> standard_deviation(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)).item()
        127.5
    """
    image = picture(fused, data_range)
    return root(squared_deviations(image) / pixels_of(image))


def variance(fused: Image, data_range: float = 1.0) -> Tensor:
    """Variance VAR: the square of SD. Higher is better.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 16256.25], in squared gray levels; 0 for a constant image.

    Raises:
        MetricError: the image is not what ``Picture`` takes.

    Source:
        As ``standard_deviation``.

    Example:
        >>> variance(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)).item()
        16256.25
    """
    image = picture(fused, data_range)
    return squared_deviations(image) / pixels_of(image)


def mean_squared_error(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0, *, white: float = _WHITE
) -> Tensor:
    """Mean squared error MSE: mean over the sources of ``mean((X - F)^2)``. Lower is better.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white in the images.
        white: the value of white in the score: 255 for gray levels, 1 for images in [0, 1].

    Returns:
        One value per image, (N,) float64 in [0, 65025], in squared gray levels.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Jagalingam and Hegde, Aquatic Procedia 2015.

    Example:
        >>> black = torch.zeros(1, 1, 2, 2)
        >>> mean_squared_error(black, black, black + 1).item()
        32512.5
    """
    f, *sources = pictures(fused, infrared, visible, data_range)
    return squared_errors(f, sources).mean(0) / pixels_of(f) * (white / _WHITE) ** 2


def root_mean_squared_error(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Root mean squared error RMSE: mean over the sources of ``sqrt(mean((X - F)^2))``. Lower is better.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 255], in gray levels.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Jagalingam and Hegde, Aquatic Procedia 2015.

    Example:
        >>> black = torch.zeros(1, 1, 2, 2)
        >>> root_mean_squared_error(black, black, black + 1).item()
        127.5
    """
    f, *sources = pictures(fused, infrared, visible, data_range)
    return root(squared_errors(f, sources) / pixels_of(f)).mean(0)


def peak_signal_to_noise_ratio(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0, *, per_source: bool = False
) -> Tensor:
    """Peak signal to noise ratio PSNR: ``10 log10(255^2 / MSE)``. Higher is better.

    MSE is the mean over both sources, before the logarithm.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.
        per_source: the mean of the two sources' ratios, in place of the ratio of their mean error.

    Returns:
        One value per image, (N,) float64, at least 0, in dB; inf where all three images are the same.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Jagalingam and Hegde, Aquatic Procedia 2015.

    Example:
        >>> black = torch.zeros(1, 1, 2, 2)
        >>> round(peak_signal_to_noise_ratio(black, black, black + 1).item(), 6)
        3.0103
    """
    f, *sources = pictures(fused, infrared, visible, data_range)
    error = squared_errors(f, sources) / pixels_of(f)
    ratios = 10 * torch.log10(_WHITE**2 / (error if per_source else error.mean(0, keepdim=True)))
    return ratios.mean(0)


def correlation_coefficient(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Correlation coefficient CC: mean over the sources of Pearson's r with the fused image. Higher is better.

    Gain and offset of an image change nothing.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [-1, 1], without a unit; nan where an image is constant.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Pearson, Proceedings of the Royal Society of London 1895.

    Example:
        >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None]
        >>> correlation_coefficient(board, board / 2, 1 - board).item()
        0.0
    """
    sums = Sums(*pictures(fused, infrared, visible, data_range))
    return (sums.correlation((1, 0, 0), (0, 1, 0)) + sums.correlation((1, 0, 0), (0, 0, 1))) / 2


def sum_of_correlations_of_differences(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """Sum of the correlations of differences SCD: ``r(F - B, A) + r(F - A, B)``. Higher is better.

    A is the infrared, B the visible image, r Pearson's correlation. Differences keep their sign.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [-2, 2], without a unit; nan where a source is constant, or differs from
        the fused image by a constant.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Aslantas and Bendes, AEU - International Journal of Electronics and Communications 2015.

    Example:
        >>> infrared = torch.tensor([0.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
        >>> visible = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 2, 2)
        >>> round(sum_of_correlations_of_differences(infrared + visible, infrared, visible).item(), 9)
        2.0
    """
    sums = Sums(*pictures(fused, infrared, visible, data_range))
    return sums.correlation((1, 0, -1), (0, 1, 0)) + sums.correlation((1, -1, 0), (0, 0, 1))
