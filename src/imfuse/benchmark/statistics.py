"""Which differences between methods on the same pairs are more than chance: ranks, signed-rank tests, Nemenyi."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from imfuse.metrics import METRICS
from imfuse.scoring.scores import Scores

Float = npt.NDArray[np.float64]

LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """A method against the chosen one in one metric.

    Attributes:
        better: median difference in the metric's better direction: > 0 where the method is better.
        p: of the two-sided Wilcoxon signed-rank test, corrected after Holm over all comparisons of the data set.
        pairs: how many pairs both have a value for.
    """

    better: float
    p: float
    pairs: int

    @property
    def mark(self) -> str:
        """``+`` better, ``-`` worse, ``=`` not significant at 5 %."""
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


def compare(scores: Scores, against: str) -> dict[str, dict[str, Comparison]]:
    """Every other method against one, by method and metric; metrics without a better direction are left out."""
    if against not in scores.methods:
        return {}
    place = scores.methods.index(against)
    raw: dict[tuple[str, str], Comparison] = {}
    for symbol in scores.metrics:
        better, table = METRICS[symbol].better, value_table(scores, symbol)
        if better == "none":
            continue
        for i, method in enumerate(scores.methods):
            if i != place:
                gain = (table[:, i] - table[:, place]) * (1 if better == "higher" else -1)
                raw[method, symbol] = _signed_rank(gain[np.isfinite(gain)])
    corrected = holm({key: one.p for key, one in raw.items()})
    by_method: dict[str, dict[str, Comparison]] = {}
    for (method, symbol), one in raw.items():
        by_method.setdefault(method, {})[symbol] = Comparison(one.better, corrected[method, symbol], one.pairs)
    return by_method


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


def _signed_rank(gain: Float) -> Comparison:
    if not len(gain):
        return Comparison(math.nan, math.nan, 0)
    # Equal pictures have no signs to test.
    p = float(stats.wilcoxon(gain).pvalue) if gain.any() else 1.0
    # Where most pairs are equal the median does not describe the rest.
    better = float(np.median(gain)) or float(gain.mean())
    return Comparison(better, p, len(gain))
