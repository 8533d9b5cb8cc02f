"""Metrics from moments: deviations, errors and correlations, over all pixels of an image.

All come from sums of products of levels. Levels are whole numbers, and so the sums are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from imfuse.metrics._histograms import histogram
from imfuse.metrics._pictures import Image, Picture, picture, pictures, ratio_or_nan
from imfuse.metrics._sobel import root

WHITE = 255.0


def standard_deviation(
    fused: Image,
    data_range: float = 1.0,
    *,
    white: float = WHITE,
    root_of_sum: bool = False,
    saturated: bool = False,
) -> Tensor:
    """Standard deviation SD: ``sqrt(mean((F - mean F)^2))``, in gray levels, in [0, 127.5]. Higher is better.

    Of the population of pixels: the mean is over H W. 0 for a constant image. Rao, Measurement Science and Technology
    1997.

    Args:
        fused: (N, 1, H, W) in [0, data_range].
        data_range: highest value of the images.
        white: the level of white; 1 scores images in [0, 1].
        root_of_sum: an accident: the sum in place of the mean. Grows with the size of the image.
        saturated: an accident: differences and squares are 8-bit numbers, where what lies below 0 becomes 0 and what
            lies above 255 becomes 255. At most 15.97, and nearly the share of bright pixels. No gradient.

    >>> import torch
    >>> standard_deviation(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)).item()
    127.5
    """
    image = picture(fused, data_range)
    squares = _saturated_squares(image) if saturated else _Sums(image).scatter((1,), (1,))
    return root(squares if root_of_sum else squares / _pixels(image)) * (white / WHITE)


def _saturated_squares(image: Picture) -> Tensor:
    """Sum over the pixels of min(d^2, 255) with d = round(F - mean F) cut to 0..255, level by level."""
    levels = torch.arange(256, dtype=torch.float64, device=image.levels.device)
    mean = _total(image).detach() / _pixels(image)
    differences = torch.floor(levels - mean[:, None] + 0.5).clamp(min=0)
    counts = (histogram(image) * _pixels(image)).round()
    return (counts * differences.square().clamp(max=255)).sum(1)


def variance(fused: Image, data_range: float = 1.0) -> Tensor:
    """Variance VAR: the square of SD, in squared gray levels, in [0, 16256.25]. Higher is better.

    >>> import torch
    >>> variance(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)).item()
    16256.25
    """
    image = picture(fused, data_range)
    return _Sums(image).scatter((1,), (1,)) / _pixels(image)


def mean_squared_error(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0, *, white: float = WHITE
) -> Tensor:
    """Mean squared error MSE: mean over the sources of ``mean((X - F)^2)``, in squared gray levels. Lower is better.

    In [0, 65025]. With ``white=1``, of images in [0, 1].

    >>> import torch
    >>> black = torch.zeros(1, 1, 2, 2)
    >>> mean_squared_error(black, black, black + 1).item()
    32512.5
    """
    f, *sources = pictures(fused, infrared, visible, data_range)
    return _squares(f, sources).mean(0) / _pixels(f) * (white / WHITE) ** 2


def root_mean_squared_error(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0, *, root_of_sum: bool = False
) -> Tensor:
    """Root mean squared error RMSE: mean over the sources of ``sqrt(mean((X - F)^2))``. Lower is better.

    In gray levels, in [0, 255]. ``root_of_sum`` is an accident of VIFB: ``sqrt(sum((X - F)^2)) / (H W)``, which shrinks
    as images grow. Jagalingam and Hegde, Aquatic Procedia 2015.

    >>> import torch
    >>> black = torch.zeros(1, 1, 2, 2)
    >>> root_mean_squared_error(black, black, black + 1).item()
    127.5
    """
    f, *sources = pictures(fused, infrared, visible, data_range)
    return _errors(f, sources, root_of_sum).mean(0)


def peak_signal_to_noise_ratio(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    peak: float | Literal["fused"] = 255.0,
    white: float = WHITE,
    per_source: bool = False,
    root_of_sum: bool = False,
) -> Tensor:
    """Peak signal to noise ratio PSNR: ``10 log10(peak^2 / MSE)``, in dB. Higher is better.

    MSE is the mean over both sources, before the logarithm. Above 0; inf where all three images are the same.
    Jagalingam and Hegde, Aquatic Procedia 2015.

    Args:
        fused: (N, 1, H, W) in [0, data_range].
        infrared: its first source.
        visible: its second source.
        data_range: highest value of the images.
        peak: ``fused`` is an accident: the highest level of that fused image, so that dark images score low; -inf where
            it is black, nan where all are.
        white: the level of white. 1 with a peak of 255 is an accident: an error of images in [0, 1] against the peak of
            levels, 48.13 dB too high.
        per_source: mean of the two sources' ratios, in place of the ratio of their mean error.
        root_of_sum: an accident: in place of MSE, RMSE with its own accident. Grows with the size of the image.

    >>> import torch
    >>> black = torch.zeros(1, 1, 2, 2)
    >>> round(peak_signal_to_noise_ratio(black, black, black + 1).item(), 6)
    3.0103
    """
    f, *sources = pictures(fused, infrared, visible, data_range)
    error = _errors(f, sources, True) if root_of_sum else _squares(f, sources) / _pixels(f)
    error = error * (white / WHITE) ** 2
    highest = f.levels.amax((1, 2, 3)) if peak == "fused" else peak
    ratios = 10 * torch.log10(highest**2 / (error if per_source else error.mean(0, keepdim=True)))
    return ratios.mean(0)


def correlation_coefficient(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Correlation coefficient CC: mean over the sources of Pearson's r with the fused image. Higher is better.

    In [-1, 1]; gain and offset of an image change nothing. nan where an image is constant.

    >>> import torch
    >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None]
    >>> correlation_coefficient(board, board / 2, 1 - board).item()
    0.0
    """
    sums = _Sums(*pictures(fused, infrared, visible, data_range))
    return (sums.correlation((1, 0, 0), (0, 1, 0)) + sums.correlation((1, 0, 0), (0, 0, 1))) / 2


def sum_of_correlations_of_differences(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """SCD: ``r(fused - visible, infrared) + r(fused - infrared, visible)``, in [-2, 2]. Higher is better.

    Differences keep their sign. nan where a source is constant, or differs from the fused image by a constant.
    Aslantas and Bendes, AEU 2015.

    >>> import torch
    >>> infrared = torch.tensor([0.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    >>> visible = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 2, 2)
    >>> round(sum_of_correlations_of_differences(infrared + visible, infrared, visible).item(), 9)
    2.0
    """
    sums = _Sums(*pictures(fused, infrared, visible, data_range))
    return sums.correlation((1, 0, -1), (0, 1, 0)) + sums.correlation((1, -1, 0), (0, 0, 1))


class _Sums:
    """Second moments of images, and of their sums and differences, from the sums of products of every two.

    These are whole numbers, and stay so when levels are counted from the rounded means instead of 0. That takes out
    what is large before anything is rounded: no small variance is lost, and that of a constant is exactly zero.
    """

    def __init__(self, *images: Picture) -> None:
        self.pixels = _pixels(images[0])
        count = range(len(images))
        rows = [[_product(images[min(i, j)], images[max(i, j)]) for j in count] for i in count]
        products = torch.stack([torch.stack(row, -1) for row in rows], -2)
        totals = torch.stack([_total(image) for image in images], -1)
        means = (totals.detach() / self.pixels).round()
        self.totals = totals - self.pixels * means
        self.products = products - means[..., None] * self.totals[:, None] - totals[..., None] * means[:, None]

    def scatter(self, first: Sequence[int], second: Sequence[int]) -> Tensor:
        """Sum over the pixels of the products of two combinations of the images, each less its mean."""
        u, v = self.totals.new_tensor(first), self.totals.new_tensor(second)
        return self.products @ v @ u - (self.totals @ u) * (self.totals @ v) / self.pixels

    def correlation(self, first: Sequence[int], second: Sequence[int]) -> Tensor:
        """Pearson's r of two combinations of the images; nan where one is constant."""
        variances = self.scatter(first, first) * self.scatter(second, second)
        return ratio_or_nan(self.scatter(first, second), root(variances))


def _pixels(image: Picture) -> int:
    return image.levels[0].numel()


def _total(image: Picture) -> Tensor:
    """Sum of the levels, (N,)."""
    return image.once("total", lambda: image.levels.sum((1, 2, 3)))


def _product(first: Picture, second: Picture) -> Tensor:
    """Sum of the products of levels, (N,); remembered in this order only."""
    # A picture must not remember itself: it would outlive its last use.
    key = "square" if first is second else ("product", second)
    return first.once(key, lambda: torch.einsum("nchw,nchw->n", first.levels, second.levels))


def _squares(fused: Picture, sources: Sequence[Picture]) -> Tensor:
    """Sum of the squared differences from each source, (sources, N)."""
    own = _product(fused, fused)
    return torch.stack([own - 2 * _product(fused, source) + _product(source, source) for source in sources])


def _errors(fused: Picture, sources: Sequence[Picture], root_of_sum: bool) -> Tensor:
    """Root mean squared error against each source, (sources, N)."""
    squares, pixels = _squares(fused, sources), _pixels(fused)
    return root(squares) / pixels if root_of_sum else root(squares / pixels)
