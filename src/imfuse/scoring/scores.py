"""The scores of methods on pairs: one row per fused picture, their statistics, and both as files."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import MetricError
from imfuse.core.version import VERSION
from imfuse.imaging import write_file
from imfuse.metrics import METRICS, get_convention, get_definition

Float = npt.NDArray[np.float64]

RESAMPLES = 10_000
CONFIDENCE = 95
_BLOCK = 1 << 22


@dataclass(frozen=True)
class ImageScores:
    """What one fused picture scores; ``image`` is the name of its pair, and nan says that a metric is undefined."""

    method: str
    image: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Failure:
    """A picture that could not be scored; ``method`` is empty where a source is the reason."""

    method: str
    image: str
    message: str


@dataclass(frozen=True)
class Summary:
    """One metric of one method over its pictures. Undefined values (nan, or infinite) are left out and counted.

    Attributes:
        mean: of the defined values; nan where there is none.
        std: their standard deviation, with n - 1; nan for fewer than two.
        low: lower end of the 95 % percentile bootstrap interval of the mean: 10,000 resamplings of the pictures, with
            a fixed seed; nan for fewer than two.
        high: its upper end.
        count: how many values are defined.
        undefined: how many are not.
    """

    mean: float
    std: float
    low: float
    high: float
    count: int
    undefined: int


@dataclass(frozen=True)
class Scores:
    """Scores of one or several methods on the same pairs.

    Attributes:
        convention: under which they were computed.
        metrics: symbols, in the order of tables.
        methods: names, in the order of tables.
        pairs: how many pairs of source pictures there are.
        rows: one for each picture that was scored, method by method, in the order of the pairs.
        failed: pictures that could not be scored, with the reason.
        missing: for each method, the pairs that it has no fused picture of.
        unmatched: for each method, the files that belong to no pair.
        unmatched_infrared: infrared files without a partner.
        unmatched_visible: visible files without a partner.
        seconds: wall time.
    """

    convention: str
    metrics: tuple[str, ...]
    methods: tuple[str, ...]
    pairs: int
    rows: tuple[ImageScores, ...]
    failed: tuple[Failure, ...] = ()
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unmatched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unmatched_infrared: tuple[str, ...] = ()
    unmatched_visible: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every method has a scored picture of every pair, and no picture besides."""
        return not (self.failed or any(self.missing.values()) or any(self.unmatched.values()))

    @cached_property
    def summaries(self) -> dict[str, dict[str, Summary]]:
        """Statistics by method, then by symbol."""
        return {method: self._summarise(method) for method in self.methods}

    def summary(self, symbol: str, method: str | None = None) -> Summary:
        """Statistics of a metric; ``method`` may be left out where there is one. Raises ``MetricError``."""
        chosen = self.methods[0] if method is None and len(self.methods) == 1 else method
        if chosen not in self.methods:
            raise MetricError(f"method {method!r}: one of {', '.join(self.methods)} is expected")
        if symbol not in self.metrics:
            raise MetricError(f"{symbol!r} was not scored; there are {', '.join(self.metrics)}")
        return self.summaries[chosen][symbol]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line per picture: convention, method, image, then the metrics in full precision.

        The old file stays whole until the new one is. Raises ``ImageError`` where the disk refuses.
        """
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("convention", "method", "image", *self.metrics))
        for row in self.rows:
            table.writerow((self.convention, row.method, row.image, *(row.values[symbol] for symbol in self.metrics)))
        # Names of files may be no text.
        write_file(path, text.getvalue().encode("utf-8", "backslashreplace"))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write all there is to know: definitions, statistics, values by image, failures. Undefined is null.

        The old file stays whole until the new one is. Raises ``ImageError`` where the disk refuses.
        """
        write_file(path, (json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n").encode("ascii"))

    def as_dict(self) -> dict[str, Any]:
        """What ``to_json`` writes."""
        convention = get_convention(self.convention)
        return {
            "imfuse": VERSION,
            "convention": {"name": convention.name, "origin": convention.origin, "gray": convention.gray},
            "metrics": {symbol: self._describe(symbol) for symbol in self.metrics},
            "pairs": self.pairs,
            "methods": {
                method: {
                    "summary": {symbol: _without_nan(vars(one)) for symbol, one in self.summaries[method].items()},
                    "images": {row.image: _without_nan(row.values) for row in self.rows if row.method == method},
                    "missing": self.missing.get(method, ()),
                    "unmatched": self.unmatched.get(method, ()),
                }
                for method in self.methods
            },
            "failed": [vars(failure) for failure in self.failed],
            "unmatched_infrared": self.unmatched_infrared,
            "unmatched_visible": self.unmatched_visible,
        }

    def _describe(self, symbol: str) -> dict[str, str]:
        spec, accident = METRICS[symbol], get_definition(symbol, self.convention).accident
        return {"name": spec.name, "unit": spec.unit, "better": spec.better, "accident": accident}

    def _summarise(self, method: str) -> dict[str, Summary]:
        rows = [[row.values[symbol] for symbol in self.metrics] for row in self.rows if row.method == method]
        values = np.array(rows, np.float64).reshape(len(rows), len(self.metrics))
        low, high = bootstrap_intervals(values)
        return {symbol: _summary(values[:, i], float(low[i]), float(high[i])) for i, symbol in enumerate(self.metrics)}


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


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
