"""What others can put where a run begins or continues: refused in one line, whatever it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from imfuse.core.errors import ImfuseError, RecipeError, WeightsError
from imfuse.data.pairs import find_pairs
from imfuse.models import model_class
from imfuse.training.engine import train
from imfuse.training.initial import initialise
from imfuse.training.log import read_log
from imfuse.training.recipe import load_recipe

RECIPE = ("data.crop.size=16", "epochs=1")
no_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")


class Payload:
    """Unpickled without care, it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"echo owned > {self.made}",)


def resumed(pairs: Path, output: Path) -> str:
    """What is said of the run in a folder that is to continue."""
    with pytest.raises(WeightsError) as error:
        train(load_recipe("auif", RECIPE), find_pairs(pairs), output, resume=True, device="cpu", progress=False)
    assert str(error.value).isprintable()
    assert not any(word in str(error.value) for word in ("weights_only", "safe_globals", "docs"))
    return str(error.value)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_checkpoint_to_resume_from_is_not_executed(pairs_folder: Path, tmp_path: Path, legacy: bool) -> None:
    made = tmp_path / "owned"
    content = {"state_dict": {"w": torch.zeros(2)}, "loops": Payload(made)}
    torch.save(content, tmp_path / "last.ckpt", _use_new_zipfile_serialization=not legacy)
    assert "last.ckpt: not a checkpoint" in resumed(pairs_folder, tmp_path)
    assert not made.exists()


@no_pipes
def test_pipes(pairs_folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "last.ckpt")
    assert "last.ckpt: not a regular file, a checkpoint is expected" in resumed(pairs_folder, tmp_path)
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    recipe = load_recipe("auif", RECIPE)
    with pytest.raises(ImfuseError, match=r"pipe\.safetensors: not a regular file"):
        train(recipe, find_pairs(pairs_folder), tmp_path / "new", start=pipe, device="cpu", progress=False)
    os.mkfifo(tmp_path / "recipe.yaml")
    with pytest.raises(RecipeError, match=r"recipe\.yaml: not a regular file, a recipe is expected"):
        train(recipe, find_pairs(pairs_folder), tmp_path, resume=True, device="cpu", progress=False)


@no_pipes
def test_a_pipe_as_the_weights_of_a_backbone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "resnet.pth")
    with torch.device("meta"):
        network = model_class("psfusion")()
    with pytest.raises(WeightsError, match=r"resnet\.pth: not a regular file, a checkpoint is expected"):
        initialise(network, str(tmp_path / "resnet.pth"))


@no_pipes
@pytest.mark.parametrize("curve", ["link", "pipe"])
def test_links_in_the_folder_of_a_run_are_not_written_through(
    pairs_folder: Path, tmp_path: Path, curve: str, curves: None
) -> None:
    precious, run = tmp_path / "precious", tmp_path / "run"
    precious.write_bytes(b"mine")
    run.mkdir()
    for name in ("environment.txt", "next.ckpt", "weights.safetensors"):
        (run / name).symlink_to(precious)
    if curve == "link":
        (run / "curve.png").symlink_to(precious)
        (run / "log.jsonl").symlink_to(tmp_path / "made")
    else:
        os.mkfifo(run / "curve.png")
    recipe, files = load_recipe("auif", RECIPE), find_pairs(pairs_folder)
    with pytest.raises(ImfuseError, match=r"holds a run already" if curve == "link" else r"curve\.png: not a regular"):
        train(recipe, files, run, device="cpu", progress=False)
    if curve == "link":
        train(recipe, files, run, resume=True, device="cpu", progress=False)
        assert (run / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert precious.read_bytes() == b"mine"
    assert not (tmp_path / "made").exists()


def test_a_log_of_any_size(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.touch()
    assert read_log(log) == []
    with log.open("wb") as file:
        file.truncate(40 << 30)
    with pytest.raises(RecipeError, match="has 42949672960 bytes"):
        read_log(log)


@pytest.fixture(scope="module")
def checkpoint(pairs_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imfuse.training.engine.draw_curves", lambda log, picture: None)
        train(load_recipe("auif", RECIPE), find_pairs(pairs_folder), run, device="cpu", progress=False)
    state: dict[str, Any] = torch.load(run / "last.ckpt", weights_only=True)
    return state


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("optimizer_states", None, "no state of an optimiser"),
        ("optimizer_states", [{"a": 1}], "no state of an optimiser"),
        ("state_dict", {"\x1b[2J": torch.zeros(1)}, "not the layout of this network: missing"),
        ("state_dict", {}, "not the layout of this network: missing"),
        ("state_dict", 5, "it has no weights"),
    ],
)
def test_checkpoints_of_another_network(
    pairs_folder: Path, tmp_path: Path, checkpoint: dict[str, Any], part: str, value: object, message: str
) -> None:
    torch.save({**checkpoint, part: value}, tmp_path / "last.ckpt")
    assert message in resumed(pairs_folder, tmp_path)


def test_a_checkpoint_with_nan(pairs_folder: Path, tmp_path: Path, checkpoint: dict[str, Any]) -> None:
    weights = {name: entry * float("nan") for name, entry in checkpoint["state_dict"].items()}
    torch.save({**checkpoint, "state_dict": weights}, tmp_path / "last.ckpt")
    assert "last.ckpt: NaN or infinite values in" in resumed(pairs_folder, tmp_path)
