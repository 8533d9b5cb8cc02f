from pathlib import Path

import numpy as np
import pytest
import yaml

from imfuse.cli.main import main
from imfuse.imaging import write_image


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["imfuse", *words])
    try:
        return main() or 0
    except SystemExit as stop:
        return int(stop.code or 0)


def test_show_prints_the_recipe_with_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "train", "auif", "--show", "--set", "epochs=7") == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["epochs"] == 7
    assert shown["data"]["cache_mb"] == 2048


def test_training_from_the_command_line_with_two_folders(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for side in ("thermal", "colour"):
        for i in range(4):
            write_image(tmp_path / side / f"{i}.png", rng.integers(0, 256, (24, 24), dtype=np.uint8))
    words = ["--infrared", str(tmp_path / "thermal"), "--visible", str(tmp_path / "colour")]
    words += ["-o", str(tmp_path / "run")]
    words += ["--set", "epochs=1", "--set", "data.crop.size=16", "--set", "batch_size=4", "--accelerator", "cpu"]
    assert run(monkeypatch, "train", "auif", *words, "--devices", "1", "--name", "noise", "--threads", "1") == 0
    assert "weights.safetensors" in capsys.readouterr().out
    assert (tmp_path / "run" / "weights.safetensors").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["auif"], "--data DIR"),
        (["auif", "--data", "nowhere", "--infrared", "x"], "--data DIR"),
        (["auif", "--data", "nowhere"], "nowhere: no such folder"),
        (["aiuf", "--show"], "no recipe 'aiuf'"),
        (["auif", "--set", "batch=3", "--show"], "unknown key 'batch'"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "train", *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_a_folder_without_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The advice is that of this command: it has --infrared and --visible, but no --config."""
    assert main(["train", "auif", "--data", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "expected the folders ir and vi" in error
    assert error.endswith("give the two folders as --infrared and --visible\n")
