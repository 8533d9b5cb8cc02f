"""``imfuse train`` with its three commands: recipes as ever, and the networks that judge fused pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imfuse.cli.main import main
from imfuse.core.weights import read_header
from imfuse.imaging import write_image

SMALL = ["--steps", "2", "--batch", "2", "--crop", "48x32", "--device", "cpu", "--threads", "1"]


def test_help_shows_the_three_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--help", "-h"):
        assert main(["train", flag]) == 0
        shown = capsys.readouterr().out
        assert all(f" {command} " in shown for command in ("recipe", "detector", "segmenter"))
        assert "imfuse train auif" in shown


@pytest.mark.parametrize("command", ["detector", "segmenter"])
def test_help_of_a_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(flag in shown for flag in ("--fused", "--labels", "--rendered", "--infrared", "--resume", "--select"))


@pytest.mark.parametrize("words", [["auif", "--show"], ["--show", "auif"], ["--set", "epochs=3", "auif", "--show"]])
def test_a_recipe_needs_no_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *words]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("model: auif\n")
    assert main(["train", "recipe", *words]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing argument 'recipe'"),
        (["--output"], "--output"),
        (["detectr", "--show"], "no recipe 'detectr'"),
        (["detector"], "--classes person,car,..."),
        (["detector", "--classes", "a"], "--fused DIR with --labels DIR, or --rendered N"),
        (["detector", "--classes", "a", "--fused", "x"], "--fused DIR with --labels DIR, or --rendered N"),
        (["detector", "--classes", "a", "--rendered", "2"], "rendered scenes have person, car, bike"),
        (["detector", "--classes", "a", "--fused", "nowhere", "--labels", "x"], "nowhere"),
        (["detector", "--classes", "a,,b"], "--classes a,,b: a name for each class"),
        (["detector", "--classes", "a, a"], "a name for each class, each another one"),
        (["segmenter", "--rendered", "2", "--bands", "1,2,3"], "--bands 1,2,3 is of --fused"),
        (["segmenter"], "--fused DIR with --labels DIR, or --rendered N"),
        (["segmenter", "--rendered", "2", "--infrared", "x"], "--fuse-with stacked"),
        (["segmenter", "--rendered", "2", "--size", "64"], "--size 64: WIDTHxHEIGHT is expected"),
        (["segmenter", "--rendered", "2", "--size", "0x64"], "--size 0x64: WIDTHxHEIGHT is expected"),
        (["segmenter", "--rendered", "1", "--size", "40x40", "--fuse-with", "auiff"], "auiff"),
        (["segmenter", "--rendered", "1", "--size", "40x40", "--fuse-with", "visible", "--batch", "1"], "--batch 1"),
        (["segmenter", "--rendered", "1", "--size", "40x40", "--fuse-with", "visible", "--crop", "9x9"], "crop"),
        (["segmenter", "--rendered", "1", "--size", "40x40", "--fuse-with", "visible", "--select", "b"], "--select b"),
        (["detector", "--rendered", "1", "--size", "40x40", "--fuse-with", "visible", "--device", "abacus"], "abacus"),
        (["segmenter", "--model", "unet"], "'unet': no such segmentation network"),
        (["segmenter", "--trap", "shuffle"], "--trap shuffle: one of test-statistics, unknown-in-mean, fixed-order is"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert error.startswith("imfuse: error: ")


def test_a_detector_from_rendered_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "detector", "--rendered", "3", "--fuse-with", "laplacian_pyramid", "--size", "64x48", *SMALL]
    assert main([*words, "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "detector.safetensors" in shown.out
    assert all(name in shown.out for name in ("person", "car", "bike", "mean", "AP@0.5"))
    assert "laplacian_pyramid on 3 rendered scenes" in shown.err
    assert main([*words, "-o", str(tmp_path)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*words, "-o", str(tmp_path), "--resume"]) == 0


def test_a_detector_and_a_segmenter_from_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for number in range(5):
        name = f"{number:03}"
        write_image(tmp_path / "fused" / f"{name}.png", rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        write_image(tmp_path / "ir" / f"{name}.png", rng.integers(0, 256, (48, 64), dtype=np.uint8))
        write_image(tmp_path / "labels" / f"{name}.png", rng.integers(0, 3, (48, 64), dtype=np.uint8))
        (tmp_path / "labels" / f"{name}.txt").write_text("1 0.5 0.5 0.5 0.5\n0 0.2 0.2 0.2 0.3\n")
    folders = ["--fused", str(tmp_path / "fused"), "--labels", str(tmp_path / "labels")]
    folders += ["--infrared", str(tmp_path / "ir"), "--test", "0.4", *SMALL]
    found, classes = str(tmp_path / "d"), str(tmp_path / "s")
    assert main(["train", "detector", *folders, "--classes", "People, Car", "-o", found]) == 0
    assert "People" in capsys.readouterr().out
    header = read_header(tmp_path / "d" / "detector.safetensors")
    assert (header["channels"], header["names"]) == ("4", '["People", "Car"]')
    assert str(tmp_path) not in str(header)
    network = ["--model", "segformer_compact", "--number", "3"]
    assert (
        main(["train", "segmenter", *folders, *network, "--select", "validation", "--every", "1", "-o", classes]) == 0
    )
    assert "IoU" in capsys.readouterr().out
    assert read_header(tmp_path / "s" / "segmenter.safetensors")["classes"] == "3"
    (tmp_path / "labels" / "003.txt").write_text("2 0.5 0.5 0.5 0.5\n")
    assert main(["train", "detector", *folders, "--classes", "People,Car", "-o", f"{found}2"]) == 2
    assert "003.txt" in capsys.readouterr().err
