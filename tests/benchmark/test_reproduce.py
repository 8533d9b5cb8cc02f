from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.published import get_published, get_published_task, list_published
from imfuse.benchmark.reproduce import lines_of, markdown, notes_of
from imfuse.benchmark.runner import run_benchmark
from imfuse.cli.main import main
from imfuse.core.errors import BenchmarkError
from imfuse.data.layouts import KNOWN
from imfuse.metrics import get_definition


@pytest.mark.parametrize("name", list_published())
def test_every_table_can_be_computed(name: str) -> None:
    table = get_published(name)
    assert table.rows
    assert table.cite
    assert table.data in KNOWN
    for symbol in table.compared:
        get_definition(symbol, table.convention)
    assert all(value > 0 for row in table.rows.values() for value in row.values())


def test_numbers_are_those_of_the_articles(shared: Path) -> None:
    tables = {1: "msrs", 2: "m3fd", 3: "tno", 5: "mri-ct", 6: "mri-pet", 7: "mri-spect", 11: "cost"}
    folder = Path(__file__).parents[2] / "src" / "imfuse" / "benchmark" / "published"
    for number, name in tables.items():
        with (shared / "truth" / f"refinefuse_table{number}.csv").open(encoding="utf-8") as theirs:
            rows = list(csv.reader(theirs))
        with (folder / f"refinefuse-{name}.csv").open(encoding="utf-8") as ours:
            assert list(csv.reader(ours)) == rows


def test_columns_of_another_meaning_are_not_compared() -> None:
    table = get_published("auif-tno")
    assert table.compared == ("EN", "AG", "SCD")
    assert get_published("didfuse-nir").compared == ("EN", "MI", "AG")
    assert table.digits == 2
    assert any("SD" in note and "not compared" in note for note in notes_of(table, None))


def test_lines(pairs: Path) -> None:
    table = get_published("didfuse-tno")
    fused = {"did_fuse": pairs / "dark", "mine": pairs / "bright"}
    plan = make_plan({"data": {"tno": pairs / "set"}, "models": "none", "fused": fused, "metrics": table.compared})
    results = run_benchmark(plan, pairs / "out", workers=1)
    first, second = lines_of(table, results)
    mean = results.scores("tno").summary("EN", "did_fuse").mean
    assert first.method == "DIDFuse"
    assert first.difference("EN") == pytest.approx(mean - 7.006)
    assert math.isnan(first.difference("SD"))
    assert (second.method, second.printed) == ("mine", {})
    text = markdown(table, results)
    assert f"{mean - 7.006:+.3f}" in text
    assert "40 pairs in the table, 3 here" in text
    assert [line.ours for line in lines_of(table, None)] == [{}]


def test_table_3_comes_out_again(shared: Path, tmp_path: Path) -> None:
    """On the pictures at hand every printed digit of a quick column is met; ``benchmark reproduce`` does them all."""
    table = get_published("refinefuse-tno")
    fused = {name: shared / "truth" / "fused" / name for name in ("densefuse", "seafusion", "u2fusion")}
    settings = {"data": {"tno": shared / "data" / "tno"}, "models": "none", "fused": fused, "metrics": "EN,SF"}
    results = run_benchmark(make_plan({**settings, "convention": table.convention}), tmp_path, workers=1)
    lines = [line for line in lines_of(table, results) if line.ours]
    assert [line.method for line in lines] == ["DenseFuse", "U2Fusion", "SeAFusion"]
    assert all(abs(line.difference(symbol)) <= 0.5001e-4 for line in lines for symbol in ("EN", "SF"))


def test_command(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "reproduce"]) == 0
    assert "refinefuse-mri-pet" in capsys.readouterr().out
    assert main(["benchmark", "reproduce", "refinefuse-tno"]) == 0
    assert "6.8193" in capsys.readouterr().out
    words = [
        "--data",
        str(pairs / "set"),
        "--models",
        "none",
        "--fused",
        f"densefuse={pairs / 'dark'}",
        "--workers",
        "1",
    ]
    assert main(["benchmark", "reproduce", "auif-tno", *words, "-o", str(pairs / "out")]) == 0
    assert "3 here" in " ".join(capsys.readouterr().out.split())
    assert (pairs / "out" / "reproduce.md").is_file()
    assert main(["benchmark", "reproduce", "refinefuse-tn"]) == 2
    assert "did you mean refinefuse-tno?" in capsys.readouterr().err


def test_unknown() -> None:
    with pytest.raises(BenchmarkError, match="no published table"):
        get_published("x")


def test_table_of_detection_is_the_articles(shared: Path) -> None:
    published = get_published_task("refinefuse-detection")
    with (shared / "truth" / "refinefuse_table4.csv").open(encoding="utf-8") as theirs:
        _, *rows = csv.reader(theirs)
    assert {row[0]: [float(word) for word in row[1:]] for row in rows} == {
        method: list(values.values()) for method, values in published.rows.items()
    }


def test_means_of_the_table_of_detection_are_those_of_its_classes() -> None:
    for values in get_published_task("refinefuse-detection").rows.values():
        for kind in ("AP50", "AP"):
            mean = sum(values[f"{kind} {name}"] for name in ("People", "Car", "Bus")) / 3
            assert abs(mean - values[f"m{kind}"]) < 0.5


def test_detection_is_printed_without_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "reproduce", "refinefuse-detection"]) == 0
    assert "88.4" in capsys.readouterr().out
    assert main(["benchmark", "reproduce"]) == 0
    assert "refinefuse-detection: Table 4" in capsys.readouterr().out
