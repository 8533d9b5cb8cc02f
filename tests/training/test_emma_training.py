"""Short trainings of both stages of EMMA, with narrow sensing networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from imfuse.data.pairs import find_pairs
from imfuse.fusing.fuser import Fuser
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import load_recipe, load_stages

SMALL = [
    "data.crop.size=32",
    "data.crop.kind=center",
    "batch_size=3",
    "optimizer.lr=0.002",
    "seed=4",
    "schedule={name: constant}",
]


def test_both_stages_learn_and_the_result_fuses(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imfuse.models.emma.SENSING_WIDTHS", (8, 8, 16, 16, 16))
    assert list(load_stages("emma")) == ["emma_stage1", "emma_stage2"]
    files, start = find_pairs(pairs_folder)[:3], None
    states = []
    for stage, epochs, share in (("emma_stage1", 12, 0.9), ("emma_stage2", 8, 0.975)):
        recipe = load_recipe(stage, [*SMALL, f"epochs={epochs}"])
        out = tmp_path / stage
        start = train(recipe, files, out, start=start, device="cpu", progress=False)
        losses = [row["loss"] for row in read_log(out / "log.jsonl") if row["split"] == "train"]
        assert losses[-1] < share * losses[0]
        states.append(load_file(start))
    moved = {name for name in states[0] if not states[0][name].equal(states[1][name])}
    assert not any(name.startswith("sensing") for name in moved)
    assert "image.bias" in moved
    fused = Fuser(weights=start)(pairs_folder / "ir" / "00.png", pairs_folder / "vi" / "00.png")
    assert fused.shape[:2] == (48, 64)
