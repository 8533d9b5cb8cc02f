"""Deviations, errors and correlations: published values, NumPy's, cases known exactly, invariances, gradients."""

from __future__ import annotations

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

from imfuse.metrics import Picture, accidents
from imfuse.metrics.statistics import (
    correlation_coefficient,
    mean_squared_error,
    peak_signal_to_noise_ratio,
    root_mean_squared_error,
    standard_deviation,
    sum_of_correlations_of_differences,
    variance,
)
from metric_pictures import (
    FormulaPair,
    check_batches,
    check_formula_values,
    check_octave_values,
    picture,
    pictures,
    rows,
    unrounded,
)

Score = Callable[[Picture, Picture, Picture], Tensor]

SCORES: dict[str, Score] = {
    "SD": lambda f, a, b: standard_deviation(f),
    "SD saturated": lambda f, a, b: accidents.saturated_standard_deviation(f),
    "SD summed": lambda f, a, b: accidents.standard_deviation_of_sum(f),
    "VAR": lambda f, a, b: variance(f),
    "MSE": mean_squared_error,
    "MSE unit": lambda f, a, b: mean_squared_error(f, a, b, white=1.0),
    "RMSE": root_mean_squared_error,
    "RMSE summed": accidents.root_mean_squared_error_of_sum,
    "PSNR": peak_signal_to_noise_ratio,
    "PSNR fused": accidents.peak_signal_to_noise_ratio_of_fused_peak,
    "PSNR unit": accidents.peak_signal_to_noise_ratio_of_unit_range,
    "PSNR per source": lambda f, a, b: peak_signal_to_noise_ratio(f, a, b, per_source=True),
    "PSNR summed": accidents.peak_signal_to_noise_ratio_of_rmse,
    "CC": correlation_coefficient,
    "SCD": sum_of_correlations_of_differences,
}
WITHOUT_GRADIENT = {"SD saturated"}
TANG2022 = {"SD": "SD saturated", "MSE": "MSE unit", "PSNR": "PSNR unit", "CC": "CC", "SCD": "SCD"}
OCTAVE = TANG2022 | {"SD": "SD", "SD_vifb": "SD", "RMSE_vifb": "RMSE summed"}
OTHERS = {
    "cddfuse": {"SD": "SD", "MSE": "MSE", "CC": "CC", "PSNR": "PSNR fused", "SCD": "SCD"},
    "refinefuse": {"SCD": "SCD"},
    "tang2023": {"SD": "SD", "MSE": "MSE unit", "PSNR": "PSNR unit", "CC": "CC", "SCD": "SCD"},
    "vifb": {"SD": "SD", "RMSE": "RMSE summed", "PSNR": "PSNR summed"},
    "hli": {"SD": "SD summed", "SCD": "SCD"},
}
PLACES = (("densefuse", "08"), ("seafusion", "08"), ("u2fusion", "08"), ("densefuse", "10"))
PLAIN = {
    "SD": (33.1371360456, 45.5029602706, 32.7976635369, 35.3177834503),
    "VAR": (1098.06978531, 2070.51939339, 1075.68673348, 1247.34582784),
    "MSE": (339.016281128, 706.422348022, 450.328353882, 3857.04635742),
    "PSNR": (22.8285980534, 19.6401593096, 21.595510687, 12.2682550223),
    "PSNR per source": (22.8297205879, 19.7701070068, 21.6768272645, 13.0365890376),
    "RMSE": (18.411205107, 26.3820065062, 21.1223019884, 59.5343390929),
    "CC": (0.879461894738, 0.864259751679, 0.843842209448, 0.536628497669),
    "SCD": (1.13196263908, 1.71105585493, 0.8475819459, 1.81156473626),
}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, *shape)).astype(np.float64)


def scores(*images: np.ndarray) -> dict[str, float]:
    triple = [picture(image) for image in images]
    return {name: score(*triple).item() for name, score in SCORES.items()}


# Published values


@pytest.mark.parametrize("image", ["03", "08", "11", "17", "25", "36"])
def test_published_table(shared: Path, image: str) -> None:
    table = [row for row in rows(shared, "tang2022_tno.csv") if row["image"] == image]
    for method in ("densefuse", "seafusion", "u2fusion"):
        images = pictures(shared, method, image)
        wanted = {row["metric"]: float(row["value"]) for row in table if row["method"] == method}
        for symbol, name in TANG2022.items():
            assert SCORES[name](*images).item() == pytest.approx(wanted[symbol], rel=1e-12), (method, symbol)


def test_published_code_run_in_octave(shared: Path) -> None:
    check_octave_values(shared, SCORES, OCTAVE)


def test_other_conventions(shared: Path, formula_pair: FormulaPair) -> None:
    check_formula_values(shared, formula_pair, SCORES, OTHERS)


@pytest.mark.parametrize("column", range(4))
def test_recommended_values(shared: Path, column: int) -> None:
    images = pictures(shared, *PLACES[column])
    for name, values in PLAIN.items():
        assert SCORES[name](*images).item() == pytest.approx(values[column], rel=5e-12), name


# What the formulas say, computed plainly


def test_numpys_moments() -> None:
    f, a, b = images = noise(8, 9)
    found = scores(*images)
    squares = [((source - f) ** 2).mean() for source in (a, b)]
    wanted = {
        "SD": f.std(),
        "VAR": f.var(),
        "SD summed": np.sqrt(((f - f.mean()) ** 2).sum()) / 255,
        "MSE": np.mean(squares),
        "MSE unit": np.mean(squares) / 255**2,
        "RMSE": np.mean(np.sqrt(squares)),
        "RMSE summed": np.mean(np.sqrt(squares)) / math.sqrt(72),
        "PSNR": 10 * math.log10(255**2 / np.mean(squares)),
        "PSNR fused": 10 * math.log10(f.max() ** 2 / np.mean(squares)),
        "PSNR unit": 10 * math.log10(255**2 / np.mean(squares)) + 20 * math.log10(255),
        "PSNR per source": np.mean([10 * math.log10(255**2 / square) for square in squares]),
        "PSNR summed": 20 * math.log10(255 / math.sqrt(np.mean(np.sqrt(squares)) / math.sqrt(72))),
        "CC": np.mean([np.corrcoef(source.ravel(), f.ravel())[0, 1] for source in (a, b)]),
        "SCD": sum(np.corrcoef((f - x).ravel(), y.ravel())[0, 1] for x, y in ((a, b), (b, a))),
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-12), name


def test_deviation_that_saturates() -> None:
    image = np.array([[10.0, 20], [30, 61]])  # mean 30.25: differences 0, 0, 0 and 31, whose square is cut to 255
    assert scores(image, image, image)["SD saturated"] == pytest.approx(math.sqrt(255 / 4), rel=1e-15)
    image = np.array([[0.0, 2], [1, 2]])  # mean 1.25: 0.75 is rounded to 1
    assert scores(image, image, image)["SD saturated"] == pytest.approx(math.sqrt(2 / 4), rel=1e-15)
    image = np.array([[0.0, 1]])  # mean 0.5: halves are rounded up
    assert scores(image, image, image)["SD saturated"] == pytest.approx(math.sqrt(1 / 2), rel=1e-15)


def test_known_deviations() -> None:
    board = np.array([[0.0, 255], [255, 0]])
    found = scores(board, board, 255 - board)
    assert found["SD"] == 127.5
    assert found["VAR"] == 127.5**2
    assert found["MSE"] == 65025 / 2
    assert found["RMSE"] == 127.5
    assert found["CC"] == 0
    assert found["PSNR"] == pytest.approx(10 * math.log10(2), rel=1e-15)


def test_differences_keep_their_sign() -> None:
    """A fused image of zeros is the opposite of both sources."""
    _, infrared, visible = noise(8, 9)
    r = np.corrcoef(infrared.ravel(), visible.ravel())[0, 1]
    assert scores(np.zeros((8, 9)), infrared, visible)["SCD"] == pytest.approx(-2 * r, abs=1e-13)


def test_one_pixel_of_a_million() -> None:
    """The smallest variances there are, at the far end of the levels, are as exact as any."""
    images = np.full((3, 1000, 1000), 250.0)
    images[0, 3, 4] = images[1, 3, 4] = 251
    images[2, 5, 6] = 252
    found = scores(*images)
    share = 1e-6
    assert found["VAR"] == pytest.approx(share * (1 - share), rel=1e-14)
    assert found["MSE"] == pytest.approx((0 + share + 4 * share) / 2, rel=1e-14)
    assert found["CC"] == pytest.approx((1 - share / (1 - share)) / 2, rel=1e-9)


# Constants and images that are the same


@pytest.mark.parametrize("level", [0, 100, 255])
def test_constant_images(level: int) -> None:
    flat, (_, a, b) = np.full((9, 7), float(level)), noise(9, 7)
    found = scores(flat, a, b)
    assert found["SD"] == found["SD saturated"] == found["SD summed"] == found["VAR"] == 0
    assert math.isnan(found["CC"])
    assert found["SCD"] == pytest.approx(-2 * np.corrcoef(a.ravel(), b.ravel())[0, 1], rel=1e-12)
    for images in ((a, flat, b), (a, b, flat), (flat, flat, flat)):
        assert math.isnan(scores(*images)["CC"])
        assert math.isnan(scores(*images)["SCD"])


def test_images_that_are_the_same() -> None:
    _, a, b = noise(9, 7)
    found = scores(a, a, a)
    assert found["MSE"] == found["RMSE"] == 0
    assert found["PSNR"] == found["PSNR per source"] == math.inf
    assert found["CC"] == 1
    assert math.isnan(found["SCD"])
    found = scores(a, a, b)
    assert math.isnan(found["SCD"])
    assert math.isfinite(found["PSNR"])
    assert found["PSNR per source"] == math.inf
    assert found["CC"] == pytest.approx((1 + np.corrcoef(a.ravel(), b.ravel())[0, 1]) / 2, rel=1e-12)


@pytest.mark.parametrize("source", [[[0.0, 1]], [[7.0, 9, 4]], [[1.0, 2], [2, 3]]])
def test_difference_that_is_constant(source: list[list[float]]) -> None:
    """Means that end in a half are rounded to even: to 0 for 0.5, to 2 for 1.5."""
    visible = np.array(source)
    assert math.isnan(scores(visible + 1, visible[::-1, ::-1] * 3, visible)["SCD"])


def test_peak_of_black_images() -> None:
    black, (_, a, b) = np.zeros((4, 5)), noise(4, 5)
    assert scores(black, a, b)["PSNR fused"] == -math.inf
    assert math.isnan(scores(black, black, black)["PSNR fused"])


# Properties

TRIPLES = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: hnp.arrays(np.uint8, (3, *size)).map(lambda images: images.astype(np.float64))
)
relaxed = settings(deadline=None, max_examples=40)


def same(first: dict[str, float], second: dict[str, float], *names: str) -> None:
    for name in names or first:
        assert first[name] == pytest.approx(second[name], rel=1e-11, abs=1e-12, nan_ok=True), name


@relaxed
@given(TRIPLES)
def test_sources_are_equals_and_pixels_have_no_place(images: np.ndarray) -> None:
    straight, (f, a, b) = scores(*images), images
    same(straight, scores(f, b, a))
    mixed = np.random.default_rng(0).permutation(images[0].size)
    same(straight, scores(*images.reshape(3, 1, -1)[..., mixed]))


@relaxed
@given(TRIPLES)
def test_ranges(images: np.ndarray) -> None:
    found = scores(*images)
    assert 0 <= found["SD"] <= 127.5
    assert 0 <= found["SD saturated"] <= math.sqrt(255)
    assert 0 <= found["MSE"] <= 65025
    assert found["RMSE"] ** 2 <= found["MSE"] + 1e-9
    assert found["PSNR"] >= -1e-12
    assert found["PSNR per source"] >= found["PSNR"] - 1e-12 or math.isnan(found["PSNR per source"])
    assert math.isnan(found["CC"]) or abs(found["CC"]) <= 1 + 1e-12
    assert math.isnan(found["SCD"]) or abs(found["SCD"]) <= 2 + 1e-12


@relaxed
@given(TRIPLES, st.integers(0, 100), st.sampled_from([1, 2]))
def test_gain_and_offset(images: np.ndarray, offset: int, gain: int) -> None:
    f, a, b = images // 5
    straight = scores(f, a, b)
    same(straight, scores(f + offset, a, b), "SD", "VAR", "CC", "SCD")
    scaled = scores(gain * f + offset, a, b)
    same(straight, scaled, "CC")
    assert scaled["SD"] == pytest.approx(gain * straight["SD"], rel=1e-12)
    same(straight, scores(f + offset, a + offset, b + offset), "MSE", "RMSE", "PSNR", "CC", "SCD")


@relaxed
@given(st.integers(2, 4), st.integers(1, 9), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_batch_is_one_by_one(count: int, height: int, width: int, seed: int) -> None:
    check_batches(SCORES, noise(count, height, width, seed=seed))


def test_a_source_serves_many_fused_images() -> None:
    a, b, f, g = noise(12, 11)[0], noise(12, 11)[1], noise(12, 11)[2], noise(12, 11, seed=1)[0]
    sources = picture(a), picture(b)
    for fused in (f, g, f):
        fresh, own = scores(fused, a, b), picture(fused)
        assert {name: score(own, *sources).item() for name, score in SCORES.items()} == fresh


# Gradients


@pytest.mark.parametrize("name", sorted(SCORES.keys() - WITHOUT_GRADIENT))
def test_gradients(name: str) -> None:
    levels = [torch.from_numpy(image).reshape(1, 1, 4, 5) + 0.3 for image in noise(4, 5) * 0.9]
    levels = [level.requires_grad_() for level in levels]
    assert torch.autograd.gradcheck(lambda *images: SCORES[name](*map(unrounded, images)), levels, atol=1e-6)


def test_gradient_passes_the_rounding() -> None:
    image = torch.rand(1, 1, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    standard_deviation(image).sum().backward()
    levels = (255 * image.detach()).round()
    wanted = 255 * (levels - levels.mean()) / (30 * levels.std(correction=0))
    torch.testing.assert_close(image.grad, wanted)


def test_gradient_of_a_constant_is_zero() -> None:
    flat = torch.full((1, 1, 4, 5), 0.4, dtype=torch.float64, requires_grad=True)
    (standard_deviation(flat) + root_mean_squared_error(flat, flat.detach(), flat.detach())).sum().backward()
    assert torch.equal(flat.grad, torch.zeros_like(flat))
