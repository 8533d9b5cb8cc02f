"""``results.json``: what is written can be read again, and a file of others is checked."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imfuse.benchmark.report import write_report
from imfuse.benchmark.results import (
    ConventionUsed,
    DataResults,
    ExternalResults,
    MetricUsed,
    ModelUsed,
    PairFiles,
    Results,
    ScoredPicture,
    WeightsUsed,
    read_results,
)
from imfuse.benchmark.tables import write_tables
from imfuse.cli.main import main
from imfuse.core.errors import BenchmarkError

HASH = 64 * "a"
NO_TEXT = os.fsdecode(b"\xff")


@pytest.fixture
def results() -> Results:
    weights = WeightsUsed.model_validate({"name": "default", "sha256": HASH, "recipe": "auif", "data": "RoadScene"})
    model = ModelUsed(
        model="auif", title="AUIF-Net", paper="", options={"rule": "sum", "levels": 4}, dtype="float32", weights=weights
    )
    data = DataResults(
        title="TNO",
        infrared="/data/ir",
        visible="/data/vi",
        pairs={NO_TEXT: PairFiles(infrared="1.png", visible="1.png", infrared_sha256=HASH, visible_sha256=HASH)},
        pictures={"ours": {NO_TEXT: ScoredPicture(file="fused/1.png", sha256=HASH, scores={"EN": 0.1, "SD": None})}},
        failed={"": {NO_TEXT: "no reason"}},
    )
    return Results(
        imfuse="9.9",
        date="2026-01-01T00:00:00+00:00",
        environment={"python": "3.10"},
        convention=ConventionUsed(name="plain", origin="this library", gray="matlab"),
        metrics={symbol: MetricUsed(name=symbol, unit="", better="higher", accident="") for symbol in ("EN", "SD")},
        range="auto",
        against="ours",
        methods={"ours": model, "theirs": ExternalResults(title="theirs")},
        data={"tno": data},
    )


def test_written_and_read(results: Results, tmp_path: Path) -> None:
    results.write(tmp_path / "results.json")
    assert read_results(tmp_path) == read_results(tmp_path / "results.json") == results
    scores = results.scores("tno")
    assert scores.rows[0].values["EN"] == 0.1
    assert math.isnan(scores.rows[0].values["SD"])
    assert (scores.pairs, scores.methods, scores.failed[0].message) == (1, ("ours",), "no reason")


def test_the_file_as_it_is(results: Results, tmp_path: Path) -> None:
    """Keys and their order are a contract with whoever reads or writes such files."""
    results.write(tmp_path / "results.json")
    text = (tmp_path / "results.json").read_text("ascii")
    content = json.loads(text)
    assert text == json.dumps(content, indent=1) + "\n"
    assert list(content) == [
        "format", "imfuse", "date", "environment", "convention", "metrics", "range", "against", "significance",
        "methods", "data",
    ]  # fmt: skip
    assert content["format"] == 1
    assert content["significance"] == {
        "test": "two-sided Wilcoxon signed-rank", "correction": "Holm", "family": "metric"
    }  # fmt: skip
    assert list(content["methods"]["ours"]) == ["kind", "model", "title", "paper", "options", "dtype", "weights"]
    assert content["methods"]["ours"]["weights"] == {
        "name": "default", "sha256": HASH, "recipe": "auif", "data": "RoadScene"
    }  # fmt: skip
    assert content["methods"]["theirs"] == {"kind": "pictures", "title": "theirs"}
    assert list(content["data"]["tno"]) == [
        "title", "infrared", "visible", "pairs", "pictures", "failed", "missing", "unmatched", "unmatched_infrared",
        "unmatched_visible",
    ]  # fmt: skip
    assert content["data"]["tno"]["pairs"][NO_TEXT] == {
        "infrared": "1.png", "visible": "1.png", "infrared_sha256": HASH, "visible_sha256": HASH
    }  # fmt: skip
    picture = {"file": "fused/1.png", "sha256": HASH, "scores": {"EN": 0.1, "SD": None}}
    assert content["data"]["tno"]["pictures"]["ours"] == {NO_TEXT: picture}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty (0 bytes), a results.json of imfuse is expected"),
        ("{", "not a JSON file"),
        ("\x00", "not a JSON file"),
        (2000 * "[", "not a JSON file"),
        ("[1]", "not what imfuse benchmark writes"),
        ("{}", "not what imfuse benchmark writes"),
        ('{"metrics": {}}', "not what imfuse benchmark writes"),
        ('{"format": 9}', "of format 9, this version reads 1"),
        ('{"format": [[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]}', "of format [[[[[[[[[[[[[[[[[[[], this"),
        ('{"format": 1}', "imfuse: Field required"),
    ],
)
def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(BenchmarkError, match=r"results\.json") as caught:
        read_results(tmp_path)
    assert message in str(caught.value)
    assert main(["benchmark", "report", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("imfuse: error: ")
    assert err.count("\n") == 1


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no such file; give the folder of a benchmark that ran"):
        read_results(tmp_path)
    with pytest.raises(BenchmarkError, match="no such file"):
        read_results(tmp_path / "none")


def picture_of(content: Any) -> Any:
    return content["data"]["tno"]["pictures"]["ours"][NO_TEXT]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(score=1), "score: Extra inputs are not permitted"),
        (lambda c: c.pop("methods"), "methods: Field required"),
        (lambda c: c.update(date=5), "date: Input should be a valid string"),
        (lambda c: c["convention"].update(gray="red"), "convention.gray: "),
        (lambda c: c["convention"].update(name="nobodys"), "unknown convention 'nobodys'"),
        (lambda c: c["metrics"].update(XX=c["metrics"]["EN"]), "unknown metric 'XX'"),
        (lambda c: c["metrics"]["EN"].update(better="up"), "metrics.EN.better: "),
        (lambda c: c.update(against="x"), "against: 'x' is none of the methods"),
        (lambda c: c["methods"]["ours"].update(kind="what"), "methods.ours: "),
        (lambda c: c["methods"]["ours"].update(weights="x"), "methods.ours.model.weights: "),
        (lambda c: c["methods"]["ours"]["weights"].update(sha256="12"), "methods.ours.model.weights.sha256: "),
        (lambda c: c["methods"]["ours"]["weights"].update(pairs=[1]), "methods.ours.model.weights.pairs: "),
        (lambda c: c.update(data=[]), "data: "),
        (lambda c: c["data"]["tno"]["pictures"].update(x={}), "data.tno: 'x' is none of the methods"),
        (lambda c: c["data"]["tno"]["failed"].update(x={}), "data.tno: 'x' is none of the methods"),
        (
            lambda c: c["data"]["tno"]["pictures"]["ours"].update(p=picture_of(c)),
            "data.tno: pictures of 'ours': no pair",
        ),
        (lambda c: picture_of(c).pop("file"), "file: Field required"),
        (lambda c: picture_of(c)["scores"].update(EN="7"), "scores.EN: Input should be a valid number"),
        (lambda c: picture_of(c)["scores"].update(EN=True), "scores.EN: Input should be a valid number"),
        (lambda c: picture_of(c)["scores"].update(EN=math.nan), "scores.EN: Input should be a finite number"),
        (lambda c: picture_of(c)["scores"].update(EN=math.inf), "scores.EN: Input should be a finite number"),
    ],
)
def test_what_is_wrong_with_a_file_of_others(
    results: Results, tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    results.write(tmp_path / "results.json")
    content = json.loads((tmp_path / "results.json").read_text())
    change(content)
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(BenchmarkError) as caught:
        read_results(tmp_path)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'results.json'}: ")
    assert message in line
    assert "\n" not in line


def test_a_file_of_others_makes_tables_and_a_report(tmp_path: Path) -> None:
    """As a program without this library would write it: pictures and hashes need not be there."""
    content = {
        "format": 1, "imfuse": "none", "date": "today", "environment": {}, "range": "full", "against": "theirs",
        "convention": {"name": "plain", "origin": "theirs", "gray": "matlab"},
        "metrics": {"EN": {"name": "entropy", "unit": "bit", "better": "higher", "accident": ""}},
        "methods": {"theirs": {"kind": "pictures", "title": "Their method"}},
        "data": {"own": {
            "title": "own set", "infrared": "ir", "visible": "vi",
            "pairs": {"1": {"infrared": "1.png", "visible": "1.png"}},
            "pictures": {"theirs": {"1": {"file": "1.png", "sha256": "", "scores": {"EN": 7}}}},
        }},
    }  # fmt: skip
    (tmp_path / "results.json").write_text(json.dumps(content))
    results = read_results(tmp_path)
    assert results.scores("own").summary("EN").mean == 7
    write_tables(results, tmp_path)
    assert "| theirs § | 7.0000 |" in (tmp_path / "tables.md").read_text("utf-8")
    assert "own set" in write_report(results, tmp_path).read_text("utf-8")


def test_the_schema_describes_the_file(results: Results) -> None:
    schema = Results.model_json_schema()
    assert set(schema["required"]) == set(Results.model_fields) - {"format", "significance", "rig"}
    assert schema["additionalProperties"] is False
    assert {"ModelUsed", "ExternalResults", "ScoredPicture"} <= schema["$defs"].keys()
