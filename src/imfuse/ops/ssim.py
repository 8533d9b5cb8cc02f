"""Structural similarity SSIM of two images, from moments in a window around each pixel.

Wang, Bovik, Sheikh and Simoncelli, IEEE Transactions on Image Processing 2004. Metrics and losses share these formulas;
which window, border and precision the moments have is up to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of five scales, the finest first: Wang, Simoncelli and Bovik, Asilomar 2003."""


class Moments(NamedTuple):
    """Moments of two images in the window around each pixel; ``variances`` is the sum of both variances."""

    mean_1: Tensor
    mean_2: Tensor
    variances: Tensor
    covariance: Tensor


def constants(peak: float) -> tuple[float, float]:
    """C1 and C2 for images whose range is ``peak``: (0.01 peak)^2 and (0.03 peak)^2."""
    return (0.01 * peak) ** 2, (0.03 * peak) ** 2


def moments(first: Tensor, second: Tensor, mean: Callable[[Tensor], Tensor]) -> Moments:
    """Moments of two images (N, C, H, W), where ``mean`` takes the mean in the window around each pixel."""
    # One pass over five maps: the filter is linear.
    m1, m2, s11, s22, s12 = mean(torch.cat([first, second, first * first, second * second, first * second])).chunk(5)
    return Moments(m1, m2, s11 - m1 * m1 + s22 - m2 * m2, s12 - m1 * m2)


def similarity(mean_1: Tensor, mean_2: Tensor, variances: Tensor, covariance: Tensor, c1: float, c2: float) -> Tensor:
    """SSIM at each pixel (eq. 13): ``(2 m1 m2 + C1) (2 v12 + C2) / ((m1^2 + m2^2 + C1) (v1 + v2 + C2))``."""
    above = (mean_1 * mean_2).add_(c1 / 2) * (covariance + c2 / 2)
    below = (mean_1 * mean_1).addcmul_(mean_2, mean_2).add_(c1) * (variances + c2)
    return above.mul_(4) / below


def contrast_structure(variances: Tensor, covariance: Tensor, c2: float) -> Tensor:
    """SSIM at each pixel without its luminance term: ``(2 v12 + C2) / (v1 + v2 + C2)``."""
    return (2 * covariance).add_(c2) / (variances + c2)
