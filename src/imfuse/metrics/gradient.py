"""Metrics of the fused image alone, from differences of neighbouring pixels."""

from __future__ import annotations

import cv2
import torch
from torch import Tensor

from imfuse.metrics._pictures import Image, at_least, picture
from imfuse.metrics._sobel import root, sobel


def spatial_frequency(
    fused: Image, data_range: float = 1.0, *, white: float = 255.0, per_pixel: bool = False
) -> Tensor:
    """Spatial frequency SF: ``sqrt(mean(down^2) + mean(across^2))`` of differences of neighbours. Higher is better.

    Each mean runs over the differences that exist, (H-1)W and H(W-1).

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 2.
        data_range: the value of white.
        white: the value of white in the score: 255 for gray levels, 1 for images in [0, 1].
        per_pixel: divide both sums by H W.

    Returns:
        One value per image, (N,) float64 in [0, 361), in gray levels; 0 for a constant image.

    Raises:
        MetricError: the image is not what ``Picture`` takes or is too small.

    Source:
        Eskicioglu and Fisher, IEEE Transactions on Communications 1995.

    Example:
        >>> round(spatial_frequency(torch.tensor([[0.0, 1.0], [0.0, 1.0]])[None, None]).item(), 9)
        255.0
    """
    levels = picture(fused, data_range).levels
    at_least(levels, 2, "a gradient")

    def mean_square(differences: Tensor) -> Tensor:
        count = levels[0].numel() if per_pixel else differences[0].numel()
        return torch.einsum("nchw,nchw->n", differences, differences) / count

    return root(mean_square(levels.diff(dim=2)) + mean_square(levels.diff(dim=3))) * (white / 255)


def average_gradient(fused: Image, data_range: float = 1.0, *, per_pixel: bool = False) -> Tensor:
    """Average gradient AG: ``sum sqrt((gx^2 + gy^2) / 2) / ((H-1)(W-1))``. Higher is better.

    Central differences, one-sided on the border; all H W pixels are summed. That is the form of the field's tables; the
    textbook's uses forward differences.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 2.
        data_range: the value of white.
        per_pixel: divide the sum by H W.

    Returns:
        One value per image, (N,) float64 from 0, about 127.5 at most for large images, in gray levels; 0 for a constant
        image.

    Raises:
        MetricError: the image is not what ``Picture`` takes or is too small.

    Source:
        Cui, Feng, Xu, Li and Chen, Optics Communications 2015.

    Example:
        >>> ramp = torch.arange(4.0).repeat(4, 1)[None, None]
        >>> round(average_gradient(ramp, data_range=255).item(), 6)
        1.257079
    """
    levels = picture(fused, data_range).levels
    at_least(levels, 2, "a gradient")
    height, width = levels.shape[2:]
    total = _length(_twice_central(levels, 2), _twice_central(levels, 3)).sum((1, 2, 3)) / 8**0.5
    return total / (height * width if per_pixel else (height - 1) * (width - 1))


def _twice_central(x: Tensor, dim: int) -> Tensor:
    """Next pixel less previous one; lines drawn on beyond the border make that one-sided there."""
    size = x.shape[dim]
    first, second = x.narrow(dim, 0, 1), x.narrow(dim, 1, 1)
    last, before = x.narrow(dim, size - 1, 1), x.narrow(dim, size - 2, 1)
    drawn_on = torch.cat([2 * first - second, x, 2 * last - before], dim)
    return drawn_on.narrow(dim, 2, size) - drawn_on.narrow(dim, 0, size)


def edge_intensity(fused: Image, data_range: float = 1.0) -> Tensor:
    """Edge intensity EI: mean length of the Sobel gradient. Higher is better.

    Kernels of 1, 2, 1 that are not divided by their sum, replicated border.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 1443), in gray levels times 8; 0 for a constant image.

    Raises:
        MetricError: the image is not what ``Picture`` takes.

    Source:
        Rajalingam and Priya, International Journal of Engineering Science Invention 2018, as the VIFB benchmark
        computes it.

    Example:
        >>> ramp = torch.arange(4.0).repeat(4, 1)[None, None]
        >>> edge_intensity(ramp, data_range=255).item()
        6.0
    """
    return _length(*sobel(picture(fused, data_range).levels, "replicate")).mean((1, 2, 3))


def _length(down: Tensor, across: Tensor) -> Tensor:
    """``sqrt(down^2 + across^2)``, with gradient 0 at 0; writes over ``down`` if there is no gradient."""
    if down.requires_grad or down.device.type != "cpu":
        return root(down.square() + across.square())
    # OpenCV takes a third of the time that NumPy takes for the root alone.
    rows = down.flatten(0, 2).numpy()
    cv2.magnitude(rows, across.flatten(0, 2).numpy(), rows)
    return down
