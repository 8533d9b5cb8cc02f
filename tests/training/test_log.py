"""The log of a run is short, however long the run, and the same however often the run is stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imfuse.data.pairs import find_pairs
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import load_recipe
from training_runs import StopAfter

SMALL = ["data.crop.size=16", "batch_size=4", "epochs=3", "data.validation=0.15", "validate_every=1"]
SMALL += ["scores=[EN, SD]", "checkpoint_minutes=1e-9", "schedule.milestones=[1]"]


def run(folder: Path, out: Path, stop: int = 0, resume: bool = False) -> list[dict[str, float]]:
    """Train, or train until a stop; the rows of the steps."""
    stops = [StopAfter(stop)] if stop else []
    recipe = load_recipe("auif", SMALL)
    train(recipe, find_pairs(folder), out, resume=resume, device="cpu", progress=False, callbacks=stops)
    return [row for row in read_log(out / "log.jsonl") if row["split"] == "train"]


def test_lines_of_a_long_run_are_means_of_steps(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = run(pairs_folder, tmp_path / "single")
    monkeypatch.setattr("imfuse.training.log.LINES", 5)
    means = run(pairs_folder, tmp_path / "means")
    assert [row["step"] for row in single] == list(range(1, 10)), "3 epochs of 12 images in batches of 4"
    assert [row["step"] for row in means] == [2, 4, 6, 8, 9], "the last step has a line as well"
    for row, steps in zip(means, (single[0:2], single[2:4], single[4:6], single[6:8], single[8:]), strict=True):
        for name in row.keys() - {"step", "epoch", "split"}:
            assert row[name] == pytest.approx(sum(step[name] for step in steps) / len(steps), rel=1e-5)


@pytest.mark.parametrize("stops", [(1,), (3, 2), (5, 1, 1)])
def test_a_run_that_is_stopped_within_a_line_writes_the_same(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: tuple[int, ...]
) -> None:
    monkeypatch.setattr("imfuse.training.log.LINES", 4)
    run(pairs_folder, tmp_path / "whole")
    for number, stop in enumerate(stops):
        with pytest.raises(ConnectionError):
            run(pairs_folder, tmp_path / "parts", stop, resume=number > 0)
    run(pairs_folder, tmp_path / "parts", resume=True)
    assert (tmp_path / "whole" / "log.jsonl").read_bytes() == (tmp_path / "parts" / "log.jsonl").read_bytes()


def test_numbers_have_six_digits(pairs_folder: Path, tmp_path: Path) -> None:
    run(pairs_folder, tmp_path)
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        numbers = [value for value in json.loads(line).values() if isinstance(value, float)]
        assert all(value == float(f"{value:.6g}") for value in numbers)
        assert len(line) < 400
