"""Petrovic's account of edges: what fusion keeps, loses and adds, three shares with sum 1."""

from __future__ import annotations

from torch import Tensor

from imfuse.metrics._petrovic import account
from imfuse.metrics._pictures import Image, pictures


def total_performance(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Petrovic's total performance Qabf_p: ``sum(q_a w_a + q_b w_b) / sum(w_a + w_b)``. Higher is better.

    Sobel / 8, mirrored border: strengths g, angles a = atan(gy / gx). A source's edge is kept by
    ``q = sqrt(0.9999 sigmoid(19 (G - 0.5)) * 0.9995 sigmoid(22 (D - 0.5)))`` with the ratio G of the smaller to the
    greater strength, 0 where one is 0, and ``D = ||a_s - a_f| - pi/2| / (pi/2)``. It weighs ``w = g^1.5``, or 0.001
    where g < 2.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in (0, 0.9997], without a unit; with Labf and Nabf it adds up to 1. 0.0087
        where all three images are constant; never nan.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Petrovic and Xydeas, ICCV 2005; as coded by Shreyamsha Kumar, Signal, Image and Video Processing 2013.

    Example:
        >>> import torch
        >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4, 1)[None, None]
        >>> round(total_performance(step, step, step).item(), 4)
        0.9997
    """
    shares = account(*pictures(fused, infrared, visible, data_range))
    return 1 - shares.lost - shares.added


def fusion_loss(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Petrovic's fusion loss Labf: ``sum r ((1 - q_a) w_a + (1 - q_b) w_b) / sum(w_a + w_b)``. Lower is better.

    r is 1 where an edge of at least one source is as strong as the fused one, else 0; q and w as in
    ``total_performance``.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 1], without a unit; 0.991 where all three images are constant; never
        nan.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Petrovic and Xydeas, ICCV 2005.

    Example:
        >>> import torch
        >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4, 1)[None, None]
        >>> round(fusion_loss(torch.zeros_like(step), step, step).item(), 4)
        1.0
    """
    return account(*pictures(fused, infrared, visible, data_range)).lost


def fusion_artefacts(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0, *, original: bool = False
) -> Tensor:
    """Fusion artefacts Nabf: ``sum n ((1 - q_a) w_a + (1 - q_b) w_b) / sum(w_a + w_b)``. Lower is better.

    n is 1 where the fused edge is stronger than those of both sources, else 0; q and w as in
    ``total_performance``.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.
        original: Petrovic's form of 2005, ``sum n (2 - q_a - q_b) (w_a + w_b) / sum(w_a + w_b)``, in [0, 2].

    Returns:
        One value per image, (N,) float64 in [0, 1], without a unit; 0 where the fused image is constant; never nan.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Shreyamsha Kumar, Signal, Image and Video Processing 2013; the original form: Petrovic and Xydeas, ICCV 2005.

    Example:
        >>> import torch
        >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4, 1)[None, None]
        >>> round(fusion_artefacts(step, step / 2, step / 2).item(), 4)
        0.2866
    """
    shares = account(*pictures(fused, infrared, visible, data_range))
    return shares.added_in_full if original else shares.added
