"""The scripts that the documentation quotes exist, say what they do, and shorten logs of training as they promise."""

from __future__ import annotations

import ast
import csv
import importlib
import json
import re
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from imfuse.benchmark.tasks.plan import TaskPlan

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "scripts").rglob("*.py"))
    if "__main__" in path.read_text(encoding="utf-8")
}
QUOTED = re.compile(r"python -m (scripts(?:\.\w+)+)((?: +\[?-{1,2}[\w-]+(?: +(?!-)[^\s`|]+)?| +(?!-)[^\s`|]+)*)")
PAGES = [path for path in ROOT.rglob("*.md") if not {"site", "build"} & set(path.relative_to(ROOT).parts)]
PAGES = [path for path in PAGES if not any(part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])]


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """``scripts`` can be imported, as it can from the root of the repository."""
    monkeypatch.syspath_prepend(ROOT)


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("module", SCRIPTS)
def test_help(module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process, which has imported torch already: each takes a fraction of a second."""
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main()
    assert ended.value.code == 0
    text = capsys.readouterr().out
    documentation = ast.get_docstring(ast.parse(SCRIPTS[module].read_text(encoding="utf-8"))) or ""
    assert documentation.splitlines()[0] in text
    if module != "scripts.speed.metrics":
        assert f"python -m {module}" in text, "the description says how it is run"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_that_pages_quote_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for module, arguments in QUOTED.findall(text):
        assert module in SCRIPTS, f"{page}: no {module}"
        options = set(re.findall(r"(?<=[ \[])--?[a-z][\w-]*", arguments)) - {"--help"}
        missing = [option for option in options if f'"{option}"' not in SCRIPTS[module].read_text(encoding="utf-8")]
        assert not missing, f"{page}: {module} has no {', '.join(missing)}"


def test_quoted_commands_are_found() -> None:
    text = "`python -m scripts.docs.results --shared DIR -o docs/results.md`\npython -m scripts.x.y a -n 2 | tail"
    assert QUOTED.findall(text) == [
        ("scripts.docs.results", " --shared DIR -o docs/results.md"),
        ("scripts.x.y", " a -n 2"),
    ]


def test_the_list_of_scripts_is_complete() -> None:
    listed = re.findall(r"^\| `python -m ([\w.]+)` \|", (ROOT / "scripts" / "README.md").read_text("utf-8"), re.M)
    assert sorted(listed) == sorted(SCRIPTS)


def run_of(tmp_path: Path, steps: int, every: int) -> Path:
    rows = []
    for step in range(1, steps + 1):
        rows.append({"step": step, "epoch": step // 10, "split": "train", "lr": 0.1, "loss": 1 / step})
        if step % every == 0:
            rows.append({"step": step, "epoch": step // 10, "split": "validation", "EN": 7 + step / 3})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "log.jsonl"


def shortened(log: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> list[dict[str, str]]:
    target = log.with_suffix(".csv")
    monkeypatch.setattr(sys, "argv", ["training_log", str(log), str(target), *options])
    assert importlib.import_module("scripts.docs.training_log").main() == 0
    with target.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("importable")
def test_a_long_log_keeps_ends_and_validations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = shortened(run_of(tmp_path, steps=1000, every=100), monkeypatch)
    steps = [int(row["step"]) for row in rows if row["split"] == "train"]
    assert len(rows) == 200
    assert [int(row["step"]) for row in rows if row["split"] == "validation"] == list(range(100, 1001, 100))
    assert (steps[0], steps[-1]) == (1, 1000)
    gaps = {after - before for before, after in pairwise(steps)}
    assert max(gaps) - min(gaps) <= 1, "evenly spaced"
    assert rows[0] == {"step": "1", "epoch": "0", "split": "train", "lr": "0.1", "loss": "1", "EN": ""}
    assert rows[-1]["EN"] == "340.3333"
    assert rows[-1]["loss"] == ""


@pytest.mark.usefixtures("importable")
def test_a_short_log_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(shortened(run_of(tmp_path, steps=150, every=3), monkeypatch)) == 200


@pytest.mark.usefixtures("importable")
def test_many_validations_leave_half_to_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = shortened(run_of(tmp_path, steps=300, every=1), monkeypatch, "--rows", "50")
    validations = [int(row["step"]) for row in rows if row["split"] == "validation"]
    assert (len(rows), len(validations)) == (50, 25)
    assert (validations[0], validations[-1]) == (1, 300)


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "bmp", "webp"])
def test_damaged_pictures(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The small form of the run that SECURITY.md speaks of."""
    fuzz = importlib.import_module("scripts.evidence.fuzz_images")
    files, path = fuzz.whole_files(kind), tmp_path / f"a.{kind}"
    found = Counter()
    for number in range(-len(files), 60):
        path.write_bytes(files[number] if number < 0 else fuzz.damaged(kind, files, 1, number))
        start = time.process_time()
        found["whole" if number < 0 else fuzz.look(path)] += 1
        assert number >= 0 or fuzz.look(path) == "read"
        assert time.process_time() - start < fuzz.SECONDS
    assert found.keys() <= {"whole", "read", "refused"}
    assert found["refused"] > 10
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("importable")
def test_a_run_over_damaged_pictures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fuzz = importlib.import_module("scripts.evidence.fuzz_images")
    monkeypatch.setattr(sys, "argv", ["fuzz", "--files", "20", "--formats", "webp"])
    assert fuzz.main() == 0
    row = capsys.readouterr().out.splitlines()[-1].strip("| ").split(" | ")
    assert row[:2] == ["webp", "20"]
    assert int(row[2]) + int(row[3]) == 20
    assert row[4] == "0"


@pytest.mark.usefixtures("importable")
def test_agreement_of_classes_with_boxes() -> None:
    boxes = importlib.import_module("scripts.evidence.boxes")
    drawn = boxes.read_boxes("0 0.5 0.5 0.4 0.4\n5 0.1 0.9 0.2 0.2\n", 10, 20)
    assert drawn == [boxes.Box(0, 3, 7, 6, 14), boxes.Box(5, 8, 10, 0, 4)]
    classes = np.zeros((10, 20), np.uint8)
    classes[3:7, 6:10] = 2  # half of the person's box
    classes[8:, :4] = 2  # within the truck's
    classes[0, :8] = 2  # in no box
    classes[5, 19] = 1  # a car, of which there is no box
    person, car = boxes.Agreement([]), boxes.Agreement([])
    person.add(classes, drawn, 2)
    car.add(classes, drawn, 1)
    assert (person.shares, person.pixels, person.outside) == ([0.5], 32, 8)
    assert (car.shares, car.pixels, car.outside) == ([], 1, 1)
    assert person.row() == "50.0% | 1 of 1 | 32 | 25.0%"


def test_every_training_log_is_short_whole_and_listed() -> None:
    folders = sorted(path for path in (ROOT / "docs" / "training").iterdir() if path.is_dir())
    index = (ROOT / "docs" / "training" / "index.md").read_text(encoding="utf-8")
    assert folders
    for folder in folders:
        assert sorted(path.name for path in folder.iterdir()) == [
            "curve.png",
            "environment.txt",
            "log.csv",
            "recipe.yaml",
        ]
        assert f"`{folder.name}`" in index
        with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert 2 <= len(rows) <= 200, folder
        steps = [int(row["step"]) for row in rows]
        assert steps == sorted(steps)
        assert all(row["loss"] for row in rows if row["split"] == "train")


def test_page_of_tasks_says_what_its_numbers_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    tasks = importlib.import_module("scripts.docs.tasks")
    tiny = {"size": (48, 64), "batch": 2, "crop": (32, 32), "device": "cpu"}
    monkeypatch.setattr(tasks, "TaskPlan", lambda *given, **how: TaskPlan(*given, **{**how, **tiny}))
    words = ["--shared", str(tmp_path), "--detector", "some.onnx", "-o", str(tmp_path / "docs" / "tasks.md")]
    words += ["--work", str(tmp_path / "work"), "--models", "sdnet", "--seeds", "1", "--steps", "1", "--scenes", "2"]
    monkeypatch.setattr(sys, "argv", ["tasks", *words, "--parts", "detectors"])
    assert tasks.main() == 0
    text = (tmp_path / "docs" / "tasks.md").read_text()
    assert "`imfuse benchmark --task detect --models sdnet --seeds 1 --steps 1 --scenes 2`" in text
    assert "- Against stacked: 0 of 1 methods score higher; in all intervals 0 are better, 0 worse, 1 are not" in text
    assert "sdnet + segformer_compact" in text
    assert (tmp_path / "docs" / "images" / "tasks_detectors.jpg").is_file()
