"""Metrics against published values, cases that are known exactly, and invariances."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.imaging import read_image
from imfuse.metrics import (
    METRICS,
    average_gradient,
    entropy,
    score_images,
    spatial_frequency,
    standard_deviation,
    sum_of_correlations_of_differences,
)

FUSED_ALONE = {
    "EN": entropy,
    "SD": standard_deviation,
    "SF": spatial_frequency,
    "AG": average_gradient,
}


def tensor(image: np.ndarray) -> Tensor:
    """(H, W) or (N, H, W) to (N, 1, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image)).reshape(-1, 1, *image.shape[-2:])


def scores(fused: Tensor, infrared: Tensor, visible: Tensor, data_range: float = 255) -> dict[str, list[float]]:
    return {name: value.tolist() for name, value in score_images(fused, infrared, visible, data_range).items()}


# Published values


def triple(shared: Path, method: str, image: str, crop: str = "full") -> tuple[Tensor, Tensor, Tensor]:
    files = (shared / "truth" / "fused" / method, shared / "data" / "tno" / "ir", shared / "data" / "tno" / "vi")
    whole = [tensor(read_image(folder / f"{image}.png")) for folder in files]
    if crop == "full":
        return whole[0], whole[1], whole[2]
    top, left, height, width = map(int, crop.split(":"))
    parts = [x[..., top : top + height, left : left + width] for x in whole]
    return parts[0], parts[1], parts[2]


@pytest.mark.parametrize("image", ["03", "08", "11", "17", "25", "36"])
def test_published_table(shared: Path, image: str) -> None:
    """The table of 9 methods on TNO: its SD is an accident of MATLAB's uint8, its SF is that of images in [0, 1]."""
    with (shared / "truth" / "tang2022_tno.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["image"] == image]
    methods = sorted({row["method"] for row in rows})
    assert methods == ["densefuse", "seafusion", "u2fusion"]
    for method in methods:
        wanted = {row["metric"]: float(row["value"]) for row in rows if row["method"] == method}
        found = scores(*triple(shared, method, image))
        for name, unit in (("EN", 1), ("AG", 1), ("SCD", 1), ("SF", 255)):
            assert found[name] == [pytest.approx(unit * wanted[name], rel=1e-9)], (method, name)
        assert found["SD"][0] > 15.97 > wanted["SD"]


def test_published_code_run_in_octave(shared: Path) -> None:
    with (shared / "truth" / "octave_tno.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] in METRICS]
    places = sorted({(row["method"], row["image"], row["crop"]) for row in rows})
    places = [place for place in places if place[2] != "full" or place[1] == "08"]
    assert len(places) == 21
    for place in places:
        wanted = {
            row["metric"]: float(row["value"]) for row in rows if (row["method"], row["image"], row["crop"]) == place
        }
        found = scores(*triple(shared, *place))
        assert {name: value[0] for name, value in found.items()} == pytest.approx(wanted, rel=1e-9), place


def test_golden_average_gradient(formula_pair: Callable[[int, int], tuple[Tensor, Tensor]]) -> None:
    _, visible = formula_pair(64, 80)
    levels = torch.floor(255 * visible.double() + 0.5)
    assert average_gradient(levels, data_range=255).item() == pytest.approx(18.165573, rel=1e-7)
    assert average_gradient(visible).item() == pytest.approx(18.165573, rel=1e-7)


# Cases that are known exactly


def test_entropy_of_equal_shares() -> None:
    for levels in (1, 2, 16, 256):
        image = tensor(np.arange(256, dtype=np.float64).reshape(16, 16) // (256 // levels))
        assert entropy(image, data_range=255).item() == pytest.approx(math.log2(levels), abs=1e-12)
    three_to_one = torch.tensor([[0.0, 1], [1, 1]])[None, None]
    assert entropy(three_to_one).item() == pytest.approx(-0.25 * math.log2(0.25) - 0.75 * math.log2(0.75), rel=1e-14)


def test_deviation_of_a_population() -> None:
    image = torch.tensor([[10.0, 20], [30, 60]])[None, None]
    assert standard_deviation(image, data_range=255).item() == pytest.approx(np.std([10, 20, 30, 60]), rel=1e-14)
    board = torch.tensor([[0.0, 1], [1, 0]])[None, None]
    assert standard_deviation(board).item() == 127.5


def test_frequency_and_gradient_of_ramps() -> None:
    height, width = 7, 9
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    image = tensor(3 * y + 4 * x)
    assert spatial_frequency(image, 255).item() == pytest.approx(5, rel=1e-14)
    wanted = 5 / math.sqrt(2) * height * width / ((height - 1) * (width - 1))
    assert average_gradient(image, 255).item() == pytest.approx(wanted, rel=1e-14)


def test_gradient_is_numpys() -> None:
    image = np.random.default_rng(0).integers(0, 256, (13, 11)).astype(np.float64)
    down, across = np.gradient(image)
    wanted = np.sqrt((down**2 + across**2) / 2).sum() / (12 * 10)
    assert average_gradient(tensor(image), 255).item() == pytest.approx(wanted, rel=1e-13)


def test_scd_is_that_of_numpy() -> None:
    fused, infrared, visible = np.random.default_rng(1).integers(0, 256, (3, 8, 9)).astype(np.float64)
    wanted = sum(
        np.corrcoef((fused - other).ravel(), one.ravel())[0, 1]
        for one, other in ((infrared, visible), (visible, infrared))
    )
    found = sum_of_correlations_of_differences(tensor(fused), tensor(infrared), tensor(visible), 255)
    assert found.item() == pytest.approx(wanted, rel=1e-12)


def test_scd_without_clipping() -> None:
    """Differences keep their sign: a fused image of zeros is the opposite of both sources."""
    infrared, visible = np.random.default_rng(2).integers(0, 256, (2, 8, 9)).astype(np.float64)
    zeros = tensor(np.zeros((8, 9)))
    r = np.corrcoef(infrared.ravel(), visible.ravel())[0, 1]
    found = sum_of_correlations_of_differences(zeros, tensor(infrared), tensor(visible), 255)
    assert found.item() == pytest.approx(-2 * r, abs=1e-12)


def test_scores_are_quantised_first() -> None:
    image = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    levels = (255 * image.double()).round()
    for name, metric in FUSED_ALONE.items():
        assert metric(image).item() == metric(levels, data_range=255).item(), name
    assert entropy(torch.tensor([-3.0, 0.001, 0.0, 7.0, 1.0, 0.9999]).view(1, 1, 2, 3)).item() == 1


# Properties

UINT8 = hnp.arrays(np.uint8, st.tuples(st.integers(2, 9), st.integers(2, 9)))
TRIPLES = st.tuples(st.integers(2, 9), st.integers(2, 9)).flatmap(
    lambda size: st.tuples(*(hnp.arrays(np.uint8, size) for _ in range(3)))
)
relaxed = settings(deadline=None, max_examples=40)


def same(first: dict[str, list[float]], second: dict[str, list[float]]) -> None:
    assert first.keys() == second.keys() == METRICS.keys()
    for name, value in first.items():
        assert value == pytest.approx(second[name], rel=1e-11, abs=1e-11, nan_ok=True), name


@relaxed
@given(TRIPLES)
def test_flips_and_turns_change_nothing(images: tuple[np.ndarray, ...]) -> None:
    straight = scores(*map(tensor, images))
    same(straight, scores(*(tensor(image[::-1]) for image in images)))
    same(straight, scores(*(tensor(image[:, ::-1]) for image in images)))
    same(straight, scores(*(tensor(image.T) for image in images)))


@relaxed
@given(UINT8)
def test_negative_has_the_same_contrast(image: np.ndarray) -> None:
    for name, metric in FUSED_ALONE.items():
        found, wanted = metric(tensor(255 - image), 255).item(), metric(tensor(image), 255).item()
        assert found == pytest.approx(wanted, rel=1e-11, abs=1e-11), name


@relaxed
@given(TRIPLES)
def test_ranges(images: tuple[np.ndarray, ...]) -> None:
    found = {name: value[0] for name, value in scores(*map(tensor, images)).items()}
    count = images[0].size
    assert 0 <= found["EN"] <= min(8, math.log2(count)) + 1e-12
    assert 0 <= found["SD"] <= 127.5
    assert 0 <= found["SF"] <= 255 * math.sqrt(2) + 1e-9
    assert found["AG"] >= 0
    assert math.isnan(found["SCD"]) or -2 - 1e-12 <= found["SCD"] <= 2 + 1e-12


@relaxed
@given(st.integers(0, 255), st.integers(2, 40), st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_constant_image(level: int, height: int, width: int, seed: int) -> None:
    flat = np.full((height, width), level, np.uint8)
    for name, metric in FUSED_ALONE.items():
        assert metric(tensor(flat), 255).item() == 0, name
    other = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    for images in ((other, flat, other), (other, other, flat), (flat, flat, flat), (other, other, other)):
        assert math.isnan(scores(*map(tensor, images))["SCD"][0])


@relaxed
@given(TRIPLES)
def test_sources_are_equals(images: tuple[np.ndarray, ...]) -> None:
    fused, infrared, visible = map(tensor, images)
    same(scores(fused, infrared, visible), scores(fused, visible, infrared))


@relaxed
@given(st.integers(1, 4), st.integers(2, 9), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_batch_equals_one_by_one(count: int, height: int, width: int, seed: int) -> None:
    images = [tensor(x) for x in np.random.default_rng(seed).integers(0, 256, (3, count, height, width))]
    together = scores(*images)
    alone = [scores(*(x[i : i + 1] for x in images)) for i in range(count)]
    same(together, {name: [one[name][0] for one in alone] for name in together})


@relaxed
@given(TRIPLES)
def test_any_type_and_range_of_the_same_levels(images: tuple[np.ndarray, ...]) -> None:
    levels = [tensor(image) for image in images]
    wanted = scores(*levels)
    same(wanted, scores(*(x.float() for x in levels)))
    same(wanted, scores(*(x.float() / 255 for x in levels), data_range=1))
    same(wanted, scores(*(x.double() / 255 for x in levels), data_range=1))
    same(wanted, scores(*(x.int() * 257 for x in levels), data_range=65535))


@pytest.mark.parametrize("name", list(METRICS))
def test_one_value_per_image_in_float64(name: str) -> None:
    images = torch.rand(3, 3, 1, 6, 7, generator=torch.Generator().manual_seed(0))
    value = METRICS[name](images[0], images[1], images[2])
    assert value.shape == (3,)
    assert value.dtype == torch.float64
    kept = images.clone()
    METRICS[name](images[0], images[1], images[2])
    assert torch.equal(images, kept)


def test_one_pixel_and_one_line() -> None:
    pixel = torch.full((1, 1, 1, 1), 0.5)
    assert entropy(pixel).item() == standard_deviation(pixel).item() == 0
    assert sum_of_correlations_of_differences(pixel, pixel, pixel).isnan().all()
    line = torch.tensor([0.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 4)
    assert entropy(line).item() == pytest.approx(-0.25 * math.log2(0.25) - 0.75 * math.log2(0.75))


# Errors


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (1, 3, 4, 5), (1, 1, 0, 5), (0, 1, 4, 5), (1, 1, 1, 4, 5)])
def test_shapes_that_are_no_images(name: str, shape: tuple[int, ...]) -> None:
    image = torch.rand(shape)
    with pytest.raises(MetricError, match=r"expected images of shape \(N, 1, H, W\), found"):
        METRICS[name](image, image, image)


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("data_range", [0, -1.0, math.nan])
def test_ranges_that_are_none(name: str, data_range: float) -> None:
    image = torch.rand(1, 1, 4, 5)
    with pytest.raises(MetricError, match="data_range must be positive"):
        METRICS[name](image, image, image, data_range)


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers(name: str, value: float) -> None:
    image = torch.rand(1, 1, 4, 5)
    broken = image.clone()
    broken[..., 1, 2] = value
    with pytest.raises(MetricError, match="NaN or infinite"):
        METRICS[name](broken, image, image)


@pytest.mark.parametrize("metric", [spatial_frequency, average_gradient])
@pytest.mark.parametrize(("height", "width"), [(1, 5), (5, 1), (1, 1)])
def test_gradients_need_two_pixels(metric: Callable[..., Tensor], height: int, width: int) -> None:
    with pytest.raises(MetricError, match=f"at least 2x2 pixels, found {width}x{height}"):
        metric(torch.rand(1, 1, height, width))


def test_sizes_that_differ() -> None:
    fused, smaller = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 6, 5)
    with pytest.raises(MetricError, match="differ in shape"):
        sum_of_correlations_of_differences(fused, fused, smaller)
    with pytest.raises(MetricError, match="differ in shape"):
        score_images(fused, smaller, fused)


def test_whole_numbers_without_a_range_are_refused() -> None:
    image = torch.full((1, 1, 4, 4), 200, dtype=torch.uint8)
    with pytest.raises(MetricError, match="data_range=255"):
        entropy(image)
    assert entropy(image, data_range=255).item() == 0
