"""``compile: true`` changes how fast a network trains, not what it learns."""

from __future__ import annotations

from functools import partialmethod
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from imfuse.data.pairs import find_pairs
from imfuse.models import densefuse
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import load_recipe

# All batches have one shape, since each shape is compiled anew.
SMALL = ["data.crop.size=24", "data.validation=0", "batch_size=7", "epochs=1"]


def losses(model: str, folder: Path, out: Path, *changes: str) -> list[float]:
    recipe = load_recipe(model, [*SMALL, *changes])
    train(recipe, find_pairs(folder), out, device="cpu", progress=False)
    return [row["loss"] for row in read_log(out / "log.jsonl") if row["split"] == "train"]


def compiled_and_plain_losses_agree(model: str, pairs_folder: Path, folder: Path, graphs: int) -> None:
    torch.compiler.reset()
    counters.clear()
    plain = losses(model, pairs_folder, folder / "plain")
    assert not counters["stats"]["unique_graphs"]
    compiled = losses(model, pairs_folder, folder / "compiled", "compile=true")
    assert counters["stats"]["unique_graphs"] >= graphs, "the test compared something that was not compiled"
    assert len(plain) == 2
    assert compiled == pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize("model", ["auif", "densefuse"])
def test_compiled_training_gives_the_same_losses(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """All that the compiler does but the kernels, of which AUIF-Net has hundreds; two layers of its ten."""
    monkeypatch.setattr("imfuse.models.auif.LAYERS", 2)
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))
    compiled_and_plain_losses_agree(model, pairs_folder, tmp_path, graphs=2)


@pytest.mark.slow
def test_compiled_kernels_give_the_same_losses(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler itself, on a decoder of four convolutions: a dozen kernels."""
    monkeypatch.setattr(densefuse.Encoder, "compile", lambda encoder, **how: None)
    compiled_and_plain_losses_agree("densefuse", pairs_folder, tmp_path, graphs=1)
