"""LRRNet against golden values of the authors' code, and its inference form against the plain one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imfuse.fusing.fuser import Fuser
from imfuse.inference import lrrnet as inference
from imfuse.inference.forms import fast_form
from imfuse.models import create_model, lrrnet
from imfuse.models._convert import convert
from imfuse.models.lrrnet import LRRNet, normalised, shrink

Scene = Callable[[int, int, int], tuple[Tensor, Tensor]]
SIZES = [(32, 40), (33, 41)]


@pytest.fixture(scope="module")
def official(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("official") / "lrrnet.safetensors"
    assert convert([shared / "official" / "lrrnet"], target) == "lrrnet"
    return target


def largest(difference: Tensor) -> float:
    return difference.abs().max().item()


def levels(fused: Tensor) -> Tensor:
    return torch.floor(255 * fused + 0.5)


def test_parameters() -> None:
    assert sum(p.numel() for p in LRRNet().parameters()) == 49_204


@pytest.mark.parametrize("size", SIZES)
def test_golden_output_of_filled_weights(golden: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64, in which every processor computes the same.

    A negative threshold makes ``shrink`` jump at 0. One feature of the smaller pair is 5e-8, which the authors'
    float32 rounds to the other side of the jump; all others lie farther from it than float32 errs.
    """

    def shrink_as_rounded(x: Tensor, threshold: Tensor) -> Tensor:
        undecided = (x.abs() < 1e-7) & (threshold < 0)
        rounded.append(int(undecided.sum()))
        return shrink(torch.where(undecided, -x, x), threshold)

    rounded: list[int] = []
    monkeypatch.setattr(lrrnet, "shrink", shrink_as_rounded)
    model, expected = golden.filled("lrrnet").double(), golden.arrays("lrrnet")
    pair, name = [image.double() for image in golden.pair(*size)], "{}x{}".format(*size)
    with torch.inference_mode():
        low, sparse = model.parts(*(normalised(image) for image in pair))
        actual = model.raw(*pair)
    # parts and raw see the same features.
    assert sum(rounded) == (2 if size == (32, 40) else 0)
    assert largest(actual - expected[f"fill_{name}"]) < 5e-6
    if size == (32, 40):
        assert largest(low - expected["fill_low_32x40"]) < 5e-6
        assert largest(sparse - expected["fill_high_32x40"]) < 5e-6


@pytest.mark.parametrize("size", SIZES)
def test_golden_output_of_the_authors_weights(golden: Any, official: Path, size: tuple[int, int]) -> None:
    model, expected = create_model("lrrnet", official), golden.arrays("lrrnet")
    raw = expected["official_{}x{}".format(*size)]
    assert isinstance(model, LRRNet)
    with torch.inference_mode():
        assert largest(model.raw(*golden.pair(*size)) - raw) < 1e-6
        fast = fast_form(model)(*golden.pair(*size))
    assert largest(fast - (raw - raw.min()) / (raw.max() - raw.min())) < 1e-5


@pytest.mark.parametrize("size", SIZES)
def test_cut_levels_are_those_that_the_authors_save(golden: Any, official: Path, size: tuple[int, int]) -> None:
    raw = golden.arrays("lrrnet")["official_{}x{}".format(*size)]
    saved = ((raw - raw.min()) / (raw.max() - raw.min() + 1e-5) * 255).int()
    with torch.inference_mode():
        ours = levels(create_model("lrrnet", official, output="stretch-cut")(*golden.pair(*size))).int()
    assert saved.max() == ours.max() == 254
    assert (ours - saved).abs().max() <= 1
    assert (ours != saved).sum() <= 2, "a level apart where the last digit of float32 decides"


@pytest.mark.parametrize("output", ["clip", "stretch", "stretch-cut"])
def test_inference_form_in_tiles(
    official: Path, monkeypatch: pytest.MonkeyPatch, scene_pair: Scene, output: str
) -> None:
    """Tiles of any size give the whole, with thresholds of both signs."""
    model, pair = create_model("lrrnet", official, output=output), scene_pair(70, 90, 0)
    fast = fast_form(model)
    assert 0 < fast.infrared.negative < 256
    with torch.inference_mode():
        expected = model(*pair)
        for tile in (1000, 40):
            monkeypatch.setattr(inference, "TILE", tile)
            assert (levels(fast(*pair)) - levels(expected)).abs().max() <= 1
            assert largest(fast(*pair) - expected) < 1e-4


def test_published_weights_fuse(official: Path, scene_pair: Scene) -> None:
    infrared, visible = scene_pair(96, 128, 1)
    fused = Fuser(weights=official)(infrared[0, 0], visible[0, 0])
    assert (fused.min(), fused.max()) == (0, 1)
    assert fused.std() > 0.05
    correlations = [torch.corrcoef(torch.stack([fused.flatten(), x.flatten()]))[0, 1] for x in (infrared, visible)]
    assert min(correlations) > 0.2


def test_range_of_the_images_does_not_count(scene_pair: Scene) -> None:
    torch.manual_seed(0)
    model, (infrared, visible) = LRRNet().eval(), scene_pair(32, 40, 2)
    with torch.inference_mode():
        assert largest(model(0.5 * infrared + 0.3, 0.2 * visible) - model(infrared, visible)) < 1e-3


def test_negative_thresholds_move_values_away_from_zero() -> None:
    assert shrink(torch.tensor([-1.0, 0.0, 1.0]), torch.tensor(-0.5)).tolist() == [-1.5, 0.0, 1.5]
