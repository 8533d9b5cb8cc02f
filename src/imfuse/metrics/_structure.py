"""Structural similarity of a source and the fused picture, and what metrics on several scales share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.metrics._pictures import Picture, at_least, average, mean_of_parts
from imfuse.metrics.window import GAUSSIAN, Window
from imfuse.ops import ssim


def both_similarities(
    fused: Picture, *sources: Picture, window: Window, peak: float, sample: bool, total: bool
) -> Tensor:
    """Mean, or ``total``, of the similarities of both sources; ``peak`` is what counts as the range of the levels."""
    at_least(fused.levels, window.size, "SSIM")
    mean = average(lambda source, f: mean_similarity(source, f, window, peak, sample), fused, *sources)
    return 2 * mean if total else mean


def mean_similarity(
    source: Picture, fused: Picture, window: Window = GAUSSIAN, peak: float = 255, sample: bool = False
) -> Tensor:
    """Mean SSIM over the windows; with ``sample`` variances are those of a sample, not of a population."""
    c1, c2 = ssim.constants(peak)
    if sample:
        # The factor n / (n - 1) of all second moments, taken out of the fraction.
        c2 *= 1 - window.size**-2

    def compute(mean_1: Tensor, var_1: Tensor, mean_2: Tensor, var_2: Tensor, covariance: Tensor) -> Tensor:
        return ssim.similarity(mean_1, mean_2, var_1 + var_2, covariance, c1, c2)

    return mean_of_parts(compute, *window.moments(source), *window.moments(fused), window.covariance(fused, source))


def mean_structure(source: Picture, fused: Picture) -> Tensor:
    """Mean over the windows of SSIM without its luminance term."""
    c2 = ssim.constants(255)[1]

    def compute(var_1: Tensor, var_2: Tensor, covariance: Tensor) -> Tensor:
        return ssim.contrast_structure(var_1 + var_2, covariance, c2)

    moments = GAUSSIAN.moments(source)[1], GAUSSIAN.moments(fused)[1], GAUSSIAN.covariance(fused, source)
    return mean_of_parts(compute, *moments)


def half(picture: Picture) -> Picture:
    """The picture at half the size, remembered: means of 2x2 pixels, an odd last row or column repeated.

    Its levels are no longer whole numbers.
    """

    def compute() -> Picture:
        levels = picture.levels
        padded = F.pad(levels, (0, levels.shape[3] % 2, 0, levels.shape[2] % 2), "replicate")
        return Picture.of_levels(F.avg_pool2d(padded, 2))

    return picture.once("half", compute)


def power(x: Tensor, exponent: float) -> Tensor:
    """A power, 0 of what is not positive, without a slope there."""
    return torch.where(x > 0, x.where(x > 0, 1) ** exponent, 0)
