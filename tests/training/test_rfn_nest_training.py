"""Short trainings of both stages of RFN-Nest."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from imfuse.data.pairs import find_pairs
from imfuse.fusing.fuser import Fuser
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import load_recipe, load_stages

# All pictures in each batch, so that losses can be compared. Most seeds begin with an image that is black all over,
# behind whose last ReLU nothing learns.
SMALL = ["data.crop.size=32", "data.crop.kind=center", "batch_size=6", "optimizer.lr=0.0005", "seed=6"]


def losses(out: Path) -> list[float]:
    return [row["loss"] for row in read_log(out / "log.jsonl") if row["split"] == "train"]


def test_both_stages_learn_and_the_result_fuses(pairs_folder: Path, tmp_path: Path) -> None:
    assert list(load_stages("rfn_nest")) == ["rfn_nest_stage1", "rfn_nest_stage2"]
    files, start = find_pairs(pairs_folder)[:3], None
    states = []
    for stage, epochs in (("rfn_nest_stage1", 5), ("rfn_nest_stage2", 4)):
        recipe = load_recipe(stage, [*SMALL, f"epochs={epochs}"])
        out = tmp_path / stage
        start = train(recipe, files, out, start=start, device="cpu", progress=False)
        found = losses(out)
        assert found[-1] < 0.8 * found[0]
        states.append(load_file(start))
    kept = {name for name in states[0] if states[0][name].equal(states[1][name])}
    assert kept == {name for name in states[0] if not name.startswith("fusion.")}
    fused = Fuser(weights=start)(
        pairs_folder / "ir" / "00.png",
        pairs_folder / "vi" / "00.png",
    )
    assert fused.std() > 1
