"""The guided filter of He, Sun and Tang, "Guided image filtering", IEEE TPAMI 35, 2013.

Within every window the output is a linear function of the guide, fitted to the input by least squares; a pixel takes
the mean over all windows that cover it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.ops.windows import sum_separable


def truncated_mean(x: Tensor, radius: int) -> Tensor:
    """Mean of (N, C, H, W) over windows of radius ``radius``, truncated at the border of the image.

    >>> truncated_mean(torch.tensor([[[[1.0, 2.0, 6.0]]]]), 1)
    tensor([[[[1.5000, 3.0000, 4.0000]]]])
    """
    total = sum_separable(F.pad(x, (radius, radius, radius, radius)), 2 * radius + 1)
    rows, columns = (_window_lengths(side, radius, x) for side in x.shape[2:])
    return total / (rows[:, None] * columns)


def _window_lengths(size: int, radius: int, like: Tensor) -> Tensor:
    """Number of pixels along an axis in the truncated window around each pixel, (size,)."""
    position = torch.arange(size, device=like.device)
    return ((position + radius).clamp(max=size - 1) - (position - radius).clamp(min=0) + 1).to(like.dtype)


def guided_filter(guide: Tensor, image: Tensor, radius: int, epsilon: float) -> Tensor:
    """Smooths an image and keeps the edges of its guide.

    Args:
        guide: (N, C, H, W).
        image: (N, C, H, W).
        radius: of the windows, in pixels; they are truncated at the border as in :func:`truncated_mean`.
        epsilon: variance of the guide, in its units squared, below which a window counts as flat.

    Returns:
        The filtered image, (N, C, H, W).

    Source:
        He, Sun and Tang, IEEE TPAMI 35, 2013, algorithm 1.
    """
    mean_guide, mean_image = truncated_mean(guide, radius), truncated_mean(image, radius)
    covariance = truncated_mean(guide * image, radius) - mean_guide * mean_image
    variance = truncated_mean(guide.square(), radius) - mean_guide.square()
    slope = covariance / (variance + epsilon)
    offset = mean_image - slope * mean_guide
    return truncated_mean(slope, radius) * guide + truncated_mean(offset, radius)
