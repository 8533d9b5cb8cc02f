"""Scores of methods: statistics, files, and how they are shown."""

from __future__ import annotations

import csv
import importlib
import json
import math
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

import imfuse
from imfuse.core.errors import ImageError, ImfuseError, MetricError
from imfuse.scoring import Failure, ImageScores, Scores
from imfuse.scoring.summary import bootstrap_intervals

# Statistics


def made(values: np.ndarray, method: str = "a", metrics: tuple[str, ...] = ("EN", "SD")) -> Scores:
    rows = tuple(
        ImageScores(method, str(i), dict(zip(metrics, map(float, row), strict=True))) for i, row in enumerate(values)
    )
    return Scores("plain", metrics, (method,), len(values), rows)


def test_statistics() -> None:
    values = np.random.default_rng(0).normal(5, 2, (42, 2))
    values[[3, 8], 1] = math.nan, math.inf
    scores = made(values)
    for i, symbol in enumerate(("EN", "SD")):
        column = values[np.isfinite(values[:, i]), i]
        found = scores.summary(symbol)
        assert found.mean == pytest.approx(column.mean(), rel=1e-14)
        assert found.std == pytest.approx(column.std(ddof=1), rel=1e-14)
        assert (found.count, found.undefined) == (len(column), 42 - len(column))
        assert found.low < found.mean < found.high
    assert scores.summaries == {"a": {"EN": scores.summary("EN"), "SD": scores.summary("SD", "a")}}
    with pytest.raises(MetricError, match=r"'b'.*a is expected"):
        scores.summary("EN", "b")
    with pytest.raises(MetricError, match="'AG' was not scored"):
        scores.summary("AG")


@pytest.mark.parametrize("count", [2, 5, 42, 1000])
def test_interval_is_that_of_scipy(count: int) -> None:
    """The ends wander by chance; with 10,000 resamples by about two percent of the width."""
    values = np.random.default_rng(count).gamma(2, 1, (count, 3))
    low, high = bootstrap_intervals(values)
    for i, column in enumerate(values.T):
        many = {"n_resamples": 10_000, "method": "percentile", "random_state": 1}
        theirs = scipy.stats.bootstrap((column,), np.mean, **many).confidence_interval
        width = theirs.high - theirs.low
        assert (low[i], high[i]) == pytest.approx((theirs.low, theirs.high), abs=0.06 * width)


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    samples = np.random.default_rng(0).normal(0, 1, (60, 400))
    low, high = bootstrap_intervals(samples)
    assert 0.91 <= np.mean((low <= 0) & (high >= 0)) <= 0.98


def test_interval_of_little() -> None:
    nan = math.nan
    values = np.array([[1.0, 7.0, nan, nan], [2.0, 7.0, nan, 4.0], [4.0, 7.0, nan, nan]])
    low, high = bootstrap_intervals(values)
    assert (low[0], high[0]) == (1, 4)
    assert (low[1], high[1]) == pytest.approx((7, 7), rel=1e-14)
    assert np.isnan([*low[2:], *high[2:]]).all()
    assert all(np.isnan(ends).all() for ends in bootstrap_intervals(np.empty((0, 2))))
    again = bootstrap_intervals(values)
    assert np.array_equal(low, again[0], equal_nan=True)
    assert np.array_equal(high, again[1], equal_nan=True)
    one = made(np.array([[3.0, nan]]))
    assert (one.summary("EN").mean, one.summary("EN").count) == (3, 1)
    assert math.isnan(one.summary("EN").std)
    assert math.isnan(one.summary("SD").mean)


# Files


def test_csv(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(5, 2, (4, 2))
    values[1, 1] = math.nan
    path = tmp_path / "new" / "scores.csv"
    made(values).to_csv(path)
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["convention", "method", "image", "EN", "SD"]
    assert [row[:3] for row in rows] == [["plain", "a", str(i)] for i in range(4)]
    assert np.array_equal(np.array([row[3:] for row in rows], float), values, equal_nan=True)


def test_undefined_is_null(tmp_path: Path) -> None:
    made(np.array([[1.0, math.nan]])).to_json(tmp_path / "scores.json")
    text = (tmp_path / "scores.json").read_text()
    assert "NaN" not in text
    found = json.loads(text)["methods"]["a"]
    assert found["images"]["0"] == {"EN": 1.0, "SD": None}
    assert found["summary"]["SD"] == dict.fromkeys(("mean", "std", "low", "high")) | {"count": 0, "undefined": 1}


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_an_old_file_stays_whole(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"scores.{kind}"
    path.write_text("old")

    def full_disk(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(ImageError, match="the disk is full"):
        getattr(made(np.ones((2, 2))), f"to_{kind}")(path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    row = ImageScores(name, name, {"EN": 1.0})
    scores = Scores("plain", ("EN",), (name,), 1, (row,))
    scores.to_csv(tmp_path / "a.csv")
    assert "\\udcff\\udcfe" in (tmp_path / "a.csv").read_text(encoding="utf-8")
    scores.to_json(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["methods"][name]["images"][name] == {"EN": 1.0}


# As Python shows them


def two_methods() -> Scores:
    """Names that are no HTML and no text, an undefined value, a metric of each direction."""
    better = {"EN": 6.5, "MSE": 3.0, "QSF": 0.1, "SD": math.nan}
    worse = {"EN": 6.25, "MSE": 4.0, "QSF": 0.2, "SD": math.nan}
    rows = [ImageScores("<b>&", str(i), {**better, "EN": 6.5 + i}) for i in range(2)]
    rows.append(ImageScores(os.fsdecode(b"\xff"), "0", worse))
    failure = Failure(os.fsdecode(b"\xff"), "1", "broken")
    methods = ("<b>&", os.fsdecode(b"\xff"))
    return Scores("plain", tuple(better), methods, pairs=2, rows=tuple(rows), failed=(failure,))


def test_one_line(tmp_path: Path) -> None:
    assert repr(made(np.ones((3, 2)))) == (
        "Scores(convention='plain', methods=('a',), metrics=('EN', 'SD'), pairs=3, scored=3, failed=0)"
    )
    names = tuple(f"method\n{i}" for i in range(40))
    many = Scores("plain", tuple(imfuse.metrics.METRICS), names, 0, ())
    assert "\n" not in repr(many)
    assert len(repr(many)) < 300
    assert "methods=('method\\n0', " in repr(many)


class Cells(HTMLParser):
    """Tags and texts of a table; every tag that opens is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))


def test_a_table_for_notebooks() -> None:
    html = two_methods()._repr_html_()
    html.encode("utf-8")
    assert Cells(html).texts == [
        ("caption", "2 pairs, convention plain: mean ± standard deviation; some pictures have no scores"),
        ("th", "EN ↑"), ("th", "MSE ↓"), ("th", "QSF"), ("th", "SD ↑"),
        ("th", "<b>&"), ("b", "7"), ("small", "± 0.71"), ("b", "3"), ("small", "± 0"), ("td", "0.1"),
        ("small", "± 0"), ("td", "–"),
        ("th", "\\udcff"), ("td", "6.25"), ("td", "4"), ("td", "0.2"), ("td", "–"),
    ]  # fmt: skip


def test_a_single_method_has_no_best() -> None:
    html = made(np.ones((1, 2)))._repr_html_()
    assert "<b>" not in html
    assert "1 pair, convention plain" in html


def test_data_frame(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    values = np.random.default_rng(0).normal(5, 2, (4, 2))
    values[1, 1] = math.nan
    scores = made(values)
    frame = scores.to_dataframe()
    assert list(frame.columns) == ["convention", "method", "image", "EN", "SD"]
    assert np.array_equal(frame[["EN", "SD"]].to_numpy(), values, equal_nan=True)
    scores.to_csv(tmp_path / "a.csv")
    same = pandas.read_csv(tmp_path / "a.csv", dtype={"image": "str"})
    pandas.testing.assert_frame_equal(frame, same, check_dtype=False)
    empty = made(np.empty((0, 2))).to_dataframe()
    assert (len(empty), list(empty.columns)) == (0, list(frame.columns))


def test_no_data_frame_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImfuseError, match="pip install pandas"):
        made(np.ones((1, 2))).to_dataframe()


def test_pandas_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, imfuse.scoring as s; s.Scores; s.score; print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("name", ["imfuse.scoring", "imfuse.benchmark"])
def test_public_names_of_the_packages(name: str) -> None:
    package = importlib.import_module(name)
    assert dir(package) == sorted(package.__all__)
    assert all(getattr(package, one) is not None for one in package.__all__)
    code = f"import sys, {name}; print({{'torch', 'numpy', 'pydantic'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
