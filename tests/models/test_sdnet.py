"""SDNet: golden values, the decomposition, gray levels as the authors read them, numbers of its published pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.fusing.fuser import Fuser
from imfuse.imaging import read_image
from imfuse.inference.forms import fast_form
from imfuse.models import create_model
from imfuse.models._convert import convert
from imfuse.models.sdnet import SDNet, published_levels

Weights = Callable[[str], Path]
Scene = Callable[[int, int, int], tuple[Tensor, Tensor]]


def golden_model(request: pytest.FixtureRequest, source: str) -> SDNet:
    if source == "fill":
        return request.getfixturevalue("golden").filled("sdnet")
    return create_model("sdnet", request.getfixturevalue("published_weights")("sdnet"))


def close(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_parameters() -> None:
    model = SDNet()
    assert sum(p.numel() for p in model.parameters()) == 67_091
    fusing = (model.infrared, model.visible, model.squeeze)
    assert sum(p.numel() for part in fusing for p in part.parameters()) == 28_705


@pytest.mark.parametrize("source", ["official", "fill"])
def test_golden_values(request: pytest.FixtureRequest, golden: Any, source: str) -> None:
    model, expected = golden_model(request, source), golden.arrays("sdnet")
    with torch.inference_mode():
        for size in ((32, 40), (33, 41)):
            pair = [2 * image - 1 for image in golden.pair(*size)]
            fused = model.fuse(*pair)
            close(fused, expected[f"{source}_fused_{size[0]}x{size[1]}"])
            if size == (32, 40):
                for actual, short in zip(model.decompose(fused), ("ir", "vi"), strict=True):
                    close(actual, expected[f"{source}_sept_{short}_32x40"])


def test_medical_checkpoint(shared: Path, tmp_path: Path) -> None:
    source = shared / "official" / "sdnet" / "Medical.model-29.index"
    assert convert([source], tmp_path / "medical.safetensors") == "sdnet"
    model = create_model("sdnet", tmp_path / "medical.safetensors")
    assert model.squeeze.bias.item() == pytest.approx(-0.030217265, rel=1e-7)


def test_prediction_holds_the_decomposition(published_weights: Weights, scene_pair: Scene) -> None:
    infrared, visible = scene_pair(48, 64, 0)
    model = create_model("sdnet", published_weights("sdnet"))
    with torch.inference_mode():
        actual = model.predict(infrared, visible)
        again = model.decompose(model.fuse(2 * infrared - 1, 2 * visible - 1))
    assert torch.equal(actual.infrared, again[0])
    assert torch.equal(actual.visible, again[1])


def test_levels_as_the_authors_read_them() -> None:
    """Twenty-two levels are one too low (fact sheet, section 4)."""
    low = [11, 18, 25, 32, 55, 62, 69, 76, 99, 106, 113]
    low += [136, 143, 150, 157, 180, 187, 194, 201, 224, 231, 238]
    levels = torch.arange(256.0)
    change = 255 * published_levels(levels / 255) - levels
    assert torch.nonzero(change.round()).flatten().tolist() == low
    assert set(change.round().tolist()) == {0.0, -1.0}


# EN, SF, AG, SCD of the fact sheet, section 12: formulas on 8-bit pictures, five decimals.
PUBLISHED = {
    "05": (6.83346, 24.93604, 14.20997, 1.66009),
    "08": (6.15845, 20.47294, 8.54992, 0.56285),
    "37": (5.96130, 9.25979, 5.25368, 1.35513),
}


def numbers(fused: np.ndarray, infrared: np.ndarray, visible: np.ndarray) -> tuple[float, ...]:
    f, ir, vi = (image.astype(float) for image in (fused, infrared, visible))
    share = np.bincount(fused.ravel(), minlength=256) / fused.size
    share = share[share > 0]
    dx, dy = np.diff(f, axis=1), np.diff(f, axis=0)
    detail = np.sqrt((dx[:-1] ** 2 + dy[:, :-1] ** 2) / 2).mean()
    scd = sum(np.corrcoef((f - a).ravel(), b.ravel())[0, 1] for a, b in ((vi, ir), (ir, vi)))
    return -(share * np.log2(share)).sum(), np.sqrt((dx**2).mean() + (dy**2).mean()), detail, scd


@pytest.mark.parametrize("pair", PUBLISHED)
def test_numbers_of_the_published_pictures(shared: Path, published_weights: Weights, pair: str) -> None:
    images = [read_image(shared / "data" / "tno" / side / f"{pair}.png") for side in ("ir", "vi")]
    fuser = Fuser("sdnet", published_weights("sdnet"), output="stretch", levels="published", range="full")
    # One level of single pixels next to a rounding limit, no more.
    assert numbers(fuser(*images), *images) == pytest.approx(PUBLISHED[pair], abs=5e-5)
    exact = Fuser("sdnet", published_weights("sdnet"), output="stretch", range="full")
    assert numbers(exact(*images), *images) != pytest.approx(PUBLISHED[pair], abs=5e-5)


def test_inference_form_in_several_parts(published_weights: Weights, scene_pair: Scene) -> None:
    pair = scene_pair(260, 300, 0)
    for options in ({}, {"output": "stretch"}, {"levels": "published"}):
        model = create_model("sdnet", published_weights("sdnet"), **options)
        with torch.inference_mode():
            assert (fast_form(model)(*pair) - model(*pair)).abs().max() < 1e-5
