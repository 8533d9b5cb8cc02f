"""Fusion metrics: functions on tensors (N, 1, H, W) that give one value per image, in float64.

``METRICS`` names those that the library prints, each with its unit and the direction that is better.
"""

from __future__ import annotations

from torch import Tensor

from imfuse.metrics.gradient import average_gradient, spatial_frequency
from imfuse.metrics.information import entropy
from imfuse.metrics.spec import MetricSpec
from imfuse.metrics.statistics import standard_deviation, sum_of_correlations_of_differences

METRICS: dict[str, MetricSpec] = {
    spec.symbol: spec
    for spec in (
        MetricSpec("EN", "entropy", "bit", entropy),
        MetricSpec("SD", "standard deviation", "gray levels", standard_deviation),
        MetricSpec("SF", "spatial frequency", "gray levels", spatial_frequency),
        MetricSpec("AG", "average gradient", "gray levels", average_gradient),
        MetricSpec("SCD", "sum of correlations of differences", "", sum_of_correlations_of_differences, sources=True),
    )
}


def score_images(fused: Tensor, infrared: Tensor, visible: Tensor, data_range: float = 1.0) -> dict[str, Tensor]:
    """All of ``METRICS`` for images (N, 1, H, W): one value per image under each symbol."""
    return {symbol: spec(fused, infrared, visible, data_range) for symbol, spec in METRICS.items()}


__all__ = [
    "METRICS",
    "MetricSpec",
    "average_gradient",
    "entropy",
    "score_images",
    "spatial_frequency",
    "standard_deviation",
    "sum_of_correlations_of_differences",
]
