"""Whose weights a row was made with stands in every table, in the report and in the figure."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from imfuse.benchmark.figure import Row, _draw
from imfuse.benchmark.origins import AUTHORS, FILE, NONE, OURS, OWN, RANDOM, origin_of
from imfuse.benchmark.plan import make_plan, parse_models
from imfuse.benchmark.published import get_published
from imfuse.benchmark.report import write_report
from imfuse.benchmark.reproduce import markdown as reproduced
from imfuse.benchmark.results import ModelUsed, Results, WeightsUsed, read_results
from imfuse.benchmark.runner import run_benchmark
from imfuse.benchmark.tables import write_tables
from imfuse.cli.main import main
from imfuse.core.weights import CONVERTED, save_weights
from imfuse.models import create_model

NOTES = {
    "†": "weights that imfuse trained and ships, not the authors' of the method",
    "‡": "weights of the method's authors, converted from their checkpoint",
    "§": "pictures that were made elsewhere, not by imfuse",
}


def weights_file(file: Path, recipe: str, **header: str) -> Path:
    state = create_model("densefuse", weights=None).state_dict()
    save_weights(file, state, {"model": "densefuse", "recipe": recipe, **header})
    return file


@pytest.fixture
def authors(tmp_path: Path) -> Path:
    """A file as ``imfuse convert`` writes it."""
    return weights_file(tmp_path / "theirs" / "authors.safetensors", CONVERTED)


@pytest.fixture
def results(pairs: Path, authors: Path) -> Results:
    models = f"densefuse,densefuse:{authors},dwt"
    plan = make_plan(
        {"data": {"tno": pairs / "set"}, "models": models, "fused": {"dark": pairs / "dark"}, "metrics": "EN"}
    )
    return run_benchmark(plan, pairs / "out", workers=1)


def used(model: str, **header: str) -> ModelUsed:
    weights = WeightsUsed.model_validate({"sha256": "", **header}) if header else None
    return ModelUsed(model=model, title="", paper="", options={}, dtype="float32", weights=weights)


def test_by_the_header_of_the_weights() -> None:
    assert origin_of(used("dwt")) == NONE
    assert origin_of(used("seafusion", name="default", recipe="model: seafusion")) == OURS
    assert origin_of(used("seafusion", name="a.safetensors", recipe=CONVERTED)) == AUTHORS
    assert origin_of(used("seafusion", name="a.safetensors", recipe="model: seafusion")) == FILE
    assert origin_of(used("seafusion", name="a.safetensors")) == FILE
    assert origin_of(used("seafusion", name="none")) == RANDOM
    assert origin_of(used("net.py:Net", name="a.safetensors", recipe="model: net.py:Net")) == OWN
    assert origin_of(used("registered_by_others", name="default")) == OWN


def test_a_header_does_not_say_which_file_it_is(pairs: Path) -> None:
    file = weights_file(pairs / "a.safetensors", "r" * 10**6, name="default", sha256="none")
    plan = make_plan({"data": {"mine": pairs / "set"}, "models": f"densefuse:{file}", "metrics": "EN"})
    results = run_benchmark(plan, pairs / "out", workers=1)
    method = results.methods["densefuse"]
    assert isinstance(method, ModelUsed)
    assert method.weights is not None
    assert (method.weights.name, len(method.weights.sha256)) == (str(file), 64)
    assert origin_of(method) == FILE
    results.write(pairs / "out" / "results.json")
    assert read_results(pairs / "out") == results


def test_converted_weights_name_their_method(authors: Path, tmp_path: Path) -> None:
    trained = weights_file(tmp_path / "trained.safetensors", "model: densefuse")
    words = f"densefuse,densefuse:{authors},mine=densefuse:{authors},auif"
    assert [entry.label for entry in parse_models(words)] == ["densefuse", "densefuse (authors)", "mine", "auif"]
    assert parse_models(f"densefuse:{trained}")[0].label == "densefuse"
    assert parse_models("densefuse:missing.safetensors")[0].label == "densefuse"


def test_in_a_plan_from_a_file(authors: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights lie beside the file of settings, not where the command is started."""
    authors.with_name("plan.yaml").write_text(
        f"data: {{mine: {pairs / 'set'}}}\nmodels: ['densefuse:authors.safetensors']\nmetrics: [EN]\n"
    )
    monkeypatch.chdir(pairs)
    words = ["--config", str(authors.with_name("plan.yaml")), "--workers", "1", "--no-report", "-o", "out"]
    assert main(["benchmark", *words]) == 0
    assert list(read_results(pairs / "out").methods) == ["densefuse (authors)"]


def test_every_written_table_marks_them(results: Results, pairs: Path) -> None:
    write_tables(results, pairs / "out")
    text = {name: (pairs / "out" / name).read_text("utf-8") for name in ("tables.md", "tables.tex")}
    for row in ("| densefuse † |", "| densefuse (authors) ‡ |", "| dwt |", "| dark § |"):
        assert text["tables.md"].count(row) == 2, "means and intervals"
    for row in (r"densefuse$^{\dagger}$ &", r"densefuse (authors)$^{\ddagger}$ &", "    dwt &", r"dark$^{\S}$ &"):
        assert row in text["tables.tex"]
    for mark, words in NOTES.items():
        assert f"- {mark} {words}" in text["tables.md"]
        assert words in text["tables.tex"]
    expected = {"densefuse": "imfuse", "densefuse (authors)": "authors", "dwt": "none", "dark": "pictures"}
    for name in ("summary.csv", "values.csv"):
        rows = csv.DictReader(io.StringIO((pairs / "out" / name).read_text("utf-8")))
        assert {row["method"]: row["weights"] for row in rows} == expected


def test_the_report_and_the_figure_mark_them(results: Results, pairs: Path) -> None:
    page = write_report(results, pairs / "out").read_text("utf-8").replace("&#39;", "'")
    assert all(f"{mark} {words}" in page for mark, words in NOTES.items())
    assert all(f"</span>{name}" in page for name in ("densefuse†", "densefuse (authors)‡", "dwt", "dark§"))
    figure = _draw(results, pairs / "out", [Row("tno", "1")], list(results.methods))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles[2:] == ["densefuse†", "densefuse\n(authors)‡", "dwt", "dark§"]
    below = " ".join(text.get_text() for text in reversed(figure.texts))
    assert all(f"{mark} {words}" in below for mark, words in NOTES.items())
    boxes = [text.get_window_extent() for text in figure.texts]
    assert all(box.x1 <= figure.bbox.x1 and box.y0 >= 0 for box in boxes), "they fit below the pictures"
    assert max(box.y1 for box in boxes) <= min(axes.get_window_extent().y0 for axes in figure.axes)


def test_reproduced_tables_mark_them(results: Results) -> None:
    text = reproduced(get_published("refinefuse-tno"), results)
    rows = [line.split(" | ")[:2] for line in text.splitlines() if "ours" in line]
    assert ["| DenseFuse (densefuse)", "ours †"] in rows
    assert ["| DenseFuse (densefuse (authors))", "ours ‡"] in rows
    assert ["| dwt", "ours"] in rows
    assert ["| dark", "ours §"] in rows
    assert all(f"- {mark} {words}" in text for mark, words in NOTES.items())


def test_the_terminal_marks_them(
    pairs: Path, authors: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pairs)
    monkeypatch.setenv("COLUMNS", "200")
    models = f"densefuse,densefuse:{authors},a_densefuse_with_a_very_long_name=densefuse:{authors}"
    words = ["--data", "tno=set", "--models", models, "--fused", "dark=dark", "--metrics", "EN"]
    assert main(["benchmark", *words, "--workers", "1", "--no-report", "-o", "out"]) == 0
    out = capsys.readouterr().out
    assert all(f"{mark} {words}" in out for mark, words in NOTES.items())
    for name in ("densefuse†", "densefuse (authors)‡", "dark§"):
        assert out.count(f" {name} ") >= 2, "scores and ranks"
    assert any(line.split()[0].endswith("…‡") for line in out.splitlines() if line.split()), "cut before its mark"


def test_significance_stands_with_its_family(results: Results, pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three pairs tell nothing: every format says so, and how many it would take."""
    write_tables(results, pairs / "out")
    report = write_report(results, pairs / "out").read_text("utf-8")
    sentences = (
        "two-sided Wilcoxon signed-rank test over the pairs at 5 %, corrected after Holm over the 3 comparisons of"
        " each metric",
        "With 3 pairs the corrected p cannot fall below 0.75, so no difference can be significant: it takes 7 pairs.",
    )
    tex = (pairs / "out" / "tables.tex").read_text("utf-8").replace(r"\%", "%")
    for text in ((pairs / "out" / "tables.md").read_text("utf-8"), tex, report):
        assert all(sentence in text for sentence in sentences)
        assert "too few pairs" in text
    results.write(pairs / "out" / "results.json")
    assert read_results(pairs / "out").significance.model_dump() == {
        "test": "two-sided Wilcoxon signed-rank",
        "correction": "Holm",
        "family": "metric",
    }
    (line, *_) = csv.DictReader(io.StringIO((pairs / "out" / "summary.csv").read_text("utf-8")))
    assert (line["significant"], line["comparisons"], line["pairs_needed"]) == ("", "", ""), "the reference"


def test_the_wider_family(pairs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pairs)
    monkeypatch.setenv("COLUMNS", "300")
    words = ["--data", "mine=set", "--models", "dwt", "--fused", "dark=dark", "--metrics", "EN,SF", "--family", "data"]
    assert main(["benchmark", *words, "--workers", "1", "--no-report", "-o", "out"]) == 0
    assert "after Holm over the 2 comparisons of all metrics" in capsys.readouterr().out
    assert read_results(pairs / "out").significance.family == "data"
    (first, second) = [
        row
        for row in csv.DictReader(io.StringIO((pairs / "out" / "summary.csv").read_text("utf-8")))
        if row["method"] == "dark"
    ]
    assert (first["comparisons"], first["pairs_needed"], first["significant"]) == ("2", "7", "?")
    assert float(second["smallest_p_holm"]) == 0.5
    assert main(["benchmark", *words[:-1], "all", "-o", "out"]) == 2
    assert "family: " in capsys.readouterr().err
