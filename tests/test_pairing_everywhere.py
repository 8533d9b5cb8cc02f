"""Every command finds pairs in the same way: sub-folders, lists, names that a camera gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imfuse import Fuser, PairError
from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.results import DataResults
from imfuse.benchmark.runner import run_benchmark
from imfuse.cli.main import main
from imfuse.core.errors import BenchmarkError, ImfuseError
from imfuse.core.notes import ImfuseWarning, collected
from imfuse.data import find_pairs
from imfuse.data.layouts import find_folders
from imfuse.imaging import read_image, write_image
from imfuse.scoring.files import score_folders
from imfuse.tasks.segment.segmenter import Segmenter

METHOD = "laplacian_pyramid"


def fill(root: Path, *files: str) -> Path:
    """Pictures that differ from each other."""
    for number, file in enumerate(files):
        write_image(root / file, np.random.default_rng(number).integers(0, 256, (24, 32), np.uint8))
    return root


def made(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    return fill(tmp_path, *(f"{side}/{seq}/1.png" for side in ("ir", "vi") for seq in ("a", "b")))


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A list of two pairs whose names have nothing in common."""
    fill(tmp_path, "cold/x.png", "cold/y.png", "bright/1.png", "bright/2.png")
    text = "infrared,visible,name\ncold/x.png,bright/2.png,\ncold/y.png,bright/1.png,night/7\n"
    (tmp_path / "pairs.csv").write_text(text)
    return tmp_path / "pairs.csv"


def test_fuse_keeps_sub_folders_and_resumes(sequences: Path) -> None:
    fuser = Fuser(METHOD)
    folders = sequences / "ir", sequences / "vi", sequences / "out"
    assert fuser.folder(*folders, recursive=True).written == ("a/1", "b/1")
    assert made(sequences / "out") == ["a/1.png", "b/1.png"]
    expected = fuser(sequences / "ir/b/1.png", sequences / "vi/b/1.png")
    np.testing.assert_array_equal(read_image(sequences / "out" / "b" / "1.png"), expected)
    assert fuser.folder(*folders, recursive=True).skipped == ("a/1", "b/1")


def test_results_inside_the_searched_folder_are_no_sources(sequences: Path) -> None:
    for _ in range(2):
        report = Fuser(METHOD).folder(sequences, sequences, sequences / "out", recursive=True)
        assert [*report.written, *report.skipped] == ["vi/a/1", "vi/b/1"]
        assert (report.unmatched_infrared, report.unmatched_visible) == ((), ())
    assert made(sequences / "out") == ["vi/a/1.png", "vi/b/1.png"]


def test_results_do_not_go_into_a_folder_of_sources(sequences: Path, listed: Path) -> None:
    before = {path: path.read_bytes() for path in sequences.rglob("*.png")}
    for folders in ((sequences / "ir", sequences / "vi", sequences / side) for side in ("ir", "vi")):
        with pytest.raises(PairError, match=r"is the \w+ folder itself"):
            Fuser(METHOD).folder(*folders, recursive=True, overwrite=True)
    with pytest.raises(PairError, match="is the visible folder itself"):
        Fuser(METHOD).folder(None, None, listed.parent / "bright", pairs=listed, overwrite=True)
    assert {path: path.read_bytes() for path in sequences.rglob("*.png")} == before


def test_fuse_a_list(listed: Path) -> None:
    report = Fuser(METHOD).folder(None, None, listed.parent / "out", pairs=listed)
    assert report.written == ("2", "night/7")
    assert made(listed.parent / "out") == ["2.png", "night/7.png"]


def test_pairs_by_a_weaker_rule_are_an_error_in_strict(tmp_path: Path) -> None:
    folders = fill(tmp_path, "ir/001.png", "vi/1.png") / "ir", tmp_path / "vi", tmp_path / "out"
    with pytest.raises(ImfuseError, match="leading zeros"):
        Fuser(METHOD, strict=True).folder(*folders)
    with pytest.warns(ImfuseWarning, match="1 pair of files whose numbers differ by leading zeros"):
        assert Fuser(METHOD).folder(*folders).written == ("1",)


def test_segment(sequences: Path, listed: Path) -> None:
    segmenter = Segmenter(weights=None)
    folders = sequences / "ir", sequences / "vi", sequences / "out"
    write_image(sequences / "labels" / "a" / "1.png", np.ones((24, 32), np.uint8))
    report = segmenter.folder(*folders, recursive=True, labels=sequences / "labels")
    assert (report.written, report.unlabelled) == (("a/1", "b/1"), ("b/1",))
    assert made(sequences / "out") == [f"{part}/{seq}/1.png" for part in ("labels", "overlay") for seq in ("a", "b")]
    assert segmenter.folder(None, None, sequences / "more", pairs=listed).written == ("2", "night/7")


def test_score(sequences: Path, listed: Path) -> None:
    fill(sequences, "fused/a/1.png", "fused/b/1_fused.png", "more/2.png", "more/night/7.png")
    scores = score_folders(sequences / "fused", sequences / "ir", sequences / "vi", recursive=True, metrics="EN")
    assert [row.image for row in scores.rows] == ["a/1", "b/1"]
    assert scores.complete
    scores = score_folders(sequences / "more", None, None, pairs=listed, metrics="EN")
    assert [row.image for row in scores.rows] == ["2", "night/7"]


def test_train(sequences: Path, listed: Path) -> None:
    write_image(sequences / "labels" / "a" / "1.png", np.ones((24, 32), np.uint8))
    files = find_pairs(sequences, recursive=True)
    assert [(one.name, one.labels is not None) for one in files] == [("a/1", True), ("b/1", False)]
    assert [one.name for one in find_pairs(pairs=listed)] == ["2", "night/7"]
    listed.write_text("infrared,visible\nx.png,2.png\n")
    with pytest.raises(PairError, match=r"no partner for y\.png, 1\.png \(2 in all\)"):
        find_pairs(listed.parent / "cold", listed.parent / "bright", pairs=listed)


def benchmark(data: Any, output: Path, **settings: Any) -> DataResults:
    plan = make_plan({"data": {"mine": data}, "models": METHOD, "metrics": "EN", **settings})
    return run_benchmark(plan, output, workers=1).data["mine"]


def test_benchmark(sequences: Path, listed: Path) -> None:
    data = benchmark(sequences, sequences / "out", recursive=True)
    assert data.complete
    assert list(data.pictures[METHOD]) == ["a/1", "b/1"]
    assert (data.pairs["a/1"].infrared, data.infrared) == ("a/1.png", str((sequences / "ir").resolve()))
    assert data.pictures[METHOD]["b/1"].file == f"fused/mine/{METHOD}/b/1.png"
    for place in (listed, {"pairs": listed}):
        data = benchmark(place, listed.parent / "more")
        assert {name: (one.infrared, one.visible) for name, one in data.pairs.items()} == {
            "2": ("x.png", "2.png"),
            "night/7": ("y.png", "1.png"),
        }
        assert data.visible == str((listed.parent / "bright").resolve())
    with pytest.raises(BenchmarkError, match=r"data\.mine: infrared and visible are expected, or pairs"):
        make_plan({"data": {"mine": {"infrared": "ir"}}})


def test_folders_of_a_data_set_that_say_their_sides(tmp_path: Path) -> None:
    fill(tmp_path, "one/lwir_test/1.png", "one/rgb/1.png", "two/红外/1.png", "two/可见光/1.png", "two/labels/1.png")
    fill(tmp_path, "three/1_ir.png", "three/1_vis.png", "four/test/tir/1.png", "four/test/eo/1.png", "five/tir/1.png")
    fill(tmp_path, "five/eo/1.png", "five/rgb/1.png")
    found = [find_folders(tmp_path / name, "test") for name in ("one", "two", "three", "four")]
    assert [(place.infrared.name, place.visible.name) for place in found] == [
        ("lwir_test", "rgb"),
        ("红外", "可见光"),
        ("three", "three"),
        ("tir", "eo"),
    ]
    assert [one.name for one in find_pairs(tmp_path / "three")] == ["1_vis"]
    with pytest.raises(PairError, match="no layout"):
        find_folders(tmp_path / "five", "test")


def words(*parts: object) -> list[str]:
    return [str(part) for part in parts]


def test_commands(sequences: Path, listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, method = sequences, ("--model", METHOD)
    assert main(words("fuse", root / "ir", root / "vi", "-o", root / "out", "--recursive", *method)) == 0
    assert main(words("fuse", "--pairs", listed, "-o", root / "more", *method)) == 0
    assert made(root / "out") + made(root / "more") == ["a/1.png", "b/1.png", "2.png", "night/7.png"]
    table = root / "scores.csv"
    sources = root / "ir", root / "vi", "--recursive"
    assert main(words("score", root / "out", *sources, "--metrics", "EN", "--csv", table)) == 0
    assert main(words("score", root / "more", "--pairs", listed, "--metrics", "EN")) == 0
    assert main(words("score", "--fused", f"a={root / 'more'}", "--pairs", listed, "--metrics", "EN")) == 0
    assert "a/1" in table.read_text()
    assert capsys.readouterr().err == ""


def test_a_command_says_by_which_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = fill(tmp_path, "ir/001.png", "vi/1.png") / "ir", tmp_path / "vi"
    assert main(words("fuse", *folders, "-o", tmp_path / "out", "--model", METHOD)) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("imfuse: warning: ")
    assert line.endswith("such as 001.png and 1.png; list the pairs in a file (--pairs) where that is wrong")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("fuse", "--model", METHOD), "give INFRARED and VISIBLE, or --pairs FILE"),
        (("fuse", "ir"), "give INFRARED and VISIBLE, or --pairs"),
        (("fuse", "ir/a/1.png", "vi/a/1.png", "--recursive"), "--recursive: of folders; two files were given"),
        (("segment", "ir/a/1.png", "vi/a/1.png", "--pairs", "x"), "--pairs: of folders; two files were given"),
        (("score", "a.png", "ir/a/1.png", "vi/a/1.png", "--recursive"), "--recursive: of folders; files were given"),
        (("score", "--pairs", "x"), "FUSED INFRARED VISIBLE are expected, found 0 paths"),
        (("fuse", "--pairs", "no.csv", "--model", METHOD), "no.csv: no such file"),
        (("train", "auif", "--data", "ir", "--pairs", "x"), "--pairs: a list of pairs goes alone, or with --infrared"),
        (("train", "auif"), "or as --pairs FILE"),
    ],
)
def test_misuse(
    sequences: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    expected: str,
) -> None:
    fill(sequences, "a.png")
    monkeypatch.chdir(sequences)
    assert main(list(command)) == 2
    assert expected in capsys.readouterr().err


def test_notes_of_pairing_do_not_repeat(tmp_path: Path) -> None:
    fill(tmp_path, "ir/001.png", "vi/1.png")
    with collected() as notes:
        Fuser(METHOD).folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out")
    assert len(notes) == 1
