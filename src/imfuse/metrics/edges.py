"""Metrics of how much of the sources' edges, by strength and direction, the fused image keeps."""

from __future__ import annotations

from torch import Tensor

from imfuse.metrics._edges import edges_kept_per_pixel, kept_edges
from imfuse.metrics._pictures import Image, pictures


def gradient_quality(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Gradient quality Qabf: ``sum(q_a g_a + q_b g_b) / sum(g_a + g_b)`` over all pixels. Higher is better.

    Sobel strengths g and angles a = atan(gy / gx), zero border. A source's edge is kept by
    ``q = 0.9994 sigmoid(15 (G - 0.5)) * 0.9879 sigmoid(22 (D - 0.8))`` with the ratio G of the smaller to the greater
    strength and ``D = 1 - |a_s - a_f| / (pi/2)``. Angles do not wrap: +89 and -89 degrees are opposites.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 0.9748], without a unit; the latter for three images that are the same.
        nan where both sources are 0; another constant still has edges, against the zero border.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Xydeas and Petrovic, Electronics Letters 2000.

    Example:
        >>> import torch
        >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4, 1)[None, None]
        >>> round(gradient_quality(step, step, step).item(), 6)
        0.974794
    """
    return kept_edges(*pictures(fused, infrared, visible, data_range))


def survey_gradient_quality(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Gradient quality QG as a survey computed it: mean over pixels of ``(q_a g_a + q_b g_b) / (g_a + g_b)``.

    As Qabf with ``q = sigmoid(10 (G - 0.5)) sigmoid(20 (D - 0.75))``, angles that wrap,
    ``D = ||a_s - a_f| - pi/2| / (pi/2)``, and 1e-5 in place of strengths and changes across that are 0. All pixels
    count the same, those of flat areas too. Higher is better.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 0.9867], without a unit; never nan.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Xydeas and Petrovic, Electronics Letters 2000, as computed by Liu et al., IEEE TPAMI 2012.

    Example:
        >>> import torch
        >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4, 1)[None, None]
        >>> round(survey_gradient_quality(step, step, step).item(), 6)
        0.986659
    """
    return edges_kept_per_pixel(*pictures(fused, infrared, visible, data_range))
