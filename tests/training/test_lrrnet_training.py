"""A short training of LRRNet with a small made-up perceptual network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imfuse.data.pairs import find_pairs
from imfuse.layers import vgg
from imfuse.losses import lrrnet
from imfuse.models import create_model
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import load_recipe


@pytest.mark.parametrize("name", ["lrrnet", "lrrnet_roadscene"])
def test_loss_falls_and_weights_fuse(
    name: str, pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = vgg.VGG16(16).requires_grad_(False)
    monkeypatch.setattr(lrrnet, "perceptual_network", lambda _: network)
    # Short, on the same part of each picture, so that losses can be compared.
    changes = ["data.crop.size=16", "epochs=6", "optimizer.lr=0.003", "data.crop.kind=center"]
    changes += ["data.validation=0", "best=''", "compile=false", "schedule.warmup=0"]
    recipe = load_recipe(name, changes)
    weights = train(recipe, find_pairs(pairs_folder), tmp_path, device="cpu", progress=False)
    losses = [row["loss"] for row in read_log(tmp_path / "log.jsonl") if row["split"] == "train"]
    assert losses[-1] < 0.9 * losses[0]
    fused = create_model("lrrnet", weights)(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16))
    assert fused.shape == (1, 1, 16, 16)
