"""Short trainings of both stages of CDDFuse."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from imfuse.data.pairs import find_pairs
from imfuse.fusing.fuser import Fuser
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import load_recipe, load_stages

SMALL = ["data.crop.size=16", "data.crop.kind=center", "batch_size=7", "optimizer.lr=0.0005", "clip=1.0"]


def test_both_stages_learn_and_the_result_fuses(pairs_folder: Path, tmp_path: Path) -> None:
    assert list(load_stages("cddfuse")) == ["cddfuse_stage1", "cddfuse_stage2"]
    files, start = find_pairs(pairs_folder), None
    states = []
    for stage, changes in (("cddfuse_stage1", []), ("cddfuse_stage2", ["optimizer.groups={encoder: 0.0005}"])):
        recipe = load_recipe(stage, [*SMALL, "epochs=6", *changes])
        out = tmp_path / stage
        start = train(recipe, files, out, start=start, device="cpu", progress=False)
        losses = [row["loss"] for row in read_log(out / "log.jsonl") if row["split"] == "train"]
        assert losses[-1] < 0.9 * losses[0]
        states.append(load_file(start))
    assert all(not states[0][name].equal(states[1][name]) for name in states[0] if name.endswith("expand.weight"))
    fused = Fuser(weights=start)(pairs_folder / "ir" / "00.png", pairs_folder / "vi" / "00.png")
    assert fused.std() > 1
