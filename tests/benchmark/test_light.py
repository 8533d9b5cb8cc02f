"""Day and night of a data set beside each other, told apart by the pictures themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imfuse.benchmark.light import tables_by_light
from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.results import Results
from imfuse.benchmark.runner import run_benchmark
from imfuse.benchmark.tables import markdown_beside
from imfuse.imaging import write_image

MEANS = {"1": 40, "2": 180, "10": 55}
"""Levels of the visible pictures; 64 of 255 is the limit."""


def benchmark(folder: Path, means: dict[str, int]) -> Results:
    random = np.random.default_rng(0)
    for name, mean in means.items():
        noise = random.integers(-20, 20, (48, 64, 3))
        write_image(folder / "set" / "vi" / f"{name}.png", (mean + noise).astype(np.uint8))
        write_image(folder / "set" / "ir" / f"{name}.png", random.integers(0, 256, (48, 64), np.uint8))
        for method, top in (("dark", 90), ("bright", 240)):
            write_image(folder / method / f"{name}.png", random.integers(0, top, (48, 64), np.uint8))
    fused = {method: folder / method for method in ("dark", "bright")}
    settings = {"data": {"mine": folder / "set"}, "models": "none", "fused": fused, "metrics": "EN,SD"}
    return run_benchmark(make_plan(settings), folder / "out", workers=1)


def test_means_of_day_and_night(tmp_path: Path) -> None:
    results = benchmark(tmp_path, MEANS)
    tables = tables_by_light(results, "mine", tmp_path / "out")
    assert {light: table.scores.pairs for light, table in tables.items()} == {"day": 1, "night": 2}
    pictures = results.data["mine"].pictures["dark"]
    night = np.mean([pictures[pair].value("SD") for pair in ("1", "10")])
    assert tables["night"].scores.summary("SD", "dark").mean == pytest.approx(night)
    assert tables["day"].scores.summary("SD", "dark").mean == pytest.approx(pictures["2"].value("SD"))


def test_they_stand_beside_each_other(tmp_path: Path) -> None:
    tables = tables_by_light(benchmark(tmp_path, MEANS), "mine", tmp_path / "out")
    text = markdown_beside(tables, level=3)
    assert text.startswith("### mine: 1 by day, 2 by night\n")
    assert "| method | EN day ↑ | EN night ↑ | SD day ↑ | SD night ↑ |" in text
    cells = [tables[light].cells["bright"][symbol].mean for symbol in ("EN", "SD") for light in ("day", "night")]
    assert f"| bright § | {' | '.join(f'**{cell}**' for cell in cells)} |" in text


def test_a_set_of_one_light_has_no_such_table(tmp_path: Path) -> None:
    assert tables_by_light(benchmark(tmp_path, {"1": 30, "2": 50}), "mine", tmp_path / "out") == {}
