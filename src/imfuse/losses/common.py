"""Terms that more than one objective uses. Images are (N, 1, H, W) in [0, 1]; a term is a scalar tensor."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F


@cache
@torch.inference_mode(False)  # What validation makes first must serve training too.
def _blur_matrix(length: int, window: int, sigma: float) -> Tensor:
    """Gaussian blur of ``length`` values as a matrix, the mirrored border included."""
    offsets = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    matrix = torch.zeros(length, length, dtype=torch.float64)
    for place in range(length):
        mirrored = (place + offsets.long()).abs()
        mirrored = torch.where(mirrored < length, mirrored, 2 * (length - 1) - mirrored)
        matrix[place].index_add_(0, mirrored, weights / weights.sum())
    return matrix


def _gaussian_mean(x: Tensor, window: int, sigma: float) -> Tensor:
    height, width = x.shape[-2:]
    down, across = (_blur_matrix(length, window, sigma).to(x) for length in (height, width))
    # Products with two matrices: training steps are many times faster than with one-channel convolutions.
    # The variances are differences of nearly equal numbers: mixed precision must not touch them.
    with torch.autocast(x.device.type, enabled=False):
        return down @ x @ across.t()


def ssim_map(first: Tensor, second: Tensor, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Structural similarity at every pixel (Wang 2004, eq. 13): Gaussian window, mirrored border, dynamic range 1.

    Moments are those of the population. H and W must exceed ``window // 2``.
    """
    c1, c2 = 0.01**2, 0.03**2
    # One pass over five maps: the filter is linear.
    stacked = torch.cat([first, second, first * first, second * second, first * second])
    m1, m2, s11, s22, s12 = _gaussian_mean(stacked, window, sigma).chunk(5)
    luminance = (2 * m1 * m2 + c1) / (m1 * m1 + m2 * m2 + c1)
    return luminance * (2 * (s12 - m1 * m2) + c2) / (s11 - m1 * m1 + s22 - m2 * m2 + c2)


def dssim(first: Tensor, second: Tensor, window: int = 11) -> Tensor:
    """Mean of ``clip(1 - SSIM, 0, 1) / 2``: at most 1/2, without a gradient where SSIM is negative.

    This is the form of the library release that AUIF-Net and DIDFuse were trained with; later ones halve before they
    clip.

    >>> image = torch.rand(1, 1, 16, 16)
    >>> dssim(image, image).item() < 1e-6
    True
    """
    return (1 - ssim_map(first, second, window)).clamp(0, 1).mean() / 2


def sobel_gradient(image: Tensor) -> Tensor:
    """Sobel derivatives divided by 8, edge pixels repeated: (N, 1, H, W) to (N, 2, H, W), x first."""
    smooth, slope = image.new_tensor([1.0, 2.0, 1.0]), image.new_tensor([-1.0, 0.0, 1.0])
    kernel = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None] / 8
    with torch.autocast(image.device.type, enabled=False):
        return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernel)
