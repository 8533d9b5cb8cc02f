"""SeAFusion: golden values, edge filters that are trained, levels of its published pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.inference.forms import fast_form
from imfuse.losses.seafusion import sobel_magnitude
from imfuse.models import create_model
from imfuse.models.seafusion import SeAFusion, Sobel

Weights = Callable[[str], Path]
Scene = Callable[[int, int, int], tuple[Tensor, Tensor]]


def close(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_parameters() -> None:
    """The printed 166,883 count the scales and shifts of norms that are never applied."""
    idle = 2 * (64 + 32 + 16 + 1)
    assert sum(p.numel() for p in SeAFusion().parameters()) == 166_883 - idle


@pytest.mark.parametrize("size", [(32, 40), (33, 41)])
def test_golden_values(golden: Any, published_weights: Weights, size: tuple[int, int]) -> None:
    expected, name, pair = golden.arrays("seafusion"), f"{size[0]}x{size[1]}", golden.pair(*size)
    model = golden.filled("seafusion")
    with torch.inference_mode():
        close(model(*pair), expected[f"out_{name}"])
        maps = torch.cat([model.visible(pair[1]), model.infrared(pair[0])], 1)
        close(model.decoder(maps), expected[f"pre_{name}"])
        close(create_model("seafusion", published_weights("seafusion"))(*pair), expected[f"official_{name}"])


def test_edge_filters_start_as_sobel_and_are_trained(published_weights: Weights) -> None:
    image = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    edges = Sobel(3)(image)
    for channel in range(3):
        expected = sobel_magnitude(image[:, channel : channel + 1])
        torch.testing.assert_close(edges[:, channel : channel + 1], expected)
    trained = create_model("seafusion", published_weights("seafusion")).visible.blocks[0].sobel
    moved = (trained.across - Sobel(16).across).abs().max().item()
    assert 0.01 < moved < 0.2


def test_cut_levels_are_half_a_level_lower(published_weights: Weights, scene_pair: Scene) -> None:
    pair = scene_pair(48, 64, 0)
    stretched, cut = (
        create_model("seafusion", published_weights("seafusion"), output=output)
        for output in ("stretch", "stretch-cut")
    )
    with torch.inference_mode():
        whole = stretched(*pair)
        levels = np.floor(255 * cut(*pair).double().numpy() + 0.5)
    assert np.abs(levels - np.floor(255 * whole.double().numpy() + 1e-4)).max() == 0


def test_inference_form_in_several_parts(published_weights: Weights, scene_pair: Scene) -> None:
    pair = scene_pair(260, 300, 0)
    model = create_model("seafusion", published_weights("seafusion"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        assert (fast_form(model)(*pair) - model(*pair)).abs().max() < 1e-5
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
