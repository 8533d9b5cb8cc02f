"""The numbers of a benchmark with all they depend on: ``results.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imfuse.core.errors import BenchmarkError
from imfuse.imaging import write_file
from imfuse.scoring.scores import Failure, ImageScores, Scores

FORMAT = 1
_MAX_BYTES = 1 << 30


@dataclass
class DataResults:
    """One data set: its pairs, and what the methods made of them.

    Attributes:
        title: its name in words.
        infrared: folder of the infrared pictures.
        visible: folder of the visible ones.
        pairs: by name: the two file names and their SHA-256.
        pictures: by method and pair: file (from the folder of the results), SHA-256 and scores of the fused picture.
        failed: by method ("" for all) and pair: why there are no scores.
        missing: by method: pairs without a fused picture.
        unmatched: by method: files that belong to no pair.
        unmatched_infrared: infrared files without a partner.
        unmatched_visible: visible files without a partner.
    """

    title: str
    infrared: str
    visible: str
    pairs: dict[str, dict[str, str]] = field(default_factory=dict)
    pictures: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    unmatched: dict[str, list[str]] = field(default_factory=dict)
    unmatched_infrared: list[str] = field(default_factory=list)
    unmatched_visible: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every method has scores for every pair, and no picture besides."""
        return not (any(self.failed.values()) or any(self.missing.values()) or any(self.unmatched.values()))


@dataclass
class Results:
    """What ``results.json`` holds.

    Attributes:
        imfuse: version of this library.
        date: when the run ended (UTC, ISO 8601); the only value that differs between equal runs.
        environment: versions of Python and of the libraries, platform, device.
        convention: its name, origin and gray rule.
        metrics: by symbol: name, unit, better direction, known accident.
        range: what of the infrared picture became black and white.
        against: the method that the others are compared with.
        methods: by name: kind ("model" or "pictures"), title, and for models weights with their hash
            (None for a training-free one), options, paper.
        data: by name.
    """

    imfuse: str
    date: str
    environment: dict[str, str]
    convention: dict[str, str]
    metrics: dict[str, dict[str, str]]
    range: str
    against: str
    methods: dict[str, dict[str, Any]]
    data: dict[str, DataResults]

    @property
    def complete(self) -> bool:
        """Whether nothing failed and nothing is missing."""
        return all(one.complete for one in self.data.values())

    def methods_on(self, data: str) -> list[str]:
        """Methods that have pictures of a data set, in the order of the tables."""
        return [method for method in self.methods if self.data[data].pictures.get(method)]

    def scores(self, data: str) -> Scores:
        """The values of one data set, with their statistics."""
        return _scores(self, data)

    def write(self, path: Path) -> None:
        """Write as JSON. The old file stays whole until the new one is."""
        content = {"format": FORMAT, **vars(self), "data": {name: vars(one) for name, one in self.data.items()}}
        # Not indented by pair: a line for each value would make the file three times as long.
        write_file(path, (json.dumps(content, allow_nan=False, indent=1) + "\n").encode("ascii"))


def read_results(path: Path) -> Results:
    """Read ``results.json`` (or the folder that holds it); raises ``BenchmarkError``."""
    file = path / "results.json" if path.is_dir() else path
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise BenchmarkError(f"{file}: too large for the results of a benchmark (1 GiB at most)")
        content = json.loads(file.read_text(encoding="ascii"))
        if content.pop("format") != FORMAT:
            raise BenchmarkError(f"{file}: of another format than this version reads", "run the benchmark again")
        content["data"] = {name: DataResults(**one) for name, one in content["data"].items()}
        return Results(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or "not what imfuse benchmark writes"
        raise BenchmarkError(f"{file}: {reason}", "give the folder of a benchmark that ran") from None


def value_of(picture: Mapping[str, Any], symbol: str) -> float:
    """A score of an entry of ``DataResults.pictures``; nan where it is undefined."""
    value = picture["scores"].get(symbol)
    return math.nan if value is None else float(value)


def _scores(results: Results, data: str) -> Scores:
    one, methods, metrics = results.data[data], results.methods_on(data), tuple(results.metrics)
    rows = tuple(
        ImageScores(method, name, {symbol: value_of(one.pictures[method][name], symbol) for symbol in metrics})
        for method in methods
        for name in one.pairs
        if name in one.pictures[method]
    )
    return Scores(
        results.convention["name"],
        metrics,
        tuple(methods),
        pairs=len(one.pairs),
        rows=rows,
        failed=tuple(
            Failure(method, name, text) for method, pairs in one.failed.items() for name, text in pairs.items()
        ),
        missing={method: tuple(names) for method, names in one.missing.items()},
        unmatched={method: tuple(names) for method, names in one.unmatched.items()},
        unmatched_infrared=tuple(one.unmatched_infrared),
        unmatched_visible=tuple(one.unmatched_visible),
    )
