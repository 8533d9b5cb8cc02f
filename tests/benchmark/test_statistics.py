from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from imfuse.benchmark.statistics import average_ranks, compare, critical_difference, holm, mean_ranks
from imfuse.scoring.scores import ImageScores, Scores


def scores_of(tables: dict[str, list[list[float]]], methods: tuple[str, ...]) -> Scores:
    """From values (pairs, methods) under each symbol."""
    symbols = tuple(tables)
    pairs = len(tables[symbols[0]])
    rows = tuple(
        ImageScores(method, str(i), {symbol: tables[symbol][i][place] for symbol in symbols})
        for place, method in enumerate(methods)
        for i in range(pairs)
    )
    return Scores("plain", symbols, methods, pairs, rows)


def test_ranks() -> None:
    scores = scores_of(
        {
            "EN": [[3, 2, 1], [3, 1, 2], [5, 5, 1], [math.nan, 1, 2]],  # higher is better, a tie, an undefined value
            "MSE": [[1, 2, 3], [1, 2, 3], [1, 2, 3], [3, 2, 1]],  # lower is better
            "QSF": [[9, 0, 0], [9, 0, 0], [9, 0, 0], [9, 0, 0]],  # neither
        },
        ("a", "b", "c"),
    )
    ranks, pairs = mean_ranks(scores, "EN")
    assert pairs == 3
    assert ranks == pytest.approx([(1 + 1 + 1.5) / 3, (2 + 3 + 1.5) / 3, (3 + 2 + 3) / 3])
    assert mean_ranks(scores, "MSE")[0] == pytest.approx([1.5, 2, 2.5])
    assert np.isnan(mean_ranks(scores, "QSF")[0]).all()
    assert average_ranks(scores)["b"] == pytest.approx((6.5 / 3 + 2) / 2)


def test_comparison_is_the_corrected_signed_rank_test() -> None:
    random = np.random.default_rng(0)
    base = random.normal(size=30)
    better, same = base - 1 + random.normal(0, 0.2, 30), base + random.normal(0, 0.2, 30)
    table = np.stack([base, better, same, base], axis=1).tolist()
    found = compare(scores_of({"MSE": table, "EN": table}, ("ref", "low", "same", "copy")), "ref")
    raw = stats.wilcoxon(better - base).pvalue
    assert found["low"]["MSE"].p == pytest.approx(6 * raw)
    assert (found["low"]["MSE"].mark, found["low"]["EN"].mark) == ("+", "-")
    assert found["same"]["EN"].mark == found["copy"]["EN"].mark == "="
    assert found["copy"]["EN"].p == 1
    assert "ref" not in found


def test_holm_against_its_definition() -> None:
    p = {(str(i), "EN"): value for i, value in enumerate((0.001, 0.2, 0.012, math.nan, 0.011))}
    corrected = holm(p)
    assert corrected["0", "EN"] == pytest.approx(0.004)
    assert corrected["4", "EN"] == pytest.approx(0.033)
    # 2 x 0.012 would be less than the step before it.
    assert corrected["2", "EN"] == pytest.approx(0.033)
    assert corrected["1", "EN"] == pytest.approx(0.2)
    assert math.isnan(corrected["3", "EN"])


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_difference_by_the_table_of_demsar(methods: int, q: float) -> None:
    assert critical_difference(methods, 40) == pytest.approx(q * math.sqrt(methods * (methods + 1) / 240), abs=1e-3)
