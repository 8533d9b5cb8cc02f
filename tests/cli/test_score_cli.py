from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from imfuse import __version__, score
from imfuse.cli._score_tables import print_scores
from imfuse.cli.main import main
from imfuse.imaging import write_image
from imfuse.metrics import CONVENTIONS, METRICS, MetricSpec
from imfuse.metrics.conventions import Convention, Definition
from imfuse.metrics.information import entropy
from imfuse.scoring.scores import ImageScores, Scores

QUICK = ["--metrics", "EN,SD,SCD"]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Current folder with ir/, vi/, and fused pictures of two methods, a/ and b/; three pairs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    random = np.random.default_rng(0)
    for name in ("1", "2", "Ω 3"):
        for side in ("ir", "vi", "a", "b"):
            # b has twice the contrast of a: the better EN and SD.
            top = 100 if side == "a" else 201
            write_image(tmp_path / side / f"{name}.png", random.integers(0, top, (24, 32), np.uint8))
    return tmp_path


def line(text: str, start: str) -> str:
    (found,) = [row for row in text.splitlines() if row.split()[:1] == [start]]
    return " ".join(found.split())


def test_three_files(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "a/1.png", "ir/1.png", "vi/1.png", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    values = score("a/1.png", "ir/1.png", "vi/1.png", metrics="EN,SD,SCD")
    assert line(out, "EN") == f"EN ↑ {values['EN']:.4f} bit entropy"
    assert line(out, "SD") == f"SD ↑ {values['SD']:.3f} gray levels standard deviation"
    assert line(out, "SCD").startswith(f"SCD ↑ {values['SCD']:.4f}")
    for words in ("convention plain", "rgb2gray", f"imfuse {__version__}", "↑ higher is better"):
        assert words in " ".join(out.split())
    assert "best" not in out
    assert "interval" not in out


def test_three_folders(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "a", "ir", "vi", *QUICK, "--csv", "out/a.csv", "--json", "out/a.json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    scores = score("a", "ir", "vi", metrics="EN,SD,SCD")
    assert line(out, "EN").startswith(f"EN ↑ {scores.summary('EN').mean:.4f} ±")
    assert "3 pairs: mean, ± standard deviation, 95 % bootstrap interval of the mean" in out
    assert out.endswith("out/a.csv: 3 pictures\nout/a.json: 3 pictures\n")
    rows = list(csv.DictReader(Path("out/a.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["image"] for row in rows] == ["1", "2", "Ω 3"]
    assert [float(row["EN"]) for row in rows] == [row.values["EN"] for row in scores.rows]
    assert json.loads(Path("out/a.json").read_text())["methods"]["a"]["summary"]["EN"]["count"] == 3


@pytest.mark.parametrize(
    "words",
    [
        ["--fused", "low=a", "--fused", "high=b", "ir", "vi"],
        ["--fused", "low=a", "high=b", "ir", "vi"],
        ["ir", "vi", "--fused", "low=a", "--fused", "high=b", "--workers", "3"],
    ],
)
def test_comparison(folders: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(["score", *words, "--metrics", "EN,SD"]) == 0
    out = capsys.readouterr().out
    low, high = (score(folder, "ir", "vi", metrics="EN,SD") for folder in ("a", "b"))
    assert line(out, "low") == f"low {low.summary('EN').mean:.4f} {low.summary('SD').mean:.3f}"
    assert line(out, "high") == f"high *{high.summary('EN').mean:.4f} *{high.summary('SD').mean:.3f}"
    assert "* best" in out


def test_comparison_of_files(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--fused", "low=a/1.png", "--fused", "high=b/1.png", "ir/1.png", "vi/1.png", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "±" not in out
    assert line(out, "high").startswith("high *")


def test_all_metrics_and_the_default(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Pictures large enough for every metric.
    big = [np.random.default_rng(seed).integers(0, 256, (192, 192), np.uint8) for seed in range(3)]
    for name, pixels in zip(("f", "i", "v"), big, strict=True):
        write_image(f"{name}.png", pixels)
    assert main(["score", "f.png", "i.png", "v.png", "--json", "all.json", "--metrics", "all"]) == 0
    assert set(json.loads(Path("all.json").read_text())["metrics"]) == set(CONVENTIONS["plain"].definitions)
    assert main(["score", "f.png", "i.png", "v.png", "--json", "few.json"]) == 0
    assert {"EN", "SD", "SF", "AG", "SCD"} <= set(json.loads(Path("few.json").read_text())["metrics"])


def test_some_cannot_be_scored(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a/1.png").unlink()
    Path("b/2.png").write_bytes(b"")
    write_image("b/x.png", np.zeros((4, 4), np.uint8))
    write_image("vi/y.png", np.zeros((4, 4), np.uint8))
    assert main(["score", "--fused", "a=a", "b=b", "ir", "vi", *QUICK, "--csv", "a.csv"]) == 1
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert lines[:3] == [
        "imfuse: 1 visible picture without a partner: y.png",
        "imfuse: a: 1 pair without a fused picture: 1",
        "imfuse: b: 1 picture without a pair: x.png",
    ]
    assert lines[3].startswith("imfuse: failed: b 2: b/2.png: ")
    assert len(lines) == 4
    assert len(Path("a.csv").read_text().splitlines()) == 1 + 4
    assert "the means are over" not in out, "both have two pictures"
    Path("a/2.png").unlink()
    assert main(["score", "--fused", "a=a", "b=b", "ir", "vi", *QUICK]) == 1
    assert "note: the means are over different pictures: a 1, b 2 of 3 pairs" in capsys.readouterr().out


def test_nothing_can_be_scored(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("1", "2", "Ω 3"):
        Path("a", f"{name}.png").write_bytes(b"")
    assert main(["score", "a", "ir", "vi"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a", "ir"], ["FUSED INFRARED VISIBLE", "found 2 paths"]),
        (["a", "ir", "vi", "b"], ["found 4 paths"]),
        (["a", "ir", "vi/1.png"], ["a is a folder", "vi/1.png is a file"]),
        (["a", "ir", "missing"], ["missing", "No such file"]),
        (["a/1.png", "ir/2.png", "vi/none.png"], ["vi/none.png"]),
        (["--fused", "a", "ir", "vi"], ["--fused 'a'", "NAME=PATH"]),
        (["--fused", "a=", "ir", "vi"], ["NAME=PATH"]),
        (["--fused", "a=a", "--fused", "a=b", "ir", "vi"], ["'a' is given twice"]),
        (["--fused", "a=a", "a", "ir", "vi"], ["INFRARED VISIBLE", "found 3 paths: a ir vi"]),
        (["--fused", "a=a", "ir"], ["found 1 path: ir"]),
        (["a", "ir", "vi", "--metrics", "ENN"], ["unknown metric 'ENN'", "did you mean EN"]),
        (["a", "ir", "vi", "--convention", "pain"], ["unknown convention 'pain'", "plain"]),
        (["a", "ir", "vi", "--csv", "out"], ["out", "folder"]),
        (["a", "ir", "vi", "--range", "2,1"], ["LOW < HIGH"]),
        (["a", "ir", "vi", "--workers", "0"], ["--workers"]),
        (["a", "ir", "ir"], ["same folder"]),
        (["out", "ir", "vi"], ["out", "no pictures"]),
        (["a/1.png", "ir/1.png", "small.png"], ["32x24", "8x8"]),
        (["float.tif", "ir/1.png", "vi/1.png"], ["float.tif", "0..2", "0..1", "--range LOW,HIGH"]),
        (["a/1.png", "ir/1.png", "vi/1.png", "--max-megapixels", "0.0001"], ["32x24"]),
    ],
)
def test_misuse(folders: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: list[str]) -> None:
    Path("out").mkdir()
    write_image("small.png", np.zeros((8, 8), np.uint8))
    write_image("float.tif", np.linspace(0, 2, 24 * 32, dtype=np.float32).reshape(24, 32))
    assert main(["score", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("imfuse: error: ")
    assert err.count("\n") == 1
    assert all(word in err for word in expected), err


def test_plain_run_with_warnings_as_errors(folders: Path) -> None:
    words = ["score", "--fused", "x=a", "y=b", "ir", "vi", *QUICK]
    command = [sys.executable, "-W", "error", "-m", "imfuse.cli.main", *words]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env={**os.environ, "PYTHONIOENCODING": "utf-8"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "convention plain" in done.stdout


# Tables


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Eleven metrics of every direction and size, under a convention that knows an accident."""
    better = {"LOW": "lower", "NONE": "none"}
    names = [*(f"M{i}" for i in range(9)), "LOW", "NONE"]
    for name in names:
        spec = MetricSpec(name, f"{name} in words", "", (0, 1), better.get(name, "higher"), False, "")  # type: ignore[arg-type]
        monkeypatch.setitem(METRICS, name, spec)
    definitions = {name: Definition(entropy, {}, "[it] counts twice" if name == "M1" else "") for name in names}
    monkeypatch.setitem(CONVENTIONS, "odd", Convention("odd", "nobody", "opencv", definitions))
    return names


def shown(scores: Scores, width: int) -> str:
    console = Console(width=width, highlight=False, force_terminal=False, color_system=None)
    with console.capture() as capture:
        print_scores(scores, console)
    return capture.get()


def scores_of(values: dict[str, list[list[float]]], metrics: list[str]) -> Scores:
    rows = tuple(
        ImageScores(method, str(i), dict(zip(metrics, row, strict=True)))
        for method, rows in values.items()
        for i, row in enumerate(rows)
    )
    return Scores("odd", tuple(metrics), tuple(values), max(map(len, values.values())), rows)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_tables_fit_and_show_everything(invented: list[str], width: int, count: int) -> None:
    random = np.random.default_rng(0)
    scale = 10.0 ** np.arange(-9, 2)
    methods = ["one", "two", "a method of a very long name, longer than any column"][:count] + ["x", "y"][
        : max(0, count - 3)
    ]
    values = {method: (scale * random.uniform(1, 9, (6, 11))).tolist() for method in methods}
    scores = scores_of(values, invented)
    out = shown(scores, width)
    assert max(map(len, out.splitlines())) <= width
    assert "…" not in out.replace("longe…", "").replace("a method of a very long…", "")
    for symbol in invented:
        assert f" {symbol} " in out
        for method in methods:
            mean = scores.summary(symbol, method).mean
            assert f"{mean:.3e}" in out or f"{mean:.4f}" in out or f"{mean:.3f}" in out, (symbol, mean)
    for word in ("↑ higher", "↓ lower", "no arrow: best in between", "convention odd: nobody", "OpenCV"):
        assert word in " ".join(out.split())
    assert "accident of odd, M1: [it] counts twice" in " ".join(out.split())


def test_marks(invented: list[str]) -> None:
    metrics = ["M1", "LOW", "NONE", "M2", "M3"]
    nan = math.nan
    values = {"one": [[1, 3, 2, 1.00001, nan]], "two": [[2, 2, 3, 1.00002, 5]], "three": [[3, 1, 1, 0.5, nan]]}
    out = shown(scores_of(values, metrics), 200)
    assert line(out, "one") == "one 1.0000 3.0000 2.0000 *1.0000 -"
    assert line(out, "two") == "two 2.0000 2.0000 3.0000 *1.0000 *5.0000"
    assert line(out, "three") == "three *3.0000 *1.0000 1.0000 0.5000 -"
    assert "note: M3 is undefined for 1 picture of one, 1 picture of three, left out of its mean" in out
    console = Console(width=200, highlight=False, force_terminal=True, color_system="standard", legacy_windows=False)
    with console.capture() as capture:
        print_scores(scores_of(values, metrics), console)
    assert "\x1b[1m*3.0000\x1b[0m" in capture.get()
    assert "\x1b[4m2.0000\x1b[0m" in capture.get()


def test_a_comparison_of_two_underlines_nothing(invented: list[str]) -> None:
    console = Console(width=80, force_terminal=True, color_system="standard", legacy_windows=False)
    with console.capture() as capture:
        print_scores(scores_of({"one": [[1.0]], "two": [[2.0]]}, ["M1"]), console)
    assert "\x1b[4m" not in capture.get()
    assert "underlined" not in capture.get()


@pytest.mark.parametrize("flag", ["--csv", "--json"])
def test_tables_never_replace_a_picture_that_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    files = [tmp_path / f"{name}.png" for name in ("fu", "ir", "vi")]
    for file in files:
        write_image(file, np.zeros((24, 32), np.uint8))
    before = files[1].read_bytes()
    assert main(["score", *map(str, files), "--metrics", "EN", flag, str(files[1])]) == 2
    assert "is one of the pictures that are scored" in capsys.readouterr().err
    assert files[1].read_bytes() == before
