"""Visual information fidelity VIF in the domain of pixels, from moments in Gaussian windows on four scales.

Sheikh and Bovik, IEEE Transactions on Image Processing 2006. Metrics and losses share these formulas; precision and
filters are up to them. Levels are those of 0..255. Each scale is the finer one, seen through the window of the coarser
at every second pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.ops.windows import gaussian

WINDOWS = (17, 9, 5, 3)
"""Sides of the Gaussian windows, the finest scale first. Images of 41, 17, 7 and 3 pixels meet them."""
MIN_SIZE = 41
EYE = 2.0
"""Variance of the noise in the eye, in gray levels squared."""
SMALLEST = 1e-10
"""Variances below it count as none."""


def window_taps(size: int) -> Tensor:
    """Weights along one axis of the window of a scale, (size,) float64 with sum 1."""
    return gaussian(size, size / 5)


def without_noise(variance: Tensor) -> Tensor:
    """The variance, and 0 where it is less than rounding may leave."""
    return F.threshold(variance, SMALLEST, 0)


def gain_and_noise(variance: Tensor, variance_fused: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Gain with which a source appears in the fused image, and the variance of the noise there.

    There is no gain where either image is flat, nor where one is the negative of the other. Variances are those of
    ``without_noise``.
    """
    shared = covariance.clamp(min=0).mul_(variance.sign()).mul_(variance_fused.sign())
    gain = shared / (variance + SMALLEST)
    return gain, torch.addcmul(variance_fused, gain, shared, value=-1).clamp_(min=SMALLEST)


def signal_to_noise(gain: Tensor, noise: Tensor, variance: Tensor, eye: float = EYE) -> Tensor:
    """Variance of what is seen of the source in the fused image, by that of the noise there and in the eye."""
    return gain.square() * variance / (noise + eye)


def information(ratio: Tensor) -> Tensor:
    """Sum of ``ln(1 + ratio)`` over each image (N, C, H, W), for ratios from 0 to 1e18."""
    if ratio.dtype != torch.float64:
        return torch.log1p(ratio).sum((1, 2, 3))
    # Logarithms are slow in float64, products are not: the logarithm of 16 values at a time.
    x = 1 + ratio
    groups = x[0].numel() // 16
    whole, rest = x.flatten(1).tensor_split([16 * groups], 1)
    return whole.view(len(x), 16, groups).prod(1).log().sum(1) + rest.log().sum(1)
