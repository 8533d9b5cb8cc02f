"""Statistics of scores: means with their bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

RESAMPLES = 10_000
CONFIDENCE = 95
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Summary:
    """One metric of one method over its pictures. Undefined values (nan, or infinite) are left out and counted.

    :meth:`imfuse.Scores.summary` makes them.

    Args:
        mean: of the defined values; nan where there is none.
        std: their standard deviation, with n - 1; nan for fewer than two.
        low: lower end of the 95 % percentile bootstrap interval of the mean: 10,000 resamplings of the pictures, with
            a fixed seed; nan for fewer than two.
        high: its upper end.
        count: how many values are defined.
        undefined: how many are not.

    Example:
        >>> summarise(np.array([[6.5], [7.5], [np.nan]]), ["EN"])["EN"]
        Summary(mean=7.0, std=0.7071067811865476, low=6.5, high=7.5, count=2, undefined=1)
    """

    mean: float
    std: float
    low: float
    high: float
    count: int
    undefined: int


def summarise(values: Float, metrics: Sequence[str]) -> dict[str, Summary]:
    """Statistics of each column of (images, metrics), by symbol."""
    low, high = bootstrap_intervals(values)
    return {symbol: _summary(values[:, i], float(low[i]), float(high[i])) for i, symbol in enumerate(metrics)}


def bootstrap_intervals(values: Float) -> tuple[Float, Float]:
    """Ends of the 95 % percentile bootstrap interval of the mean of each column of (images, metrics).

    Images are drawn with replacement, all metrics of an image together; a mean leaves out nan. nan for columns with
    fewer than two defined values.
    """
    images, metrics = values.shape
    defined = np.isfinite(values)
    random = np.random.default_rng(0)
    filled = np.where(defined, values, 0)
    means = np.empty((RESAMPLES, metrics))
    step = max(1, _BLOCK // max(1, images))
    for start in range(0, RESAMPLES if images else 0, step):
        part = means[start : start + step]
        drawn = random.integers(images, size=(len(part), images)) + images * np.arange(len(part))[:, None]
        counts = np.bincount(drawn.ravel(), minlength=len(part) * images).reshape(len(part), images).astype(np.float64)
        with np.errstate(invalid="ignore"):
            # A draw of nothing but undefined values has no mean: 0/0, which the percentiles then leave out.
            np.divide(counts @ filled, counts @ defined, out=part)
    ends = np.full((2, metrics), np.nan)
    enough = defined.sum(0) > 1
    tail = (100 - CONFIDENCE) / 2
    ends[:, enough] = np.nanpercentile(means[:, enough], (tail, 100 - tail), axis=0)
    return ends[0], ends[1]


def _summary(values: Float, low: float, high: float) -> Summary:
    defined = values[np.isfinite(values)]
    mean = float(defined.mean()) if len(defined) else math.nan
    std = float(defined.std(ddof=1)) if len(defined) > 1 else math.nan
    return Summary(mean, std, low, high, len(defined), len(values) - len(defined))
