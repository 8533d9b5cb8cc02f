"""What others can put where a run begins or continues: refused in one line, whatever it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from imfuse.core.errors import ImfuseError, RecipeError, WeightsError
from imfuse.data.pairs import find_pairs
from imfuse.models import model_class
from imfuse.training.engine import train
from imfuse.training.initial import initialise
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
