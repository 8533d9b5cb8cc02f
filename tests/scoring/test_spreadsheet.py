"""CSV files for spreadsheets: no name becomes a formula, and numbers stay numbers."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from imfuse.scoring.scores import ImageScores, Scores
from imfuse.scoring.spreadsheet import csv_text


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(1)", "+1+1", "-1-1", "-", "＝1"])
def test_what_would_be_computed_gets_an_apostrophe(cell: str) -> None:
    ((found,),) = csv.reader(io.StringIO(csv_text([[cell]]).decode(), newline=""))
    assert found == f"'{cell}"


@pytest.mark.parametrize("cell", ["\t=1", "\r=1", "a\r=1", "a\n=1", "\x1b[31m", "\u202e"])
def test_what_is_no_letter_is_escaped(cell: str) -> None:
    """A bare carriage return would begin another row in some readers."""
    ((found,),) = csv.reader(io.StringIO(csv_text([[cell]]).decode(), newline=""))
    assert found == cell.encode("unicode_escape").decode()


@pytest.mark.parametrize(
    "cell", ["-1.5", "+2", "-1e-05", "-inf", "name", "a=b", "'=1", "", "1-2", -0.5, 3, float("nan")]
)
def test_numbers_and_names_stay(cell: object) -> None:
    rows = list(csv.reader(io.StringIO(csv_text([[cell, "x"]]).decode(), newline="")))
    assert rows == [[str(cell), "x"]]


def test_scores(tmp_path: Path) -> None:
    rows = (ImageScores("=ours", "@pair", {"EN": -0.25}), ImageScores("=ours", os.fsdecode(b"\xff"), {"EN": 1.0}))
    Scores("plain", ("EN",), ("=ours",), 2, rows).to_csv(tmp_path / "scores.csv")
    lines = (tmp_path / "scores.csv").read_text("utf-8").splitlines()
    assert lines == ["convention,method,image,EN", "plain,'=ours,'@pair,-0.25", "plain,'=ours,\\udcff,1.0"]
