"""Structural similarity: luminance, contrast and structure in windows, on one scale or five."""

from __future__ import annotations

from torch import Tensor

from imfuse.metrics._pictures import Image, Picture, at_least, average, pictures
from imfuse.metrics._structure import both_similarities, half, mean_similarity, mean_structure, power
from imfuse.metrics.window import GAUSSIAN, Window
from imfuse.ops.ssim import SCALE_WEIGHTS


def structural_similarity(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    window: Window = GAUSSIAN,
    sample: bool = False,
    total: bool = False,
) -> Tensor:
    """Structural similarity SSIM, mean of both sources. Higher is better.

    Mean over the windows of ``(2 m1 m2 + C1) (2 v12 + C2) / ((m1^2 + m2^2 + C1) (v1 + v2 + C2))``, with
    ``C1 = (0.01 * 255)^2`` and ``C2 = (0.03 * 255)^2``.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least the size of the window.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.
        window: in which moments are taken.
        sample: variances are those of a sample (n - 1), not of a population.
        total: the sum of both sources instead of their mean.

    Returns:
        One value per image, (N,) float64 in [-1, 1], without a unit. Constant images have one too.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Wang, Bovik, Sheikh and Simoncelli, IEEE Transactions on Image Processing 2004, eq. 13.

    Example:
        >>> import torch
        >>> source = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> round(structural_similarity(source, source, source).item(), 9)
        1.0
    """
    triple = pictures(fused, infrared, visible, data_range)
    return both_similarities(*triple, window=window, peak=255, sample=sample, total=total)


def multi_scale_structural_similarity(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Multi-scale structural similarity MS_SSIM, mean of both sources. Higher is better.

    Product over five scales, each half the size of the one before, of the mean of ``(2 v12 + C2) / (v1 + v2 + C2)``, in
    the last of the whole SSIM, to the powers 0.0448, 0.2856, 0.3001, 0.2363 and 0.1333; negative means count as 0.
    Windows and constants are those of ``structural_similarity``.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 161.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 1], without a unit.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Wang, Simoncelli and Bovik, Asilomar Conference on Signals, Systems and Computers 2003.

    Example:
        >>> import torch
        >>> source = torch.rand(1, 1, 161, 176, generator=torch.Generator().manual_seed(0))
        >>> round(multi_scale_structural_similarity(source, source, source).item(), 9)
        1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 161, "MS-SSIM")
    return average(_similarity_of_scales, f, a, b)


def _similarity_of_scales(source: Picture, fused: Picture) -> Tensor:
    product = fused.levels.new_ones(())
    for weight in SCALE_WEIGHTS[:-1]:
        product = product * power(mean_structure(source, fused), weight)
        source, fused = half(source), half(fused)
    return product * power(mean_similarity(source, fused), SCALE_WEIGHTS[-1])
