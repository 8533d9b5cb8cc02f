from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file

from imfuse.cli.main import main
from imfuse.core.weights import read_header
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
    words += ["--output", str(tmp_path / "run"), "--licence", "MIT"]
    words += ["--set", "epochs=1", "--set", "data.crop.size=16", "--set", "batch_size=4", "--device", "cpu"]
    assert run(monkeypatch, "train", "auif", *words, "--data-name", "noise", "--threads", "1") == 0
    assert "weights.safetensors" in capsys.readouterr().out
    header = read_header(tmp_path / "run" / "weights.safetensors")
    assert (header["data"], header["licence"]) == ("noise", "MIT")


NET = """
from dataclasses import dataclass

import torch

import imfuse
from imfuse.losses import WeightedObjective

PAPER = imfuse.Paper("One weight", "unpublished", 2026)


@imfuse.register_method(imfuse.ModelSpec("oneweight", "One weight", PAPER, "a weighted mean", parameters=1))
class OneWeight(imfuse.FusionModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, infrared, visible):
        return self.weight.clamp(0, 1) * infrared + (1 - self.weight.clamp(0, 1)) * visible


@dataclass(frozen=True)
class Objective(WeightedObjective):
    distance: float = 1.0

    def __call__(self, model, batch):
        fused = model(batch["infrared"], batch["visible"])
        return self.weighted({"distance": (fused - batch["infrared"]).square().mean()})
"""


def test_a_method_outside_the_package_is_trained_by_the_recipe_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Network and objective are found beside the recipe, the objective by the network's file."""
    rng = np.random.default_rng(0)
    for side in ("ir", "vi"):
        for i in range(4):
            write_image(tmp_path / "pairs" / side / f"{i}.png", rng.integers(0, 256, (24, 24), dtype=np.uint8))
    home = tmp_path / "method"
    home.mkdir()
    (home / "net.py").write_text(NET)
    recipe = home / "one.yaml"
    recipe.write_text(
        "model: net.py:OneWeight\nloss: {distance: 2}\nepochs: 4\nbatch_size: 2\n"
        "data: {crop: {size: 16}, validation: 0.25}\noptimizer: {lr: 0.05}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", str(recipe), "--data", "pairs", "-o", "run", "--device", "cpu") == 0
    printed = capsys.readouterr().out
    assert f"--model {home / 'net.py'}:OneWeight" in printed
    header = read_header(Path("run/weights.safetensors"))
    assert header["model"] == "oneweight"
    # Folders of this machine are not published with the weights.
    assert yaml.safe_load(header["recipe"])["model"] == "net.py:OneWeight"
    assert str(tmp_path) not in str(header)
    assert load_file("run/weights.safetensors")["weight"] > 0.6, "it learns to take the infrared image"
    # The recipe of the run finds the file from the folder of the run.
    words = ["train", "run/recipe.yaml", "--data", "pairs", "-o", "run", "--device", "cpu", "--resume"]
    assert run(monkeypatch, *words) == 0


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
