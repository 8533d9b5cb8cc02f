"""The guided filter: He, Sun and Tang, "Guided image filtering", IEEE TPAMI 35, 2013."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.ops.windows import sum_separable


def truncated_mean(x: Tensor, radius: int) -> Tensor:
    """Mean of (N, C, H, W) over the pixels at most ``radius`` rows and columns away that exist.

    >>> truncated_mean(torch.tensor([[[[1.0, 2.0, 6.0]]]]), 1)
    tensor([[[[1.5000, 3.0000, 4.0000]]]])
    """
    total = sum_separable(F.pad(x, (radius, radius, radius, radius)), 2 * radius + 1)
    rows, columns = (_overlap(side, radius, x) for side in x.shape[2:])
    return total / (rows[:, None] * columns)


def _overlap(size: int, radius: int, like: Tensor) -> Tensor:
    """How many pixels of an axis lie in the window around each."""
    place = torch.arange(size, device=like.device)
    return ((place + radius).clamp(max=size - 1) - (place - radius).clamp(min=0) + 1).to(like.dtype)


def guided_filter(guide: Tensor, image: Tensor, radius: int, epsilon: float) -> Tensor:
    """Smooth ``image`` where ``guide`` is flat, (N, C, H, W) each: in every window it becomes a line of the guide.

    Windows are those of :func:`truncated_mean`. ``epsilon`` is the variance of the guide, in its units squared, below
    which a window counts as flat.
    """
    mean_guide, mean_image = truncated_mean(guide, radius), truncated_mean(image, radius)
    covariance = truncated_mean(guide * image, radius) - mean_guide * mean_image
    variance = truncated_mean(guide.square(), radius) - mean_guide.square()
    slope = covariance / (variance + epsilon)
    offset = mean_image - slope * mean_guide
    return truncated_mean(slope, radius) * guide + truncated_mean(offset, radius)
