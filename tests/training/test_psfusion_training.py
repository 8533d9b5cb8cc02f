"""Training that fuses and segments: labels, colours, mIoU, weights to start from."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from imfuse.core.errors import ImfuseError, RecipeError, WeightsError
from imfuse.core.weights import read_header
from imfuse.data.augment import Augmentation
from imfuse.data.crops import CropPlan
from imfuse.data.pairs import TrainingPairs, find_pairs, rendered_pairs
from imfuse.imaging import luminance
from imfuse.models import create_model
from imfuse.models.psfusion import PSFusion
from imfuse.scenes import render_scene
from imfuse.tasks.segment.accumulate import SegmentationScores
from imfuse.training.engine import train
from imfuse.training.initial import initialise
from imfuse.training.log import read_log
from imfuse.training.recipe import Recipe, load_recipe
from training_runs import StopAfter

SMALL = ["data.crop.size=64", "data.rendered=1", "data.validation=0.15", "epochs=2", "validate_every=2"]
SMALL += ["batch_size=4", "precision=32-true", "scores=[EN, SCD]", "convention=plain", "best=''"]


def run(recipe: Recipe, folder: Path, out: Path, **options: object) -> Path:
    return train(recipe, find_pairs(folder), out, device="cpu", progress=False, **options)


@pytest.fixture
def unlabelled(larger_pairs: Path, tmp_path: Path) -> Path:
    for side in ("ir", "vi"):
        shutil.copytree(larger_pairs / side, tmp_path / "unlabelled" / side)
    return tmp_path / "unlabelled"


# Scores


def test_golden_segmentation_scores() -> None:
    y, x = torch.meshgrid(torch.arange(64), torch.arange(80), indexing="ij")
    classes = (y // 8 + x // 10) % 9
    classes[:4] = 255
    labels = torch.stack([classes, classes.flip(1)])
    noise = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 9, 64, 80)).astype(np.float32))
    one_hot = F.one_hot(labels.clamp_max(8), 9).permute(0, 3, 1, 2)
    for logits, accuracy, overlap in ((5 * one_hot + noise, 0.99895833, 0.99790974), (noise, 0.11489583, 0.060911367)):
        scores = SegmentationScores(9)
        for prediction, truth in zip(logits.argmax(1), labels, strict=True):
            scores.update(prediction[None], truth[None])
        found = scores.compute()
        assert found["accuracy"].item() == pytest.approx(accuracy, rel=1e-6)
        assert found["mIoU"].item() == pytest.approx(overlap, rel=1e-6)


# Data


def test_colours_are_cropped_and_changed_with_the_visible_image(pairs_folder: Path) -> None:
    files = find_pairs(pairs_folder)
    plan = CropPlan("random", 24, flips=True, rotations=True)
    for augmentation in (None, Augmentation(tone=1.0)):
        data = TrainingPairs(
            [*files, *rendered_pairs(1, 48, 64, colour=True)], plan, colour=True, augmentation=augmentation
        )
        for index in (0, 7):
            item = data[0, index]
            assert item["colours"].shape == (3, 24, 24)
            assert item["colours"].dtype == torch.float32
            found = luminance(item["colours"].permute(1, 2, 0).numpy())
            unclipped = ((item["colours"] > 0) & (item["colours"] < 1)).all(0).numpy()
            assert np.abs(found - item["visible"][0].numpy())[unclipped].max() < 1e-3
    assert "colours" not in TrainingPairs(files, plan)[0, 0]


def test_uncropped_colours_are_those_of_the_picture(pairs_folder: Path) -> None:
    item = TrainingPairs(find_pairs(pairs_folder), CropPlan("center", 48), colour=True)[0, 3]
    scene = render_scene(48, 64, 3)
    wanted = torch.from_numpy(scene.visible[:, 8:56].astype(np.float32) / 255).permute(2, 0, 1)
    assert (item["colours"] - wanted).abs().max() < 1e-3


# Runs


def test_labels_colours_and_scenes_train_and_resume(larger_pairs: Path, tmp_path: Path) -> None:
    recipe = load_recipe("psfusion_compact", SMALL)
    whole = run(recipe, larger_pairs, tmp_path / "whole")
    rows = read_log(tmp_path / "whole" / "log.jsonl")
    steps = [row for row in rows if row["split"] == "train"]
    parts = {"semantic", "binary", "boundary", "correlation", "gradient", "intensity", "fidelity"}
    assert len(steps) == 4
    assert all(parts | {"like_infrared", "like_visible"} <= row.keys() for row in steps)
    assert all(row["semantic"] > 0 for row in steps)
    (scores,) = (row for row in rows if row["split"] == "validation")
    assert 0 <= scores["mIoU"] <= 1
    assert {"accuracy", "EN", "SCD"} <= scores.keys()
    first = load_file(whole)
    assert all(value.isfinite().all() for value in first.values())
    with pytest.raises(ConnectionError):
        run(recipe, larger_pairs, tmp_path / "parts", callbacks=(StopAfter(3),))
    second = load_file(run(recipe, larger_pairs, tmp_path / "parts", resume=True))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_pairs_without_labels_train_the_fusion_alone(unlabelled: Path, tmp_path: Path) -> None:
    recipe = load_recipe("psfusion_compact", [*SMALL, "data.rendered=0", "epochs=1", "validate_every=1"])
    run(recipe, unlabelled, tmp_path / "run")
    rows = read_log(tmp_path / "run" / "log.jsonl")
    assert [row["semantic"] for row in rows if row["split"] == "train"] == [0, 0]
    (scores,) = (row for row in rows if row["split"] == "validation")
    assert "mIoU" not in scores


def test_schedule_is_the_authors() -> None:
    from imfuse.training.module import _poly

    wanted = {0: 1e-5, 1: 1.00461579e-5, 500: 1e-4, 1000: 1e-3, 1001: 0.00099999867, 100_000: 0.000867272886}
    wanted |= {338_750: 0.00053659961, 677_499: 5.6592513e-9, 700_000: 0}
    assert {step: 1e-3 * _poly(step, 677_500, 1000) for step in wanted} == pytest.approx(wanted, rel=1e-6)


def test_recipe_is_the_authors_protocol() -> None:
    recipe = load_recipe("psfusion")
    assert (recipe.epochs, recipe.batch_size, recipe.data.crop.size) == (2500, 4, 256)
    assert (recipe.optimizer.name, recipe.optimizer.momentum, recipe.optimizer.weight_decay) == ("sgd", 0.9, 5e-4)
    assert (recipe.schedule.name, recipe.schedule.warmup) == ("poly", 1000)


# The best validation


def test_state_of_the_best_validation_is_exported(larger_pairs: Path, tmp_path: Path) -> None:
    changes = ["epochs=3", "validate_every=1", "optimizer.lr=0.001", "schedule={name: constant}", "best=EN"]
    recipe = load_recipe("psfusion_compact", [*SMALL, *changes])
    weights = run(recipe, larger_pairs, tmp_path / "whole")
    rows = [row for row in read_log(tmp_path / "whole" / "log.jsonl") if row["split"] == "validation"]
    best = max(rows, key=lambda row: row["EN"])
    assert len({row["EN"] for row in rows}) == 3
    header = read_header(weights)
    assert (header["best"], header["steps"]) == ("EN", str(best["step"]))
    kept = torch.load(tmp_path / "whole" / "best.ckpt", weights_only=True)["state_dict"]
    exported = load_file(weights)
    assert all(torch.equal(exported[name], kept[f"network.{name}"]) for name in exported)
    with pytest.raises(ConnectionError):
        run(recipe, larger_pairs, tmp_path / "parts", callbacks=(StopAfter(5),))
    resumed = load_file(run(recipe, larger_pairs, tmp_path / "parts", resume=True))
    assert all(torch.equal(exported[name], resumed[name]) for name in exported)


def test_rendered_scenes_are_held_out_too(unlabelled: Path, tmp_path: Path) -> None:
    recipe = load_recipe("psfusion_compact", [*SMALL, "data.rendered=4", "data.validation=0.25", "best=mIoU"])
    assert read_header(run(recipe, unlabelled, tmp_path / "run"))["best"] == "mIoU"
    steps = [row for row in read_log(tmp_path / "run" / "log.jsonl") if row["split"] == "train"]
    assert len(steps) == 4, "5 pairs and 3 scenes, in batches of 4, twice"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["best=mIoU", "data.rendered=0"], "best: mIoU needs labels, and no held-out pair has any"),
        (["best=QSF", "scores=[QSF]"], "best: of QSF neither high nor low values are better"),
        (["best=VIF"], "best: 'VIF' is none of EN, SCD, mIoU, accuracy"),
        (["best=EN", "data.validation=0"], "best: EN needs a validation"),
        (["best=EN", "validate_every=3"], "best: EN needs a validation"),
    ],
)
def test_what_cannot_be_best_is_said(unlabelled: Path, tmp_path: Path, changes: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        run(load_recipe("psfusion_compact", [*SMALL, *changes]), unlabelled, tmp_path / "run")


# Weights to start from


@pytest.fixture(scope="module")
def network() -> PSFusion:
    torch.manual_seed(0)
    return PSFusion()


@pytest.fixture
def resnet(network: PSFusion) -> dict[str, Tensor]:
    """Entries as torchvision names them."""
    generator = torch.Generator().manual_seed(1)
    state = network.state_dict()
    entries = {
        name: torch.rand(state[ours[0]].shape, generator=generator) for name, ours in network.initial_layout().items()
    }
    return entries | {
        "conv1.weight": torch.rand(64, 3, 7, 7),
        "fc.weight": torch.rand(10, 512),
        "fc.bias": torch.rand(10),
    }


def test_layout_is_that_of_a_resnet_34(network: PSFusion) -> None:
    layout = network.initial_layout()
    # 36 convolutions but for the first, with 36 norms of four entries.
    assert sum(name.endswith(("conv1.weight", "conv2.weight", "downsample.0.weight")) for name in layout) == 35
    assert len(layout) == 35 + 4 * 36
    assert layout["layer3.5.bn2.running_var"] == tuple(
        f"encoder_{side}.stages.2.5.bn2.running_var" for side in ("vi", "ir")
    )
    assert layout["bn1.bias"] == ("encoder_vi.norm.bias", "encoder_ir.norm.bias")


def test_both_encoders_start_from_the_file(network: PSFusion, resnet: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(resnet, tmp_path / "made.pth")
    digest = hashlib.sha256((tmp_path / "made.pth").read_bytes()).hexdigest()
    file = (tmp_path / "made.pth").rename(tmp_path / f"resnet34-{digest[:8]}.pth")
    initialise(network, str(file))
    state = network.state_dict()
    for theirs, names in network.initial_layout().items():
        assert all(torch.equal(state[ours], resnet[theirs]) for ours in names)


def test_damaged_or_other_files_are_refused(network: PSFusion, resnet: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(resnet, tmp_path / "resnet34-00000000.pth")
    with pytest.raises(WeightsError, match="sha256 does not begin with 00000000"):
        initialise(network, str(tmp_path / "resnet34-00000000.pth"))
    del resnet["layer4.2.bn2.bias"]
    torch.save(resnet, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=r"missing layer4\.2\.bn2\.bias"):
        initialise(network, str(tmp_path / "short.pth"))
    with pytest.raises(RecipeError, match="no such file"):
        initialise(network, str(tmp_path / "none.pth"))
    with pytest.raises(RecipeError, match="psfusion_compact has no weights to start from"):
        initialise(create_model("psfusion_compact", weights=None), str(tmp_path / "short.pth"))


def test_download_happens_once_and_is_checked(
    network: PSFusion, resnet: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(resnet, tmp_path / "made.pth")
    digest = hashlib.sha256((tmp_path / "made.pth").read_bytes()).hexdigest()
    file = (tmp_path / "made.pth").rename(tmp_path / f"resnet34-{digest[:8]}.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(PSFusion, "initial_url", file.as_uri())
    initialise(network, "download")
    file.unlink()
    initialise(network, "download")
    assert torch.equal(network.state_dict()["encoder_ir.norm.bias"], resnet["bn1.bias"])
    monkeypatch.setattr(PSFusion, "initial_url", (tmp_path / "resnet34-12345678.pth").as_uri())
    with pytest.raises(RecipeError, match=r"cannot download file://.*or give the path of that file") as error:
        initialise(network, "download")
    assert "\n" not in str(error.value)


def test_a_recipe_names_the_file(larger_pairs: Path, tmp_path: Path) -> None:
    recipe = load_recipe("psfusion_compact", [*SMALL, "initial=none.pth"])
    with pytest.raises(ImfuseError, match="initial: psfusion_compact has no weights"):
        run(recipe, larger_pairs, tmp_path / "run")
