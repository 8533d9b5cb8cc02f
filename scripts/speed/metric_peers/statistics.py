"""Deviations, errors and correlations in NumPy, each on its own, as the CDDFuse evaluator (copied into MMDRFuse,
HiFusion, Diff-IF) and the Python ports of the MATLAB toolbox do. VAR and RMSE are squares and roots of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Levels = np.ndarray[Any, Any]


def standard_deviation(fused: Levels, infrared: Levels, visible: Levels) -> float:
    return float(np.std(fused.astype(np.float64)))


def variance(fused: Levels, infrared: Levels, visible: Levels) -> float:
    return float(np.var(fused.astype(np.float64)))


def mean_squared_error(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = (image.astype(np.float64) for image in (fused, infrared, visible))
    return float(np.mean((a - f) ** 2) + np.mean((b - f) ** 2)) / 2


def root_mean_squared_error(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = (image.astype(np.float64) for image in (fused, infrared, visible))
    return float(np.sqrt(np.mean((a - f) ** 2)) + np.sqrt(np.mean((b - f) ** 2))) / 2


def peak_signal_to_noise_ratio(fused: Levels, infrared: Levels, visible: Levels) -> float:
    return float(10 * np.log10(255**2 / mean_squared_error(fused, infrared, visible)))


def correlation_coefficient(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = (image.astype(np.float64) for image in (fused, infrared, visible))
    return (_correlation(a, f) + _correlation(b, f)) / 2


def sum_of_correlations_of_differences(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = (image.astype(np.float64) for image in (fused, infrared, visible))
    return _correlation(f - b, a) + _correlation(f - a, b)


def _correlation(x: Levels, y: Levels) -> float:
    x, y = x - np.mean(x), y - np.mean(y)
    return float(np.sum(x * y) / np.sqrt(np.sum(x**2) * np.sum(y**2)))


PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {
    "SD": standard_deviation,
    "VAR": variance,
    "MSE": mean_squared_error,
    "RMSE": root_mean_squared_error,
    "PSNR": peak_signal_to_noise_ratio,
    "CC": correlation_coefficient,
    "SCD": sum_of_correlations_of_differences,
}
