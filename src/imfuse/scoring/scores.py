"""The scores of methods on pairs: one row per fused picture, their statistics, and both as files."""

from __future__ import annotations

import importlib
import json
import math
import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from imfuse.core.errors import ImfuseError, MetricError
from imfuse.core.version import VERSION
from imfuse.imaging import write_file
from imfuse.imaging.sensors.display import Limits
from imfuse.metrics import METRICS, get_convention, get_definition
from imfuse.scoring.html import html_table
from imfuse.scoring.ranges import UsedRange, summary_of
from imfuse.scoring.spreadsheet import csv_text
from imfuse.scoring.summary import Summary, summarise

_SHORT = reprlib.Repr()


@dataclass(frozen=True)
class ImageScores:
    """What one fused picture scores.

    Args:
        method: the method that made it.
        image: the name of its pair.
        values: the value under each symbol; nan where a metric is undefined.
        infrared_range: which values of the infrared picture were black and white; ``None`` where it is not known.
        visible_range: the same of the visible picture.

    Example:
        >>> ImageScores("ours", "01", {"EN": 6.5}).values["EN"]
        6.5
    """

    method: str
    image: str
    values: Mapping[str, float]
    infrared_range: UsedRange | None = None
    visible_range: UsedRange | None = None


@dataclass(frozen=True)
class Failure:
    """A picture that could not be scored.

    Args:
        method: the method that made it; empty where a source is the reason.
        image: the name of its pair.
        message: why.
    """

    method: str
    image: str
    message: str


@dataclass(frozen=True, repr=False)
class Scores:
    """Scores of one or several methods on the same pairs; a notebook shows them as a table.

    :func:`imfuse.score_folders` makes them.

    Args:
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

    Example:
        >>> rows = tuple(ImageScores("ours", name, {"EN": value}) for name, value in (("01", 6.5), ("02", 7.0)))
        >>> scores = Scores("plain", ("EN",), ("ours",), pairs=2, rows=rows)
        >>> scores
        Scores(convention='plain', methods=('ours',), metrics=('EN',), pairs=2, scored=2, failed=0)
        >>> scores.summary("EN").mean
        6.75
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

    def __repr__(self) -> str:
        """One line, however many methods, metrics and rows there are."""
        short = _SHORT.repr
        return (
            f"Scores(convention={self.convention!r}, methods={short(self.methods)}, metrics={short(self.metrics)}, "
            f"pairs={self.pairs}, scored={len(self.rows)}, failed={len(self.failed)})"
        )

    def _repr_html_(self) -> str:
        """A small table, for notebooks."""
        pairs = f"{self.pairs} pair{'' if self.pairs == 1 else 's'}"
        caption = f"{pairs}, convention {self.convention}: mean ± standard deviation"
        if not self.complete:
            caption += "; some pictures have no scores"
        return html_table(self.summaries, self.metrics, caption)

    @property
    def complete(self) -> bool:
        """Whether every method has a scored picture of every pair, and no picture besides."""
        return not (self.failed or any(self.missing.values()) or any(self.unmatched.values()))

    @property
    def ranges(self) -> dict[str, str]:
        """By which ranges the sources were scored, in a few words for "infrared" and "visible", where it is known.

        Each row has its own in full.
        """
        used = {
            "infrared": [row.infrared_range for row in self.rows if row.infrared_range],
            "visible": [row.visible_range for row in self.rows if row.visible_range],
        }
        return {side: summary_of(ranges) for side, ranges in used.items() if ranges}

    @cached_property
    def summaries(self) -> dict[str, dict[str, Summary]]:
        """Statistics by method, then by symbol."""
        return {method: self._summarise(method) for method in self.methods}

    def summary(self, symbol: str, method: str | None = None) -> Summary:
        """Statistics of a metric over the pictures of a method.

        Args:
            symbol: one of ``metrics``.
            method: one of ``methods``; may be left out where there is only one.

        Returns:
            The statistics.

        Raises:
            MetricError: the metric was not scored, or there is no such method.

        Example:
            >>> scores = Scores("plain", ("EN",), ("ours",), pairs=1, rows=(ImageScores("ours", "01", {"EN": 6.5}),))
            >>> scores.summary("EN").count
            1
        """
        chosen = self.methods[0] if method is None and len(self.methods) == 1 else method
        if chosen not in self.methods:
            raise MetricError(f"method {method!r}: one of {', '.join(self.methods)} is expected")
        if symbol not in self.metrics:
            raise MetricError(f"{symbol!r} was not scored; there are {', '.join(self.metrics)}")
        return self.summaries[chosen][symbol]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line per picture: convention, method, image, then the metrics in full precision.

        Names that a spreadsheet would take for a formula, such as ``=1+1``, get an apostrophe in front; of line breaks
        and the like their escapes are written. Where it is known by which ranges the sources were scored, two more
        columns say LOW,HIGH of each.

        Args:
            path: the file; an old one stays whole until the new one is. Its folder is made.

        Raises:
            ImageError: the disk refuses.

        Example:
            ```python
            imfuse.score("fused/", "infrared/", "visible/").to_csv("scores.csv")
            ```
        """
        columns = self._columns()
        write_file(path, csv_text([tuple(columns), *zip(*columns.values(), strict=True)]))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write all there is to know: definitions, statistics, values by image, failures. Undefined is null.

        Args:
            path: the file; an old one stays whole until the new one is. Its folder is made.

        Raises:
            ImageError: the disk refuses.

        Example:
            ```python
            imfuse.score("fused/", "infrared/", "visible/").to_json("scores.json")
            ```
        """
        write_file(path, (json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n").encode("ascii"))

    def to_dataframe(self) -> Any:
        """The scores as a data frame of pandas, which has to be installed: ``pip install pandas``.

        Returns:
            A ``pandas.DataFrame`` with one row per picture and the columns that :meth:`to_csv` writes: ``convention``,
            ``method``, ``image``, then the metrics, nan where one is undefined, then the ranges.

        Raises:
            ImfuseError: pandas is not installed.

        Example:
            ```python
            scores = imfuse.score_folders({"a": "a/", "b": "b/"}, "infrared/", "visible/")
            scores.to_dataframe().groupby("method").median(numeric_only=True)
            ```
        """
        try:
            pandas = importlib.import_module("pandas")
        except ModuleNotFoundError:
            raise ImfuseError("a data frame needs another package: pip install pandas") from None
        return pandas.DataFrame(self._columns()).astype(dict.fromkeys(self.metrics, float))

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
                    "ranges": {row.image: _ranges_of(row) for row in self.rows if row.method == method},
                    "missing": self.missing.get(method, ()),
                    "unmatched": self.unmatched.get(method, ()),
                }
                for method in self.methods
            },
            "failed": [vars(failure) for failure in self.failed],
            "unmatched_infrared": self.unmatched_infrared,
            "unmatched_visible": self.unmatched_visible,
        }

    def _columns(self) -> dict[str, list[Any]]:
        """One value for each row: what tables in files have."""
        columns: dict[str, list[Any]] = {
            "convention": [self.convention] * len(self.rows),
            "method": [row.method for row in self.rows],
            "image": [row.image for row in self.rows],
            **{symbol: [float(row.values[symbol]) for row in self.rows] for symbol in self.metrics},
        }
        if self.ranges:
            columns["infrared_range"] = [_text(row.infrared_range) for row in self.rows]
            columns["visible_range"] = [_text(row.visible_range) for row in self.rows]
        return columns

    def _describe(self, symbol: str) -> dict[str, str]:
        spec, accident = METRICS[symbol], get_definition(symbol, self.convention).accident
        return {"name": spec.name, "unit": spec.unit, "better": spec.better, "accident": accident}

    def _summarise(self, method: str) -> dict[str, Summary]:
        rows = [[row.values[symbol] for symbol in self.metrics] for row in self.rows if row.method == method]
        values = np.array(rows, np.float64).reshape(len(rows), len(self.metrics))
        return summarise(values, self.metrics)


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in values.items()}


def _ranges_of(row: ImageScores) -> dict[str, Any]:
    used = {"infrared": row.infrared_range, "visible": row.visible_range}
    # Stored values have no unit.
    return {side: {key: value for key, value in vars(one).items() if value != ""} for side, one in used.items() if one}


def _text(used: UsedRange | None) -> str:
    return Limits(used.low, used.high, used.unit).text if used else ""
