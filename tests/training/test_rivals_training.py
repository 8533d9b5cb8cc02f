"""Short trainings of the comparison methods: the loss falls, what is exported loads and fuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from imfuse.core.errors import WeightsError
from imfuse.core.weights import read_header
from imfuse.data.pairs import find_pairs
from imfuse.fusing.fuser import Fuser
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.module import _optimizer
from imfuse.training.recipe import Optimizer, load_recipe, load_stages

METHODS = {
    "densefuse": {"mse", "structure"},
    "sdnet": {"intensity", "gradient", "decomposition"},
    "seafusion": {"intensity", "gradient"},
    "u2fusion": {"ssim", "mse", "weight"},
}
SHORT = ["data.crop.size=16", "data.validation=0.15", "batch_size=4", "epochs=10", "validate_every=10"]
SHORT += ["scores=[EN, SCD]", "optimizer.lr=0.002"]
# Of 16x16 pixels too much depends on where a crop lies. At 0.002 RMSProp leaps, and rounding, which differs from one
# processor to the next, decides where to.
STEADY = {
    "seafusion": ["schedule.milestones=[]", "data.crop.size=32"],
    "u2fusion": ["data.crop.kind=center", "data.augment.swap=0", "batch_size=6", "epochs=20", "optimizer.lr=0.0005"],
}


@pytest.mark.parametrize("method", METHODS)
def test_short_run(pairs_folder: Path, tmp_path: Path, method: str) -> None:
    recipe = load_recipe(method, [*SHORT, *STEADY.get(method, [])])
    files = find_pairs(pairs_folder)
    weights = train(recipe, files, tmp_path / "run", device="cpu", progress=False)
    rows = read_log(tmp_path / "run" / "log.jsonl")
    steps = [row for row in rows if row["split"] == "train"]
    assert METHODS[method] <= steps[0].keys()
    losses = [row["loss"] for row in steps]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
    assert read_header(weights)["model"] == method
    fused = Fuser(method, weights)(files[0].infrared, files[0].visible)
    assert fused.std() > 1


@pytest.mark.parametrize("method", METHODS)
def test_recipes_are_the_papers_protocols(method: str) -> None:
    recipe = load_recipe(method)
    crop = recipe.data.crop
    found = (recipe.data.kind, crop.size, recipe.batch_size, recipe.optimizer.name, recipe.optimizer.lr)
    wanted = {
        "densefuse": ("images", 128, 2, "adam", 1e-4),
        "sdnet": ("pairs", 120, 32, "adam", 1e-4),
        "seafusion": ("pairs", 160, 8, "adam", 1.33e-3),
        "u2fusion": ("pairs", 64, 18, "rmsprop", 1e-4),
    }
    assert found == wanted[method]


def test_vgg_that_is_not_there_is_named_before_the_first_step(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    recipe = load_recipe("u2fusion", [*SHORT, "loss.features=1"])
    with pytest.raises(WeightsError, match="vgg16-397923af"):
        train(recipe, find_pairs(pairs_folder), tmp_path / "run", device="cpu", progress=False)


def test_rmsprop() -> None:
    """One step from nothing moves every weight by rate / sqrt(1 - decay), whatever the gradient's size."""
    network = nn.Linear(3, 1, bias=False)
    optimizer = _optimizer(network, Optimizer(name="rmsprop", lr=0.1, decay=0.75, momentum=0.5))
    assert isinstance(optimizer, torch.optim.RMSprop)
    before = network.weight.detach().clone()
    network.weight.grad = torch.tensor([[5.0, -0.2, 1.0]])
    optimizer.step()
    torch.testing.assert_close((network.weight - before).abs(), torch.full((1, 3), 0.2), rtol=1e-4, atol=0)
    optimizer.step()
    # The mean square is 1 - 0.75^2 now, and half of the first step is added.
    moved = 0.2 + 0.5 * 0.2 + 0.1 / (1 - 0.75**2) ** 0.5
    torch.testing.assert_close((network.weight - before).abs(), torch.full((1, 3), moved), rtol=1e-4, atol=0)


@pytest.mark.parametrize("method", ["sdnet", "u2fusion"])
def test_recipes_for_few_pairs_have_the_papers_objective(method: str) -> None:
    ours, papers = load_recipe(f"{method}_roadscene"), load_recipe(method)
    assert (ours.model, ours.loss, ours.data) == (papers.model, papers.loss, papers.data)


def test_seafusion_learns_levels_first() -> None:
    first, second = load_stages("seafusion_roadscene").values()
    assert first.loss["gradient"] < 1
    assert second.loss == load_recipe("seafusion").loss
