"""A short training of SwinFusion."""

from __future__ import annotations

from pathlib import Path

from imfuse.data.pairs import find_pairs
from imfuse.fusing.fuser import Fuser
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import load_recipe


def test_loss_falls_and_weights_fuse(pairs_folder: Path, tmp_path: Path) -> None:
    changes = ["data.crop.size=16", "data.crop.kind=center", "data.crop.flips=false", "data.crop.rotations=false"]
    recipe = load_recipe("swinfusion", [*changes, "batch_size=7", "epochs=12", "optimizer.lr=0.002", "seed=1"])
    weights = train(recipe, find_pairs(pairs_folder), tmp_path, device="cpu", progress=False)
    losses = [row["loss"] for row in read_log(tmp_path / "log.jsonl") if row["split"] == "train"]
    assert max(losses[-3:]) < 0.8 * losses[0]
    fused = Fuser(weights=weights)(pairs_folder / "ir" / "00.png", pairs_folder / "vi" / "00.png")
    assert fused.std() > 1
