"""U2Fusion: golden values, the order of its inputs, what becomes of its levels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imfuse.inference.forms import fast_form
from imfuse.models import create_model
from imfuse.models.u2fusion import U2Fusion

Weights = Callable[[str], Path]
Scene = Callable[[int, int, int], tuple[Tensor, Tensor]]


def golden_model(request: pytest.FixtureRequest, source: str) -> U2Fusion:
    if source == "fill":
        return request.getfixturevalue("golden").filled("u2fusion")
    return create_model("u2fusion", request.getfixturevalue("published_weights")("u2fusion"))


def test_parameters() -> None:
    assert sum(p.numel() for p in U2Fusion().parameters()) == 659_217


@pytest.mark.parametrize("source", ["official", "fill"])
def test_golden_values(request: pytest.FixtureRequest, golden: Any, source: str) -> None:
    # In float64, since processors differ by more than the bounds in float32.
    model, expected = golden_model(request, source).double(), golden.arrays("u2fusion")

    def pair(*size: int) -> list[Tensor]:
        return [image.double() for image in golden.pair(*size)]

    with torch.inference_mode():
        for size in ((32, 40), (33, 41)):
            actual = model(*pair(*size))
            # The filled network gives next to a constant.
            assert (actual - expected[f"{source}_{size[0]}x{size[1]}"]).abs().max() < 1e-6
        before = model.decoder(model.encoder(model.join(*pair(32, 40))))
    assert (before - expected[f"{source}_pre_32x40"]).abs().max() < 1e-6


def test_order_of_the_inputs(published_weights: Weights, scene_pair: Scene) -> None:
    infrared, visible = scene_pair(48, 64, 0)
    ours, turned = (
        create_model("u2fusion", published_weights("u2fusion"), first=first) for first in ("infrared", "visible")
    )
    with torch.inference_mode():
        assert torch.equal(ours(infrared, visible), turned(visible, infrared))
        apart = (ours(infrared, visible) - turned(infrared, visible)).abs()
    assert apart.max() > 10 / 255


@pytest.mark.parametrize("output", ["stretch", "max"])
def test_levels(published_weights: Weights, scene_pair: Scene, output: str) -> None:
    pair = scene_pair(48, 64, 0)
    with torch.inference_mode():
        plain = create_model("u2fusion", published_weights("u2fusion"))(*pair)
        actual = create_model("u2fusion", published_weights("u2fusion"), output=output)(*pair)
    low = plain.min() if output == "stretch" else 0
    torch.testing.assert_close(actual, (plain - low) / (plain.max() - low))


def test_inference_form_in_several_parts(published_weights: Weights, scene_pair: Scene) -> None:
    pair = scene_pair(60, 250, 0)
    for options in ({}, {"first": "visible"}):
        model = create_model("u2fusion", published_weights("u2fusion"), **options)
        with torch.inference_mode():
            assert (fast_form(model)(*pair) - model(*pair)).abs().max() < 1e-5
