"""Sequences in folders: what flickers, what does not, and what cannot be measured."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from imfuse.benchmark.report import source
from imfuse.cli.main import main
from imfuse.core.errors import ImageError, PairError
from imfuse.imaging import write_image
from imfuse.metrics.temporal import FrameChange
from imfuse.scoring import score_sequence

SCENE = np.random.default_rng(0).integers(20, 200, (32, 48), np.uint8)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Current folder with eleven frames of a still scene in ir/ and vi/, and steady/ and pumped/ fused ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for number in range(11):
        pumped = SCENE + np.uint8(4 * (number % 2))
        for side, picture in (("ir", 255 - SCENE), ("vi", SCENE), ("steady", SCENE), ("pumped", pumped)):
            write_image(tmp_path / side / f"{number}.png", picture)
    return tmp_path


def test_a_pump_is_found_in_the_order_of_the_frames(folders: Path) -> None:
    scores = score_sequence({"steady": "steady", "pumped": "pumped"}, "ir", "vi")
    assert scores.frames == tuple(map(str, range(11)))
    assert scores.summary("steady") == FrameChange(0, 0, 0, 0, 0, 0)
    # In the order of letters 10 would come after 1, and two frames would have one level.
    assert [change.flicker for change in scores.curves["pumped"]] == [4.0] * 10


def test_the_command_prints_and_writes(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["score", "--sequence", "--fused", "steady=steady", "pumped=pumped", "ir", "vi"]
    assert main([*words, "--csv", "c.csv", "--json", "j.json"]) == 0
    out = capsys.readouterr().out
    rows = {row.split()[0]: row.split()[1:] for row in out.splitlines() if row.split()}
    assert rows["pumped"] == ["4.000", "0.000", "4.000", "4.000", "4.000", "4.000"]
    assert "11 frames" in out
    with Path("c.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["frame"] for line in lines[:10]] == [str(number) for number in range(1, 11)]
    written = json.loads(Path("j.json").read_text())
    assert written["methods"]["pumped"]["mean"]["pump"] == 4
    assert written["methods"]["pumped"]["curves"]["flicker"] == [4.0] * 10


def clips(folder: Path, **lengths: int) -> None:
    """Videos of a still scene; every other frame of pumped.mkv is brighter."""
    pytest.importorskip("av")
    from video_clips import write_clip

    for name, length in lengths.items():
        pumps = np.uint8(4 * (name == "pumped"))
        picture = 255 - SCENE if name == "ir" else SCENE
        write_clip(folder / f"{name}.mkv", [picture + pumps * np.uint8(i % 2) for i in range(length)], codec="ffv1")


def test_videos_are_sequences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips(tmp_path, ir=5, vi=5, steady=5, pumped=5)
    steady, pumped, ir, vi = (str(tmp_path / f"{name}.mkv") for name in ("steady", "pumped", "ir", "vi"))
    scores = score_sequence({"steady": steady, "pumped": pumped}, ir, vi)
    assert scores.summary("steady") == FrameChange(0, 0, 0, 0, 0, 0)
    assert [change.flicker for change in scores.curves["pumped"]] == [4.0] * 4
    assert main(["score", "--sequence", pumped, ir, vi]) == 0
    assert "4.000" in capsys.readouterr().out
    assert main(["score", "--sequence", pumped, ir, vi, "--html", str(tmp_path / "page.html")]) == 2
    assert "--html: shows folders" in capsys.readouterr().err


@pytest.mark.parametrize(("length", "words"), [(4, "ends after frame 4"), (6, "has more than 5 frames")])
def test_a_video_of_another_length(tmp_path: Path, length: int, words: str) -> None:
    clips(tmp_path, ir=5, vi=5, fused=length)
    with pytest.raises(PairError, match=words):
        score_sequence(tmp_path / "fused.mkv", tmp_path / "ir.mkv", tmp_path / "vi.mkv")
    with pytest.raises(PairError, match="both were given"):
        score_sequence(tmp_path / "fused.mkv", tmp_path, tmp_path / "vi.mkv")


def test_a_frame_that_is_missing(folders: Path) -> None:
    (folders / "pumped" / "3.png").unlink()
    with pytest.raises(PairError, match="pumped: 1 of 11 frames are missing, the first is 3"):
        score_sequence("pumped", "ir", "vi")


def test_more_than_8_bits_need_one_range(folders: Path) -> None:
    for number in range(11):
        write_image(folders / "deep" / f"{number}.png", SCENE.astype(np.uint16) * 40)
    with pytest.raises(ImageError, match="one range for all frames"):
        score_sequence("steady", "deep", "vi")
    assert score_sequence("steady", "deep", "vi", range="0,10200").summary("steady").change == 0


def test_a_range_of_each_frame_is_refused(folders: Path) -> None:
    with pytest.raises(ImageError, match="another one in every frame"):
        score_sequence("steady", "ir", "vi", range="percentile")


@pytest.mark.parametrize(
    "words",
    [
        ["--metrics", "EN"],
        ["--recursive"],
        ["--convention", "vifb"],
        ["--workers", "2"],
        ["--units", "centikelvin"],
        ["--frame", "1"],
        ["--emissivity", "0.9"],
    ],
)
def test_what_a_sequence_does_not_take(folders: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--sequence", "steady", "ir", "vi", *words]) == 2
    assert words[0] in capsys.readouterr().err


def test_files_are_no_sequence(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--sequence", "steady/1.png", "ir/1.png", "vi/1.png"]) == 2
    assert "folders of frames" in capsys.readouterr().err


def test_the_page_has_the_frames_and_the_curves(folders: Path) -> None:
    (folders / "pumped").rename(folders / "a b")
    words = ["score", "--sequence", "--fused", "</script>=a b", "ir", "vi", "--html", "out/page.html"]
    (folders / "out").mkdir()
    assert main(words) == 0
    page = (folders / "out" / "page.html").read_text()
    assert page.count("</script>") == 2
    content = json.loads(page.split("const content = ")[1].split(";</script>")[0])
    assert content["frames"] == list(map(str, range(11)))
    assert [panel["files"][10] for panel in content["panels"]] == ["../ir/10.png", "../vi/10.png", "../a%20b/10.png"]
    assert content["curves"]["flicker"] == [[4.0] * 10]
    assert page.count("<img") == 3


_BROWSER = """
const part = () => ({style: {}, dataset: {}, set: {}, parts: [], value: "0", addEventListener() {},
  setAttribute(name, value) { this.set[name] = value; }, replaceChildren(...parts) { this.parts = parts; }});
const parts = {frame: part(), measure: part()}, images = [0, 1, 2].map((panel) => ({...part(), dataset: {panel}}));
globalThis.document = {getElementById: (id) => (parts[id] ??= part()), createElementNS: part,
  querySelectorAll: (wanted) => (wanted === "img" ? images : [])};
globalThis.content = {frames: ["a", "b", "c"],
  panels: ["i", "v", "f"].map((side) => ({files: [side + 0, side + 1, side + 2]})),
  curves: {flicker: [[1, 2]]}};
parts.frame.value = "2";
parts.measure.value = "flicker";
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to run the script of the page")
def test_the_script_shows_the_chosen_frame_in_all_panels() -> None:
    shown = "console.log(JSON.stringify([images.map((one) => one.src), parts.curves.parts.map((one) => one.set.d)]))"
    script = "\n".join((_BROWSER, str(source("sequence.js")), shown))
    printed = subprocess.run(["node", "-"], input=script, capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == [["i2", "v2", "f2"], ["M500 80L1000 5", "M1000 0V160"]]


def test_a_page_is_of_a_sequence(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "steady", "ir", "vi", "--html", "page.html"]) == 2
    assert "--sequence" in capsys.readouterr().err
