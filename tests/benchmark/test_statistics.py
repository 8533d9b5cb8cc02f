from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from imfuse.benchmark.statistics import (
    average_ranks,
    compare,
    critical_difference,
    holm,
    mean_ranks,
    pairs_needed,
    smallest_p,
)
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
    assert found["low"]["MSE"].p == pytest.approx(3 * raw), "over the three comparisons of the metric"
    wide = compare(scores_of({"MSE": table, "EN": table}, ("ref", "low", "same", "copy")), "ref", "data")
    assert wide["low"]["MSE"].p == pytest.approx(6 * raw), "over all comparisons of the data set"
    assert (found["low"]["MSE"].family, wide["low"]["MSE"].family) == (3, 6)
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


@pytest.mark.parametrize("pairs", [1, 2, 5, 10, 13, 50])
def test_no_values_give_a_smaller_p(pairs: int) -> None:
    """Two of all arrangements of signs are the extreme ones; the normal approximation would say something else."""
    assert smallest_p(pairs) == pytest.approx(2 ** (1 - pairs))
    assert smallest_p(pairs) == pytest.approx(stats.wilcoxon(np.arange(1.0, pairs + 1), method="exact").pvalue)
    random = np.random.default_rng(pairs)
    gains = random.normal(1, 1, (20, pairs))
    assert all(stats.wilcoxon(gain, method="exact").pvalue >= smallest_p(pairs) * (1 - 1e-12) for gain in gains)


@pytest.mark.parametrize(("comparisons", "pairs"), [(1, 6), (2, 7), (23, 10), (7 * 23, 13), (10**6, 26)])
def test_how_many_pairs_it_takes(comparisons: int, pairs: int) -> None:
    assert pairs_needed(comparisons) == pairs
    assert comparisons * smallest_p(pairs) < 0.05 <= comparisons * smallest_p(pairs - 1)


def best_of_many(pairs: int, metrics: tuple[str, ...]) -> Scores:
    """24 methods; each of the others is better than the first on every pair, as clearly as can be."""
    values = np.arange(1.0, pairs + 1)[:, None] * np.arange(1.0, 25)
    return scores_of({symbol: values.tolist() for symbol in metrics}, tuple(f"m{i}" for i in range(24)))


def test_24_methods_on_10_pairs() -> None:
    metrics = ("EN", "SF", "AG", "SCD", "VIF", "Qabf", "SSIM")
    by_metric = compare(best_of_many(10, metrics), "m0")["m5"]["VIF"]
    assert by_metric.p == by_metric.smallest == pytest.approx(23 / 512)
    assert (by_metric.mark, by_metric.reachable, by_metric.needed) == ("+", True, 10)
    wide = compare(best_of_many(10, metrics), "m0", "data")["m5"]["VIF"]
    assert wide.p == wide.smallest == pytest.approx(161 / 512)
    assert (wide.mark, wide.reachable, wide.needed) == ("?", False, 13)
    fewer = compare(best_of_many(9, metrics), "m0")["m5"]["VIF"]
    assert (fewer.mark, fewer.p, fewer.needed) == ("?", pytest.approx(23 / 256), 10)
    assert compare(best_of_many(13, metrics), "m0", "data")["m5"]["VIF"].mark == "+"


def test_a_method_with_fewer_pairs_has_a_larger_smallest_p() -> None:
    """Holm's steps: the one with 6 pairs comes last, after two that may take the larger factors."""
    table = [[0, i + 1, i + 1, i + 1 if i < 6 else math.nan] for i in range(20)]
    found = compare(scores_of({"EN": table}, ("ref", "a", "b", "few")), "ref")
    assert found["a"]["EN"].smallest == pytest.approx(3 * 2**-19)
    assert found["few"]["EN"].smallest == found["few"]["EN"].p == pytest.approx(2**-5)
    assert found["few"]["EN"].mark == "+"


def test_without_a_common_pair_nothing_is_told() -> None:
    found = compare(scores_of({"EN": [[1, math.nan], [1, math.nan]]}, ("ref", "none")), "ref")
    assert (found["none"]["EN"].mark, found["none"]["EN"].pairs, found["none"]["EN"].family) == ("?", 0, 0)


def test_ties_do_not_go_below_what_signs_can_say() -> None:
    gain = [1.0, 1.0, 1.0, 1.0, 1.0]
    assert stats.wilcoxon(gain, method="asymptotic").pvalue < 0.05
    found = compare(scores_of({"EN": [[0, one] for one in gain]}, ("ref", "other")), "ref")["other"]["EN"]
    assert found.p == pytest.approx(2 / 32)
