"""Spatial frequency, average gradient, edge intensity: published values, known cases, invariances, gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics import Picture
from imfuse.metrics.gradient import average_gradient, edge_intensity, spatial_frequency
from metric_pictures import FormulaPair, check_formula_values, picture, pictures, rows, unrounded

SCORES: dict[str, Callable[[Picture], Tensor]] = {
    "SF": spatial_frequency,
    "SF unit": lambda f: spatial_frequency(f, white=1.0),
    "SF per pixel": lambda f: spatial_frequency(f, per_pixel=True),
    "AG": average_gradient,
    "AG per pixel": lambda f: average_gradient(f, per_pixel=True),
    "EI": edge_intensity,
}
TRUTH = {
    "tang2022_tno.csv": {"SF": "SF unit", "AG": "AG"},
    "octave_tno.csv": {"SF": "SF", "AG": "AG", "EI_vifb": "EI"},
}
OTHERS = {
    "cddfuse": {"SF": "SF", "AG": "AG per pixel"},
    "refinefuse": {"SF": "SF", "AG": "AG"},
    "tang2023": {"SF": "SF", "AG": "AG"},
    "vifb": {"SF": "SF per pixel", "AG": "AG", "EI": "EI"},
}
PLACES = (("densefuse", "08"), ("seafusion", "08"), ("u2fusion", "08"), ("densefuse", "10"))
PLAIN = {
    "SF": (16.4042485941, 22.7499037113, 20.3506184567, 14.0869144854),
    "AG": (6.46283717832, 8.98205157141, 7.27085222512, 4.36362702405),
    "AG per pixel": (6.41244487793, 8.91201634874, 7.21415963651, 4.34773217171),
    "EI": (66.8176558958, 94.0113631863, 75.8562715218, 40.7332092505),
}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.float64)


def scores(image: np.ndarray) -> dict[str, float]:
    fused = picture(image)
    return {name: score(fused).item() for name, score in SCORES.items()}


# Published values


@pytest.mark.parametrize("name", TRUTH)
def test_published_numbers(shared: Path, name: str) -> None:
    names, seen = TRUTH[name], 0
    for row in rows(shared, name):
        crop = row.get("crop", "full")
        if row["metric"] in names and (crop != "full" or row["image"] in ("08", "11", "25")):
            fused, _, _ = pictures(shared, row["method"], row["image"], crop)
            found = SCORES[names[row["metric"]]](fused).item()
            assert found == pytest.approx(float(row["value"]), rel=1e-12), row
            seen += 1
    assert seen >= 18


def test_other_conventions(shared: Path, formula_pair: FormulaPair) -> None:
    of_fused = {name: lambda f, *_, score=score: score(f) for name, score in SCORES.items()}
    check_formula_values(shared, formula_pair, of_fused, OTHERS)


@pytest.mark.parametrize("column", range(4))
def test_recommended_values(shared: Path, column: int) -> None:
    fused, _, _ = pictures(shared, *PLACES[column])
    for name, values in PLAIN.items():
        assert SCORES[name](fused).item() == pytest.approx(values[column], rel=5e-12), name


def test_average_gradient_of_the_golden_pair(formula_pair: Callable[[int, int], tuple[Tensor, Tensor]]) -> None:
    _, visible = formula_pair(64, 80)
    levels = torch.floor(255 * visible.double() + 0.5)
    assert average_gradient(levels, data_range=255).item() == pytest.approx(18.165573, rel=1e-7)
    assert average_gradient(visible).item() == pytest.approx(18.165573, rel=1e-7)


# What the formulas say, computed plainly


def test_ramps() -> None:
    height, width = 7, 9
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    found = scores(3 * y + 4 * x)
    assert found["SF"] == pytest.approx(5, rel=1e-15)
    assert found["SF unit"] == pytest.approx(5 / 255, rel=1e-15)
    assert found["SF per pixel"] == pytest.approx(math.sqrt(9 * 6 / 7 + 16 * 8 / 9), rel=1e-15)
    assert found["AG per pixel"] == pytest.approx(5 / math.sqrt(2), rel=1e-15)
    assert found["AG"] == pytest.approx(5 / math.sqrt(2) * height * width / ((height - 1) * (width - 1)), rel=1e-15)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 3), (3, 2), (13, 11), (64, 7)])
def test_numpys_and_opencvs_differences(height: int, width: int) -> None:
    image = noise(height, width)
    found = scores(image)
    down, across = np.gradient(image)
    total = np.sqrt((down**2 + across**2) / 2).sum()
    assert found["AG"] == pytest.approx(total / ((height - 1) * (width - 1)), rel=1e-13)
    assert found["AG per pixel"] == pytest.approx(total / (height * width), rel=1e-13)
    squares = [(np.diff(image, axis=axis) ** 2) for axis in (0, 1)]
    assert found["SF"] == pytest.approx(math.sqrt(sum(square.mean() for square in squares)), rel=1e-14)
    summed = sum(square.sum() for square in squares)
    assert found["SF per pixel"] == pytest.approx(math.sqrt(summed / image.size), rel=1e-14)
    sobel = [cv2.Sobel(image, cv2.CV_64F, *order, borderType=cv2.BORDER_REPLICATE) for order in ((1, 0), (0, 1))]
    assert found["EI"] == pytest.approx(np.hypot(*sobel).mean(), rel=1e-13)


def test_edge_of_a_step() -> None:
    """Two columns beside the step respond with 4 times its height."""
    step = np.zeros((5, 8))
    step[:, 4:] = 100
    assert scores(step)["EI"] == pytest.approx(400 * 2 / 8, rel=1e-15)


@pytest.mark.parametrize("level", [0, 100, 255])
def test_constant_images(level: int) -> None:
    assert set(scores(np.full((6, 7), float(level))).values()) == {0.0}


@pytest.mark.parametrize("metric", [spatial_frequency, average_gradient])
@pytest.mark.parametrize(("height", "width"), [(1, 5), (5, 1), (1, 1)])
def test_gradients_need_two_pixels(metric: Callable[..., Tensor], height: int, width: int) -> None:
    with pytest.raises(MetricError, match=f"at least 2x2 pixels, found {width}x{height}"):
        metric(torch.rand(1, 1, height, width))


def test_edges_of_one_line() -> None:
    """Above and below, the line itself goes on: 4 times the difference of the neighbours."""
    assert edge_intensity(picture(np.array([[0.0, 10, 30]]))).item() == 4 * (10 + 30 + 20) / 3


# Properties

IMAGES = st.tuples(st.integers(2, 9), st.integers(2, 9)).flatmap(
    lambda size: hnp.arrays(np.uint8, size).map(lambda image: image.astype(np.float64))
)
relaxed = settings(deadline=None, max_examples=40)


def same(first: dict[str, float], second: dict[str, float]) -> None:
    assert first == pytest.approx(second, rel=1e-12, abs=1e-12)


@relaxed
@given(IMAGES)
def test_flips_turns_and_negatives_change_nothing(image: np.ndarray) -> None:
    straight = scores(image)
    for other in (image[::-1], image[:, ::-1], image.T, 255 - image):
        same(straight, scores(other))


@relaxed
@given(IMAGES, st.integers(0, 100), st.sampled_from([1, 2, 3]))
def test_gain_scales_and_offset_changes_nothing(image: np.ndarray, offset: int, gain: int) -> None:
    image //= 5
    same(scores(gain * image + offset), {name: gain * value for name, value in scores(image).items()})


@relaxed
@given(IMAGES)
def test_ranges(image: np.ndarray) -> None:
    found = scores(image)
    assert 0 <= found["SF per pixel"] <= found["SF"] <= 255 * math.sqrt(2) + 1e-9
    assert 0 <= found["AG per pixel"] <= found["AG"]
    assert 0 <= found["EI"] <= 1020 * math.sqrt(2)


@relaxed
@given(st.integers(2, 4), st.integers(2, 9), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_batch_is_one_by_one(count: int, height: int, width: int, seed: int) -> None:
    images = noise(count, height, width, seed=seed)
    alone = [scores(image) for image in images]
    for name, score in SCORES.items():
        found = score(picture(images))
        assert found.shape == (count,)
        assert found.dtype == torch.float64
        assert found.tolist() == pytest.approx([one[name] for one in alone], rel=1e-12), name


# Gradients


@pytest.mark.parametrize("name", SCORES)
def test_gradients(name: str) -> None:
    levels = torch.from_numpy(noise(1, 1, 4, 5) * 0.9 + 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda image: SCORES[name](unrounded(image)), levels, atol=1e-6)


@pytest.mark.parametrize("name", SCORES)
def test_same_value_with_a_gradient(name: str) -> None:
    image = picture(noise(2, 33, 47))
    kept = image.levels.clone()
    found = SCORES[name](image)
    assert torch.equal(image.levels, kept)
    torch.testing.assert_close(SCORES[name](unrounded(kept.requires_grad_())), found, rtol=1e-13, atol=0)


@pytest.mark.parametrize("name", SCORES)
def test_gradient_of_a_constant_is_zero(name: str) -> None:
    flat = torch.full((1, 1, 4, 5), 100.0, dtype=torch.float64, requires_grad=True)
    SCORES[name](unrounded(flat)).sum().backward()
    assert torch.equal(flat.grad, torch.zeros_like(flat))
