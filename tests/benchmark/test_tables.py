from __future__ import annotations

import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.results import Results, read_results
from imfuse.benchmark.runner import run_benchmark
from imfuse.benchmark.tables import tables_of, write_tables
from imfuse.cli.main import main


@pytest.fixture
def results(pairs: Path) -> Results:
    fused = {"dark": pairs / "dark", "bright_1": pairs / "bright"}
    plan = make_plan(
        {"data": {"mine": pairs / "set"}, "models": "auif", "fused": fused, "metrics": "EN,SD,MSE", "against": "dark"}
    )
    return run_benchmark(plan, pairs / "out", workers=1)


def test_best_and_second(results: Results) -> None:
    (table,) = tables_of(results)
    for symbol, better in (("EN", max), ("MSE", min)):
        means = {method: table.scores.summary(symbol, method).mean for method in table.scores.methods}
        best = better(means, key=lambda method: means[method])
        places = {method: table.cells[method][symbol].place for method in means}
        assert sorted(places.values()) == [0, 1, 2]
        assert places[best] == 0


def test_files(results: Results, pairs: Path) -> None:
    write_tables(results, pairs / "out")
    read = {name: (pairs / "out" / name).read_text("utf-8") for name in ("tables.md", "tables.tex", "summary.csv")}
    assert "## mine, 3 pairs" in read["tables.md"]
    assert "| method | EN ↑ | SD ↑ | MSE ↓ | rank ↓ |" in read["tables.md"]
    assert read["tables.md"].count("**") == 2 * 3
    assert read["tables.md"].count("<u>") == 3
    assert r"bright\_1" in read["tables.tex"]
    assert read["tables.tex"].count(r"\textbf") == read["tables.tex"].count(r"\underline") == 3
    lines = list(csv.DictReader(io.StringIO(read["summary.csv"])))
    assert len(lines) == 3 * 3
    for line in lines:
        one = results.scores("mine").summary(line["metric"], line["method"])
        assert (float(line["mean"]), float(line["low"]), int(line["count"])) == (one.mean, one.low, 3)
        assert line["significant"] == ("" if line["method"] == "dark" else "?")
    values = list(csv.DictReader((pairs / "out" / "values.csv").open(encoding="utf-8")))
    assert float(values[0]["SD"]) == results.data["mine"].pictures["auif"]["1"].scores["SD"]


def test_latex_compiles(results: Results, pairs: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex is installed")
    write_tables(results, pairs)
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{tables}\end{document}"
    (pairs / "x.tex").write_text(document)
    subprocess.run(["pdflatex", "-halt-on-error", "x.tex"], cwd=pairs, check=True, capture_output=True)


def test_command(pairs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pairs)
    words = ["benchmark", "--data", "mine=set", "--models", "auif", "--fused", "dark=dark", "--metrics", "EN,SD"]
    assert main([*words, "--workers", "1", "--no-report", "-o", "out"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "3 pairs of mine" in " ".join(out.split())
    assert "(the reference)" in out
    assert "out/results.json" in out
    (pairs / "dark" / "2.png").write_bytes(b"")
    assert main([*words, "--workers", "1", "--no-report", "-o", "out"]) == 1
    assert "failed: mine dark 2: dark/2.png: the file is empty" in capsys.readouterr().err


def test_settings_of_a_file_and_of_the_command_line(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pairs / "plan.yaml").write_text("data: {mine: set}\nmodels: none\nfused: {dark: dark}\nmetrics: [EN]\n")
    monkeypatch.chdir(pairs / "set")
    words = ["benchmark", "--config", "../plan.yaml", "--metrics", "SD", "--workers", "1", "--no-report", "-o", "../x"]
    assert main(words) == 0
    results = read_results(pairs / "x")
    assert (list(results.methods), list(results.metrics)) == (["dark"], ["SD"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a data set"),
        (["--data", "set"], "--data 'set': NAME=PATH"),
        (["--data", "mine=nowhere"], "nowhere"),
        (["--data", "mine=set", "--models", "auof"], "auif"),
        (["--data", "mine=set", "--metrics", "XX"], "XX"),
        (["--config", "none.yaml"], "none.yaml"),
        (["--data", "mine=set", "--models", "none"], "nothing to compare; use --models all; use --fused NAME=DIR"),
        (["--data", "mine=set", "--models", "auif,auif"], "name one of them, as in --models NAME=auif"),
        (["--data", "mine=set", "--against", "x", "--models", "auif"], "--against x: one of auif is expected"),
        (["--data", "mine=set", "--models", "auif", "-o", "set/ir/1.png"], "choose another --output"),
    ],
)
def test_misuse_is_one_line(
    pairs: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pairs)
    assert main(["benchmark", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
