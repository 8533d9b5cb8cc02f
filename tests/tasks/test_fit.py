"""The training loop of task networks: resumable bit by bit, the same for all that are compared, errors in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imfuse.core.errors import ImfuseError, RecipeError, WeightsError
from imfuse.tasks.checkpoint import CHECKPOINT
from imfuse.tasks.examples import Batch, Example, Normalisation
from imfuse.tasks.fit import LOG, FitSettings, Fitted, Validation, fit, seeded

SETTINGS = FitSettings(steps=6, batch=2, crop=(32, 32), lr=0.01, warm_up=1, device="cpu", save_seconds=0)
PLAIN = Normalisation((0.5,) * 3, (0.25,) * 3)


class Tiny(nn.Module):
    """Classes of pixels, with all that makes a step depend on more than its weights: a norm and chance."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(8, 2, 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)

    def loss(self, batch: Batch) -> Tensor:
        assert batch.labels is not None
        return nn.functional.cross_entropy(self(batch.images), batch.labels, ignore_index=255)


def examples(count: int = 5) -> list[Example]:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (40, 48, 3), np.uint8) for _ in range(count)]
    return [Example(str(i), one, (one[..., 0] > 127).astype(np.uint8)) for i, one in enumerate(pictures)]


def train(folder: Path | None = None, settings: FitSettings = SETTINGS, **options: Any) -> tuple[Tiny, Fitted]:
    network = seeded(Tiny, settings.seed)
    assert isinstance(network, Tiny)
    return network, fit(network, network.loss, examples(), PLAIN, settings, folder=folder, **options)


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


class Stopped(Exception):
    pass


def stop_after(step: int) -> Any:
    def progress(done: int, steps: int, loss: float) -> None:
        if done == step:
            raise Stopped

    return progress


def test_the_loss_falls() -> None:
    _, fitted = train(settings=replace(SETTINGS, steps=30))
    assert np.mean(fitted.losses[-5:]) < 0.8 * fitted.losses[0]
    assert fitted.step == 30


def test_the_same_seed_gives_the_same_bits_and_leaves_the_program_its_chance() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, fitted = train()
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(6)
    second, again = train()
    assert same(first, second)
    assert fitted == again
    assert not same(first, train(settings=replace(SETTINGS, seed=1))[0])


@pytest.mark.parametrize("step", [1, 4])
def test_a_stopped_run_continues_bit_by_bit(tmp_path: Path, step: int) -> None:
    whole, fitted = train(tmp_path / "whole")
    with pytest.raises(Stopped):
        train(tmp_path / "run", progress=stop_after(step))
    assert len((tmp_path / "run" / LOG).read_text().splitlines()) == step
    resumed, again = train(tmp_path / "run", resume=True)
    assert same(whole, resumed)
    assert fitted == again
    assert (tmp_path / "run" / LOG).read_bytes() == (tmp_path / "whole" / LOG).read_bytes()


KILLED = """
import os, signal, sys
sys.path.insert(0, {folder!r})
import test_fit
def progress(done, steps, loss):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
test_fit.train(test_fit.Path({run!r}), progress=progress)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system does not kill")
def test_a_killed_run_continues_bit_by_bit(tmp_path: Path) -> None:
    code = KILLED.format(folder=os.fspath(Path(__file__).parent), run=os.fspath(tmp_path / "run"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == -signal.SIGKILL
    assert same(train(tmp_path / "run", resume=True)[0], train()[0])


def test_a_finished_run_resumes_to_itself(tmp_path: Path) -> None:
    whole, fitted = train(tmp_path)
    again, same_fitted = train(tmp_path, resume=True)
    assert same(whole, again)
    assert fitted == same_fitted


def test_the_log_has_a_line_for_each_step(tmp_path: Path) -> None:
    _, fitted = train(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[2]["loss"] == pytest.approx(fitted.losses[2], rel=1e-5)
    assert rows[1]["lr"] > rows[-1]["lr"]


def test_weights_of_the_best_validation_are_kept(tmp_path: Path) -> None:
    scores = iter([0.2, 0.9, 0.5])
    kept: list[Tensor] = []

    def score(network: nn.Module) -> float:
        assert not network.training
        kept.append(next(iter(network.state_dict().values())).clone())
        return next(scores)

    network, fitted = train(tmp_path, validation=Validation(score, every=2))
    assert (fitted.step, fitted.scores) == (4, ((2, 0.2), (4, 0.9), (6, 0.5)))
    assert torch.equal(next(iter(network.state_dict().values())), kept[1])
    again, resumed = train(tmp_path, resume=True, validation=Validation(score, every=2))
    assert same(network, again)
    assert resumed == fitted


def test_norms_and_biases_do_not_decay() -> None:
    """Without a gradient AdamW changes a weight by its decay alone."""
    network = seeded(Tiny, 0)
    before = {name: value.clone() for name, value in network.named_parameters()}
    fit(network, lambda batch: sum(0 * p.sum() for p in network.parameters()), examples(), PLAIN, SETTINGS)
    changed = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {name for name, value in before.items() if value.ndim > 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_one_line(value: float, tmp_path: Path) -> None:
    network = seeded(Tiny, 0)
    with pytest.raises(RecipeError, match=r"step 1: the loss became (nan|inf); use lr=0.0025$"):
        fit(network, lambda batch: value * network(batch.images).mean(), examples(), PLAIN, SETTINGS, folder=tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_folder_with_a_run_is_not_trained_in_again(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(RecipeError, match="holds a run already"):
        train(tmp_path)
    with pytest.raises(RecipeError, match="other settings"):
        train(tmp_path, settings=replace(SETTINGS, lr=0.02), resume=True)
    with pytest.raises(RecipeError, match="other settings"):
        train(tmp_path, resume=True, identity="another data set")
    # How fast it is computed does not matter.
    train(tmp_path, settings=replace(SETTINGS, threads=2, save_seconds=9), resume=True)


def damaged(content: dict[str, Any], what: str) -> dict[str, Any]:
    name = "layers.0.weight"
    if what == "shape":
        content["network"][name] = torch.zeros(2, 2)
    elif what == "nan":
        content["network"][name][0] = torch.nan
    elif what == "no weights":
        content["network"] = {name: 3}
    elif what == "moments":
        content["optimiser"][0]["exp_avg"] = torch.zeros(3)
    elif what == "losses":
        content["losses"] = "many"
    else:
        del content[what]
    return content


@pytest.mark.parametrize("what", ["shape", "nan", "no weights", "moments", "losses", "key", "best"])
def test_foreign_and_damaged_checkpoints_are_one_line(tmp_path: Path, what: str) -> None:
    train(tmp_path)
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    torch.save(damaged(content, what), tmp_path / CHECKPOINT)
    with pytest.raises(WeightsError) as raised:
        train(tmp_path, resume=True)
    assert "\n" not in str(raised.value)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("touch " + os.fspath(tmp_path / "exploded"),)

    tmp_path.mkdir(exist_ok=True)
    torch.save({"key": Bomb()}, tmp_path / CHECKPOINT)
    with pytest.raises(WeightsError, match="not a checkpoint of plain tensors"):
        train(tmp_path, resume=True)
    assert not (tmp_path / "exploded").exists()


def test_bits_that_changed_are_found(tmp_path: Path) -> None:
    train(tmp_path)
    data = bytearray((tmp_path / CHECKPOINT).read_bytes())
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    data[data.index(content["network"]["layers.0.weight"].numpy().tobytes()) + 9] ^= 0x10
    (tmp_path / CHECKPOINT).write_bytes(data)
    with pytest.raises(WeightsError):
        train(tmp_path, resume=True)


def test_nothing_to_train_on() -> None:
    with pytest.raises(RecipeError, match="no pictures to train on"):
        fit(Tiny(), Tiny().loss, [], PLAIN, SETTINGS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0}, {"batch": 1}, {"crop": (16, 64)}, {"lr": 0.0}, {"lr": float("nan")}, {"clip": -1.0},
        {"scale": (1.5, 0.5)}, {"seed": -1}, {"decay": -0.1}, {"warm_up": -1}, {"threads": -2},
    ],
)  # fmt: skip
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ImfuseError, match=next(iter(wrong))):
        FitSettings(**wrong)


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    train(settings=replace(SETTINGS, threads=before + 1, steps=1))
    assert torch.get_num_threads() == before
