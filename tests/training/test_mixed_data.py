"""Trainings on several data sets, with what stands for darkness: shares, scores of day and night, noise, even pairs."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from imfuse.cli.main import main
from imfuse.core.weights import read_header
from imfuse.imaging import read_image, write_image
from imfuse.training.log import read_log
from imfuse.training.module import FusionTraining
from imfuse.training.recipe import load_recipe

SMALL = ["data.crop.size=24", "batch_size=4", "epochs=2", "data.validation=0.3", "scores=[EN,SF]"]
MIXED = ["data.shares={night: 0.7, day: 0.3}", "data.augment.flat=0.1", "noise=4"]


@pytest.fixture
def sets(pairs_folder: Path, tmp_path: Path) -> list[str]:
    """The rendered pairs, darker and brighter than they are, as arguments of a command."""
    for side, file in itertools.product(("ir", "vi"), sorted((pairs_folder / "ir").iterdir())):
        pixels = read_image(pairs_folder / side / file.name)
        dark, bright = (pixels // 4, 128 + pixels // 2) if side == "vi" else (pixels, pixels)
        write_image(tmp_path / "night" / side / file.name, dark)
        write_image(tmp_path / "day" / side / file.name, bright)
    return ["--data", f"night={tmp_path / 'night'}", "--data", f"day={tmp_path / 'day'}"]


def words(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


def test_data_sets_are_mixed_and_scored_by_day_and_by_night(sets: list[str], tmp_path: Path) -> None:
    command = ["train", "didfuse", *sets, "-o", str(tmp_path / "run"), "--device", "cpu", *words(*SMALL, *MIXED)]
    assert main(command) == 0
    row = next(row for row in read_log(tmp_path / "run" / "log.jsonl") if row["split"] != "train")
    assert {"EN", "day_EN", "night_EN", "day_SF", "night_SF"} <= set(row)
    assert min(row["day_EN"], row["night_EN"]) < row["EN"] < max(row["day_EN"], row["night_EN"])
    header = read_header(tmp_path / "run" / "weights.safetensors")
    assert header["data"] == "night, day"
    assert header["pairs"] == "10"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--data", "night={}", "--data", "{}"], "each needs a name of its own"),
        (["--data", "night={}", "--data", "night={}"], "each needs a name of its own"),
        (["--data", "night={}", "--set", "data.shares={day: 1}"], "data.shares is of 'day', but the data sets are"),
    ],
)
def test_data_sets_without_names_of_their_own(
    arguments: list[str], problem: str, pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.replace("{}", str(pairs_folder)) for word in arguments]
    assert main(["train", "didfuse", *given, "-o", str(tmp_path / "run"), *words(*SMALL)]) == 2
    assert problem in capsys.readouterr().err


def test_noise_is_seen_in_training_alone_and_repeats() -> None:
    module = FusionTraining(load_recipe("didfuse", ["noise=8"]))
    images = torch.full((2, 1, 16, 16), 0.5), torch.full((2, 1, 16, 16), 0.5)
    first, again = (module._add_noise(module.network, images) for _ in range(2))
    assert first is not None
    assert again is not None
    for image, noisy, twin in zip(images, first, again, strict=True):
        assert torch.equal(noisy, twin), "a run that is resumed at this step sees the same"
        assert 0 < (noisy - image).std() < 8 / 255
    assert not torch.equal(first[0], first[1])
    module.eval()
    assert module._add_noise(module.network, images) is None
