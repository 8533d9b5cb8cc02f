"""A benchmark scores every picture by the ranges that it was fused by, and says which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imfuse import Fuser, ImfuseWarning, score
from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.results import Results, read_results
from imfuse.benchmark.runner import run_benchmark
from imfuse.imaging import read_image, read_metadata, write_image
from imfuse.scenes import render_scene
from imfuse.scoring import UsedRange

METRICS = "EN,SCD"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw thermal pictures of 16 bits, and what was made of them by another range and by others."""
    folder = tmp_path_factory.mktemp("raw")
    for name in ("1", "2"):
        scene = render_scene(48, 64, int(name))
        write_image(folder / "set" / "ir" / f"{name}.png", 7000 + scene.infrared.astype("uint16") * 8)
        write_image(folder / "set" / "vi" / f"{name}.png", scene.visible)
    Fuser("laplacian_pyramid", range="7500,8500").folder(folder / "set/ir", folder / "set/vi", folder / "narrow")
    for name in ("1", "2"):
        write_image(folder / "foreign" / f"{name}.png", read_image(folder / "narrow" / f"{name}.png"))
    return folder


def run(raw: Path, output: Path, **settings: Any) -> Results:
    fused = {"narrow": raw / "narrow", "foreign": raw / "foreign"}
    plan = make_plan({"data": {"mine": raw / "set"}, "models": "dwt", "fused": fused, "metrics": METRICS, **settings})
    results = run_benchmark(plan, output, workers=1)
    results.write(output / "results.json")
    assert read_results(output).model_dump() == results.model_dump()
    return results


def test_each_picture_by_its_own_range(raw: Path, tmp_path: Path) -> None:
    results = run(raw, tmp_path)
    assert (results.complete, results.range) == (True, "auto")
    sources = raw / "set/ir/1.png", raw / "set/vi/1.png"
    pictures = results.data["mine"].pictures
    ours = tmp_path / pictures["dwt"]["1"].file
    assert pictures["dwt"]["1"].scores == score(ours, *sources, metrics=METRICS)
    assert pictures["narrow"]["1"].scores == score(raw / "narrow/1.png", *sources, metrics=METRICS, range="7500,8500")
    assert pictures["foreign"]["1"].scores == score(
        raw / "foreign/1.png", *sources, metrics=METRICS, range="percentile"
    )
    rows = {row.method: row for row in results.scores("mine").rows if row.image == "1"}
    low, high = map(float, read_metadata(ours)["imfuse:infrared-range"].split(","))
    assert rows["dwt"].infrared_range == UsedRange(low, high, "as fused")
    assert rows["narrow"].infrared_range == UsedRange(7500, 8500, "as fused")
    assert rows["foreign"].infrared_range == UsedRange(low, high, "auto")
    assert rows["foreign"].visible_range == UsedRange(0, 255, "auto")
    assert results.scores("mine").ranges["visible"] == "0..255 (as fused, auto)"


def test_what_is_remembered_has_its_range(raw: Path, tmp_path: Path) -> None:
    first = run(raw, tmp_path)
    more = run(raw, tmp_path, metrics="EN,SCD,SD")
    assert more.scores("mine").ranges == first.scores("mine").ranges
    assert run(raw, tmp_path).data == first.data


def test_a_range_that_is_given_holds_for_all(raw: Path, tmp_path: Path) -> None:
    results = run(raw, tmp_path, range="7000,9100")
    assert results.range == "7000.0,9100.0"
    rows = results.scores("mine").rows
    assert {row.infrared_range for row in rows} == {UsedRange(7000, 9100, "given")}
    ours = tmp_path / results.data["mine"].pictures["dwt"]["1"].file
    assert read_metadata(ours)["imfuse:infrared-range"] == "7000,9100"


def test_doubts_reach_the_caller(raw: Path, tmp_path: Path) -> None:
    settings = {"data": {"mine": raw / "set"}, "models": "dwt", "metrics": "EN", "range": "0,100"}
    with pytest.warns(ImfuseWarning) as caught:
        run_benchmark(make_plan(settings), tmp_path, workers=1)
    texts = sorted(str(one.message) for one in caught if isinstance(one.message, ImfuseWarning))
    assert len(texts) == 2
    assert all(f"ir/{name}.png: the range 0..100 clips 100 %" in text for name, text in zip("12", texts, strict=True))
