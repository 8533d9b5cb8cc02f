"""Which differences between methods on the same pairs are more than chance: ranks, signed-rank tests, Nemenyi."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from imfuse.metrics import METRICS
from imfuse.scoring.scores import Scores

Float = npt.NDArray[np.float64]

LEVEL = 0.05
TEST: Final = "two-sided Wilcoxon signed-rank"
CORRECTION: Final = "Holm"
Family: TypeAlias = Literal["metric", "data"]
"""Comparisons that are corrected together: those of one metric on one data set, or all of one data set."""


@dataclass(frozen=True)
class Comparison:
    """A method against the chosen one in one metric.

    Attributes:
        better: median difference in the metric's better direction: > 0 where the method is better.
        p: of the two-sided Wilcoxon signed-rank test, corrected after Holm over the comparisons of its family.
        pairs: how many pairs both have a value for.
        smallest: below this the corrected p cannot go with so many pairs and comparisons, whatever the values are.
        family: how many comparisons were corrected together.
    """

    better: float
    p: float
    pairs: int
    smallest: float
    family: int

    @property
    def reachable(self) -> bool:
        """Whether any values of so many pairs could be significant."""
        return self.smallest < LEVEL

    @property
    def needed(self) -> int:
        """How many pairs it takes until one of so many comparisons can be significant."""
        return pairs_needed(self.family)

    @property
    def mark(self) -> str:
        """``+`` better, ``-`` worse, ``=`` not significant at 5 %, ``?`` too few pairs to be so in any case."""
        if not self.reachable:
            return "?"
        return "=" if not self.p < LEVEL else "+" if self.better > 0 else "-"


def value_table(scores: Scores, symbol: str) -> Float:
    """Values (pairs, methods); nan where there is none."""
    names = list(dict.fromkeys(row.image for row in scores.rows))
    places = {name: i for i, name in enumerate(names)}
    table = np.full((len(names), len(scores.methods)), np.nan)
    for row in scores.rows:
        table[places[row.image], scores.methods.index(row.method)] = row.values[symbol]
    return table


def mean_ranks(scores: Scores, symbol: str) -> tuple[Float, int]:
    """Mean rank of each method over the pairs that all have a value for (1 is best, ties share), and their number."""
    table = value_table(scores, symbol)
    table = table[np.isfinite(table).all(1)]
    if METRICS[symbol].better == "none" or not len(table):
        return np.full(len(scores.methods), np.nan), len(table)
    ranks = stats.rankdata(-table if METRICS[symbol].better == "higher" else table, axis=1)
    return np.asarray(ranks.mean(0)), len(table)


def average_ranks(scores: Scores) -> dict[str, float]:
    """Mean over the metrics that have a better direction of the mean rank over the pairs; nan where there is none."""
    ranks = np.array([mean_ranks(scores, symbol)[0] for symbol in scores.metrics])
    ranks = ranks[np.isfinite(ranks).all(1)]
    means = ranks.mean(0) if len(ranks) else np.full(len(scores.methods), np.nan)
    return dict(zip(scores.methods, map(float, means), strict=True))


def critical_difference(methods: int, pairs: int) -> float:
    """Nemenyi's: mean ranks over ``pairs`` that differ by less are not told apart at 5 % (Demšar, JMLR 2006, eq. 6).

    >>> round(critical_difference(5, 30), 3)  # q_0.05 = 2.728 for 5 methods
    1.114
    """
    q = float(stats.studentized_range.ppf(1 - LEVEL, methods, math.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * pairs))


def compare(scores: Scores, against: str, family: Family = "metric") -> dict[str, dict[str, Comparison]]:
    """Every other method against one, by method and metric; metrics without a better direction are left out."""
    if against not in scores.methods:
        return {}
    gains = _gains(scores, scores.methods.index(against))
    symbols = dict.fromkeys(symbol for _, symbol in gains)
    families = [[key for key in gains if key[1] == symbol] for symbol in symbols] if family == "metric" else [[*gains]]
    compared: dict[str, dict[str, Comparison]] = {}
    for keys in families:
        corrected = holm({key: _signed_rank(gains[key]) for key in keys})
        # The correction grows with every p, so these are what no values can fall below.
        smallest = holm({key: smallest_p(len(gains[key])) for key in keys})
        number = sum(len(gains[key]) > 0 for key in keys)
        for key in keys:
            method, symbol = key
            one = Comparison(_middle(gains[key]), corrected[key], len(gains[key]), smallest[key], number)
            compared.setdefault(method, {})[symbol] = one
    return compared


@cache
def smallest_p(pairs: int) -> float:
    """The p of the signed-rank test where all of ``pairs`` differences point one way; no values give a smaller one.

    Up to 50 pairs it is exact, 2 to the power of 1 - pairs: one of all arrangements of signs, and its mirror.

    >>> smallest_p(10)  # 1/512
    0.001953125
    """
    return float(stats.wilcoxon(np.arange(1.0, pairs + 1)).pvalue) if pairs else math.nan


def pairs_needed(comparisons: int) -> int:
    """How many pairs it takes until the first of so many comparisons can be significant after Holm's correction.

    >>> pairs_needed(1), pairs_needed(23), pairs_needed(23 * 7)
    (6, 10, 13)
    """
    return next(pairs for pairs in itertools.count(1) if comparisons * smallest_p(pairs) < LEVEL)


def holm(p: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """Holm's step-down correction of p values, capped at 1; nan (no test) stays and does not count.

    >>> holm({("a", "EN"): 0.01, ("b", "EN"): 0.04, ("c", "EN"): 0.03})
    {('a', 'EN'): 0.03, ('c', 'EN'): 0.06, ('b', 'EN'): 0.06}
    """
    ordered = sorted((key for key in p if not math.isnan(p[key])), key=lambda key: p[key])
    corrected, largest = {}, 0.0
    for i, key in enumerate(ordered):
        largest = max(largest, min(1.0, p[key] * (len(ordered) - i)))
        corrected[key] = largest
    return corrected | {key: math.nan for key in p if key not in corrected}


def _gains(scores: Scores, place: int) -> dict[tuple[str, str], Float]:
    """Differences to the method at ``place``, by method and metric, over the pairs that both have a value for."""
    gains = {}
    for symbol in scores.metrics:
        better, table = METRICS[symbol].better, value_table(scores, symbol)
        if better == "none":
            continue
        for i, method in enumerate(scores.methods):
            if i != place:
                gain = (table[:, i] - table[:, place]) * (1 if better == "higher" else -1)
                gains[method, symbol] = gain[np.isfinite(gain)]
    return gains


def _signed_rank(gain: Float) -> float:
    if not len(gain):
        return math.nan
    # Equal pictures have no signs to test. Where differences tie, old versions of SciPy approximate, which can fall
    # below what the signs of so few pairs can say.
    return max(float(stats.wilcoxon(gain).pvalue), smallest_p(np.count_nonzero(gain))) if gain.any() else 1.0


def _middle(gain: Float) -> float:
    if not len(gain):
        return math.nan
    # Where most pairs are equal the median does not describe the rest.
    return float(np.median(gain)) or float(gain.mean())
