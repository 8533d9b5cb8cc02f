"""The table of one data set, whatever format it is written in: cells, ranks, tests, and what a reader has to know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from imfuse.benchmark.origins import Origin, footnotes, origin_of
from imfuse.benchmark.results import MethodUsed, Results
from imfuse.benchmark.statistics import CORRECTION, LEVEL, TEST, Comparison, Family, average_ranks, compare
from imfuse.metrics import METRICS
from imfuse.scoring.scores import Scores

_DIGITS = 5
UNDEFINED = "-"
MARKS = {
    "+": "better",
    "-": "worse",
    "=": "not told apart",
    "?": "too few pairs to tell",
}
"""What the marks of comparisons stand for."""


@dataclass(frozen=True)
class Cell:
    """A mean as printed, the ends of its interval, and its place: 0 best, 1 second, 2 other."""

    mean: str
    interval: str
    place: int
    mark: str


@dataclass(frozen=True)
class Table:
    """The table of one data set."""

    name: str
    title: str
    scores: Scores
    against: str
    family: Family
    methods: Mapping[str, MethodUsed]

    @classmethod
    def of(cls, results: Results, data: str) -> Table:
        """The table of a data set of ``results``."""
        methods = {method: results.methods[method] for method in results.methods_on(data)}
        title, family = results.data[data].title, results.significance.family
        return cls(data, title, results.scores(data), results.against, family, methods)

    @property
    def ranked(self) -> bool:
        """Whether there is something to rank."""
        return len(self.scores.methods) > 1 and not all(map(math.isnan, self.ranks.values()))

    @cached_property
    def ranks(self) -> dict[str, float]:
        """Average rank of each method; see ``average_ranks``."""
        return average_ranks(self.scores)

    @cached_property
    def comparisons(self) -> dict[str, dict[str, Comparison]]:
        """See ``compare``."""
        return compare(self.scores, self.against, self.family)

    @cached_property
    def origins(self) -> dict[str, Origin]:
        """Whose weights each method has."""
        return {method: origin_of(used) for method, used in self.methods.items()}

    def mark(self, method: str) -> str:
        """The mark beside a method; empty where there is nothing to say."""
        return self.origins[method].mark

    @property
    def footnotes(self) -> list[Origin]:
        """What the marks beside the methods say."""
        return footnotes(self.methods.values())

    @cached_property
    def cells(self) -> dict[str, dict[str, Cell]]:
        """Cells by method and metric. Places go by the printed digits, so that what looks equal is equal."""
        cells: dict[str, dict[str, Cell]] = {method: {} for method in self.scores.methods}
        for symbol in self.scores.metrics:
            summaries = {method: self.scores.summary(symbol, method) for method in self.scores.methods}
            form = _form(max((abs(one.mean) for one in summaries.values() if one.count), default=0.0))
            means = {method: format(one.mean, form) if one.count else UNDEFINED for method, one in summaries.items()}
            order = sorted({float(mean) for mean in means.values() if mean != UNDEFINED})
            if METRICS[symbol].better == "higher":
                order.reverse()
            for method, one in summaries.items():
                ends = f"{one.low:{form}}–{one.high:{form}}" if one.count > 1 else ""
                placed = METRICS[symbol].better != "none" and means[method] != UNDEFINED and len(means) > 1
                place = min(order.index(float(means[method])), 2) if placed else 2
                place = 2 if place == 1 and len(means) == 2 else place
                mark = self.comparisons.get(method, {}).get(symbol)
                cells[method][symbol] = Cell(means[method], ends, place, mark.mark if mark else "")
        return cells


def tables_of(results: Results) -> list[Table]:
    """One table for each data set that has results."""
    return [Table.of(results, data) for data in results.data if results.methods_on(data)]


def caption(table: Table) -> str:
    """What the numbers of a table are, in a sentence."""
    rank = " rank: mean over metrics and pairs (1 is best)." if table.ranked else ""
    return f"Means over {table.scores.pairs} pairs of {table.title}, convention {table.scores.convention}.{rank}"


def comparison_note(table: Table) -> str:
    """How the methods were compared, corrected how, and what it takes to tell them apart; empty without tests."""
    compared = [one for methods in table.comparisons.values() for one in methods.values()]
    if not compared:
        return ""
    sizes = sorted({one.family for one in compared})
    numbers = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    family = "comparisons of each metric" if table.family == "metric" else "comparisons of all metrics"
    return (
        f"Against {table.against}: {TEST} test over the pairs at {100 * LEVEL:g} %, corrected after {CORRECTION} over"
        f" the {numbers} {family}.{_too_few(compared)}"
    )


def _too_few(compared: Sequence[Comparison]) -> str:
    """What cannot be significant whatever the values are, and how many pairs it would take."""
    few = [one for one in compared if one.pairs and not one.reachable]
    if not few:
        return ""
    best = max(few, key=lambda one: (one.pairs, -one.family))
    which = "not every difference" if any(one.reachable for one in compared) else "no difference"
    return (
        f" With {best.pairs} pairs the corrected p cannot fall below {best.smallest:.2g}, so {which} can be"
        f" significant: it takes {max(one.needed for one in few)} pairs."
    )


def _form(largest: float) -> str:
    """Five digits for the largest mean."""
    places = _DIGITS - 1 - (math.floor(math.log10(largest)) if largest > 0 else 0)
    return f".{min(max(places, 0), _DIGITS - 1)}f" if places <= 2 * _DIGITS else ".3e"
