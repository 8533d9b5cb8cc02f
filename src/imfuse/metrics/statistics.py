"""Metrics from moments and correlations."""

from __future__ import annotations

from torch import Tensor

from imfuse.metrics._levels import check_same_shape, ratio_or_nan, to_levels


def standard_deviation(fused: Tensor, data_range: float = 1.0) -> Tensor:
    """Standard deviation SD of the population of pixels, in gray levels, in [0, 127.5]. Higher is better.

    >>> import torch
    >>> standard_deviation(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)).item()
    127.5
    """
    return to_levels(fused, data_range).flatten(1).std(1, correction=0)


def sum_of_correlations_of_differences(
    fused: Tensor, infrared: Tensor, visible: Tensor, data_range: float = 1.0
) -> Tensor:
    """SCD: ``r(fused - visible, infrared) + r(fused - infrared, visible)``, in [-2, 2]. Higher is better.

    Aslantas and Bendes, AEU 2015. nan where a difference or a source is constant.

    >>> import torch
    >>> infrared = torch.tensor([0.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    >>> visible = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 2, 2)
    >>> round(sum_of_correlations_of_differences(infrared + visible, infrared, visible).item(), 9)
    2.0
    """
    check_same_shape(fused, infrared, visible)
    f, ir, vi = (to_levels(image, data_range).flatten(1) for image in (fused, infrared, visible))
    return pearson(f - vi, ir) + pearson(f - ir, vi)


def pearson(first: Tensor, second: Tensor) -> Tensor:
    """Correlation coefficient over the last axis; nan where one side is constant."""
    a = first - first.mean(-1, keepdim=True)
    b = second - second.mean(-1, keepdim=True)
    return ratio_or_nan((a * b).sum(-1), ((a * a).sum(-1) * (b * b).sum(-1)).sqrt())
