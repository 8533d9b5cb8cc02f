"""DenseFuse: golden values of both releases, rules, what becomes of levels out of range."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.fusing.fuser import Fuser
from imfuse.inference.forms import fast_form
from imfuse.models import create_model
from imfuse.models._convert import convert
from imfuse.models.densefuse import DenseFuse

Weights = Callable[[str], Path]
Scene = Callable[[int, int, int], tuple[Tensor, Tensor]]


@pytest.fixture(scope="module")
def gray_weights(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authors' PyTorch checkpoint."""
    target = tmp_path_factory.mktemp("densefuse") / "gray.safetensors"
    assert convert([shared / "official" / "densefuse" / "densefuse_gray.model"], target) == "densefuse"
    return target


@pytest.fixture(scope="module")
def filled(golden: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A layout of the fact sheet, filled by formula, as a weights file."""

    def make(layout: str) -> Path:
        folder = tmp_path_factory.mktemp(layout)
        torch.save(golden.checkpoint(layout), folder / "authors.pth")
        assert convert([folder / "authors.pth"], folder / "ours.safetensors") == "densefuse"
        return folder / "ours.safetensors"

    return make


def raw(weights: Path, rule: str, pair: tuple[Tensor, Tensor]) -> Tensor:
    """What the network computes, on gray levels; in float64, in which every processor computes the same."""
    with torch.inference_mode():
        return 255 * create_model("densefuse", weights, rule=rule).double().raw(*(image.double() for image in pair))


def close(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_parameters() -> None:
    assert sum(p.numel() for p in DenseFuse().parameters()) == 74_193


# Golden values


@pytest.mark.parametrize(
    ("output", "rule"),
    [("add_32x40", "sum"), ("add_33x41", "sum"), ("l1_33x41", "l1-pixel")],
)
@pytest.mark.parametrize("source", ["official", "fill"])
def test_golden_tensorflow(
    golden: Any, filled: Callable[[str], Path], published_weights: Weights, source: str, output: str, rule: str
) -> None:
    weights = published_weights("densefuse") if source == "official" else filled("densefuse_tf")
    pair = golden.pair(*map(int, output.split("_")[1].split("x")))
    close(raw(weights, rule, pair), golden.arrays("densefuse_tf")[f"{source}_{output}"])


def test_golden_features_are_in_the_order_of_tensorflow(golden: Any, published_weights: Weights) -> None:
    model = create_model("densefuse", published_weights("densefuse"))
    with torch.inference_mode():
        maps = model.encoder(255 * golden.pair(32, 40)[0])
    close(maps[None, ..., :8, :8], golden.arrays("densefuse_tf")["official_features_ir_8x8"])


@pytest.mark.parametrize(
    ("output", "rule"), [("avg_32x40", "average"), ("avg_33x41", "average"), ("l1_33x41", "l1-pixel")]
)
def test_golden_pytorch(golden: Any, filled: Callable[[str], Path], output: str, rule: str) -> None:
    """The PyTorch release ends in a ReLU."""
    pair = golden.pair(*map(int, output.split("_")[1].split("x")))
    close(torch.relu(raw(filled("densefuse"), rule, pair)), golden.arrays("densefuse")[output])


def test_golden_pytorch_with_the_authors_weights(golden: Any, gray_weights: Path) -> None:
    pair = golden.pair(32, 40)
    close(raw(gray_weights, "average", pair), golden.arrays("densefuse")["official_avg_32x40"])
    with torch.inference_mode():
        rebuilt = 255 * create_model("densefuse", gray_weights).reconstruct(pair[0])
    close(rebuilt, golden.arrays("densefuse")["official_recon_ir_32x40"])


# Rules and pictures


def test_an_image_with_itself_is_its_reconstruction(published_weights: Weights, scene_pair: Scene) -> None:
    image = scene_pair(40, 56, 0)[0]
    for rule in ("average", "l1", "l1-pixel", "softmax"):
        model = create_model("densefuse", published_weights("densefuse"), rule=rule)
        with torch.inference_mode():
            expected = model.reconstruct(image)
            assert (model.raw(image, image) - expected).abs().max() < 1e-5
        # The auto-encoder rebuilds what it is given.
        assert (expected - image).abs().mean() < 0.01


def test_sum_is_twice_as_bright(published_weights: Weights, scene_pair: Scene) -> None:
    pair = scene_pair(40, 56, 0)
    model = create_model("densefuse", published_weights("densefuse"), rule="sum")
    with torch.inference_mode():
        bright = model.raw(*pair)
        model.rule = "average"
        assert bright.mean().item() == pytest.approx(2 * model.raw(*pair).mean().item(), rel=0.05)


def test_stretched_pictures_use_all_levels_and_are_not_cut_into_tiles(scene_pair: Scene) -> None:
    pair = [image[0, 0].numpy() for image in scene_pair(100, 130, 0)]
    torch.manual_seed(0)
    fuser = Fuser("densefuse", None, rule="sum", output="stretch", memory=1)
    fused = fuser(*((255 * image).astype(np.uint8) for image in pair))
    assert (fused.min(), fused.max()) == (0, 255)
    assert fuser.spec.size.halo is None
    assert "output=stretch" in fuser.spec.size.not_tileable
    assert Fuser("densefuse", None).spec.size.halo == 9


def test_inference_form_in_several_parts(published_weights: Weights, scene_pair: Scene) -> None:
    pair = scene_pair(260, 300, 0)
    for options in ({}, {"rule": "l1"}, {"rule": "sum", "output": "stretch"}):
        model = create_model("densefuse", published_weights("densefuse"), **options)
        with torch.inference_mode():
            assert (fast_form(model)(*pair) - model(*pair)).abs().max() < 1e-5
