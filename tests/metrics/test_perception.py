"""QCB and QCV against published values, their definitions written out, known cases and invariances."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from imfuse.metrics._pictures import Picture
from imfuse.metrics.perception import chen_blum_quality, chen_varshney_error
from metric_pictures import FormulaPair, check_batch, check_memory, formula_values, smooth, triple

METRICS: dict[str, Callable[..., Tensor]] = {"QCB": chen_blum_quality, "QCV": chen_varshney_error}
every_metric = pytest.mark.parametrize("symbol", METRICS)


# Published values


def test_published_code_run_in_octave(shared: Path, formula_pair: FormulaPair) -> None:
    """Of the survey's toolbox and of VIFB: the same values."""
    values = [value for value in formula_values(shared, formula_pair) if value[0]["metric"].upper() in METRICS]
    assert sorted(row["convention"] for row, _ in values) == 4 * ["vifb"] + 4 * ["zliu"]
    for row, images in values:
        score = METRICS[row["metric"].upper()](*images, 255)
        assert score.item() == pytest.approx(float(row["value"]), rel=1e-9), row


def test_picture(shared: Path) -> None:
    """Values of the fact sheet for pair 08 of TNO, fused by DenseFuse."""
    images = triple(shared, "densefuse", "08")
    assert chen_blum_quality(*images, 255).item() == pytest.approx(0.681615784, rel=1e-9)
    assert chen_varshney_error(*images, 255).item() == pytest.approx(321.2242313, rel=1e-9)


# Definitions, pixel by pixel and block by block


def stretch(image: np.ndarray) -> np.ndarray:
    return np.floor(255 * (image - image.min()) / (image.max() - image.min()) + 0.5)


def filtered(image: np.ndarray, response: Callable[[float], float], divisor: float) -> np.ndarray:
    """By the discrete Fourier transform, written as two matrix products."""
    height, width = image.shape
    waves = [np.exp(-2j * math.pi * np.outer(np.arange(n), np.arange(n)) / n) for n in (height, width)]
    cycles = [np.where(np.arange(n) > (n - 1) // 2, np.arange(n) - n, np.arange(n)) for n in (height, width)]
    radius = np.hypot(cycles[0][:, None], cycles[1]) / divisor
    spectrum = waves[0] @ image @ waves[1] * np.vectorize(response)(radius)
    return (waves[0].conj() @ spectrum @ waves[1].conj()).real / image.size


def chen_blum(f: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    def contrast(image: np.ndarray) -> np.ndarray:
        def response(r: float) -> float:
            return math.exp(-((r / 15.3870) ** 2)) - 0.7622 * math.exp(-((r / 1.3456) ** 2))

        seen = np.pad(filtered(stretch(image), response, 15), 15)
        place = np.arange(-15, 16)
        windows = np.lib.stride_tricks.sliding_window_view(seen, (31, 31))
        blurred = []
        for sigma in (2, 4):
            weights = np.exp(-(place[:, None] ** 2 + place**2) / (2 * sigma**2)) / (2 * math.pi * sigma**2)
            blurred.append(np.einsum("ijkl,kl->ij", windows, weights))
        local = np.abs(blurred[0] / blurred[1] - 1)
        return local**3 / (local**2 + 1e-4)

    cf, ca, cb = contrast(f), contrast(a), contrast(b)
    share = ca**2 / (ca**2 + cb**2)
    kept = [np.where(source < cf, source / cf, cf / source) for source in (ca, cb)]
    return float((share * kept[0] + (1 - share) * kept[1]).mean())


def chen_varshney(f: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    def response(r: float) -> float:
        return 2.6 * (0.0192 + 0.144 * r) * math.exp(-((0.144 * r) ** 1.1))

    f, a, b = stretch(f), stretch(a), stretch(b)
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    error = total = 0.0
    for source in (a, b):
        cells = np.lib.stride_tricks.sliding_window_view(np.pad(source, 1), (3, 3))
        edges = np.hypot(np.einsum("ijkl,kl->ij", cells, kernel), np.einsum("ijkl,lk->ij", cells, kernel))
        square = filtered(source - f, response, 4) ** 2
        for top in range(0, f.shape[0], 16):
            for left in range(0, f.shape[1], 16):
                block = slice(top, top + 16), slice(left, left + 16)
                weight = (edges[block] ** 5).sum()
                error += weight * square[block].sum() / 256
                total += weight
    return error / total


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (20, 31), (1, 9)])
def test_definitions(size: tuple[int, int]) -> None:
    images = smooth(*size, seed=7)
    f, a, b = (image.numpy()[0, 0] for image in images)
    assert chen_blum_quality(*images, 255).item() == pytest.approx(chen_blum(f, a, b), rel=1e-8)
    assert chen_varshney_error(*images, 255).item() == pytest.approx(chen_varshney(f, a, b), rel=1e-9)


# Known cases


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_same_images(seed: int) -> None:
    image = smooth(20, 23, seed)[0]
    assert chen_blum_quality(image, image, image, 255).item() == pytest.approx(1, abs=1e-12)
    assert chen_varshney_error(image, image, image, 255).item() == 0


def test_one_source_kept() -> None:
    f, a, _ = smooth(32, 32, 0)
    for score, better in ((chen_blum_quality, 1), (chen_varshney_error, -1)):
        kept, mixed = score(a, a, f, 255).item(), score(f, a, f.flip(3), 255).item()
        assert better * kept > better * mixed


@every_metric
def test_constant_images_are_undefined(symbol: str) -> None:
    images = smooth(18, 20, 1)
    flat = torch.full((1, 1, 18, 20), 77.0)
    for place in range(3):
        parts = [flat if place == i else image for i, image in enumerate(images)]
        assert math.isnan(METRICS[symbol](*parts, 255).item())
    # One image of a batch does not spoil the others.
    batch = [torch.cat([image, image]) for image in images]
    batch[0][1] = 50
    assert METRICS[symbol](*batch, 255).isnan().tolist() == [False, True]


def test_black_images() -> None:
    f, a, b = smooth(18, 20, 1)
    black = torch.zeros_like(f)
    assert math.isnan(chen_blum_quality(black, a, b, 255).item())
    assert chen_varshney_error(black, a, b, 255).item() > chen_varshney_error(f, a, b, 255).item()
    # A black source has no edges, and no weight.
    assert chen_varshney_error(f, a, black, 255).item() == chen_varshney_error(f, a, a, 255).item()
    assert math.isnan(chen_varshney_error(f, black, black, 255).item())


# Invariances


@every_metric
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_of_sources_gain_and_offset(symbol: str, seed: int) -> None:
    f, a, b = (image // 4 for image in smooth(32, 48, seed))
    score = METRICS[symbol](f, a, b, 255).item()
    assert METRICS[symbol](f, b, a, 255).item() == pytest.approx(score, rel=1e-9)
    assert METRICS[symbol](2 * f + 9, 4 * a, b + 100, 255).item() == score
    turned = [image.transpose(2, 3) for image in (f, a, b)]
    assert METRICS[symbol](*turned, 255).item() == pytest.approx(score, rel=1e-8)
    for axis in (2, 3):
        assert METRICS[symbol](f.flip(axis), a.flip(axis), b.flip(axis), 255).item() == pytest.approx(score, rel=1e-8)


@every_metric
def test_batch_is_one_by_one(symbol: str) -> None:
    check_batch(METRICS[symbol], [smooth(20, 23, seed) for seed in range(3)], rel=1e-9)


@every_metric
def test_pictures_remember_nothing_wrong(symbol: str) -> None:
    check_memory(METRICS[symbol], smooth(20, 23, 4), smooth(20, 23, 5))


@every_metric
def test_path_of_gradients_gives_the_same(symbol: str) -> None:
    f, a, b = smooth(24, 28, 6)
    score = METRICS[symbol](f.requires_grad_(), a, b, 255)
    score.sum().backward()
    assert f.grad is not None
    assert f.grad.isfinite().all()
    assert f.grad.abs().max() > 0
    assert score.item() == pytest.approx(METRICS[symbol](f.detach(), a, b, 255).item(), rel=1e-9)


@every_metric
def test_gradients(symbol: str) -> None:
    """Of the stretched levels before they are rounded."""
    images = [image.double().requires_grad_() for image in smooth(17, 18, 8)]

    def score(*each: Tensor) -> Tensor:
        parts = [Picture(image.detach(), 255) for image in each]
        for picture, image in zip(parts, each, strict=True):
            stretched = picture.once("stretched for the eye", lambda picture=picture: Picture(picture.levels, 255))
            stretched.levels = image
        return METRICS[symbol](*parts)

    torch.autograd.gradcheck(score, images, rtol=1e-4, atol=1e-9, fast_mode=True)
