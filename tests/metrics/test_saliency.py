"""QS, QW, QE, QC and QY against published values, their definitions written out, known cases and invariances."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics.saliency import (
    cvejic_quality,
    piella_edge_quality,
    piella_quality,
    piella_weighted_quality,
    yang_quality,
)
from metric_pictures import (
    FormulaPair,
    Triple,
    check_batch,
    check_memory,
    formula_values,
    smooth,
    tensor,
    triple,
    unrounded,
)

METRICS: dict[str, Callable[..., Tensor]] = {
    "QS": piella_quality,
    "QW": piella_weighted_quality,
    "QE": piella_edge_quality,
    "QC": cvejic_quality,
    "QY": yang_quality,
}
SIZES = {"QS": 11, "QW": 11, "QE": 11, "QC": 7, "QY": 7}
every_metric = pytest.mark.parametrize("symbol", METRICS)


def with_flat_parts(height: int, width: int, seed: int) -> Triple:
    """Some windows are flat in one, two or all three pictures."""
    f, a, b = smooth(height, width, seed)
    f[..., : height // 2, : width // 2] = 200
    a[..., : height // 2, :] = 255
    b[..., :, : width // 2] = 37
    return f, a, b


# Published values


def test_published_code_run_in_octave(shared: Path, formula_pair: FormulaPair) -> None:
    values = [value for value in formula_values(shared, formula_pair) if value[0]["metric"] in METRICS]
    assert len(values) == 10
    for row, images in values:
        score = METRICS[row["metric"]](*images, 255)
        assert score.item() == pytest.approx(float(row["value"]), rel=1e-9), row


def test_picture(shared: Path) -> None:
    """Values of the fact sheet for pair 08 of TNO, fused by DenseFuse."""
    images = triple(shared, "densefuse", "08")
    wanted = {"QS": 0.8840690481, "QW": 0.859042006, "QE": 0.6904088564, "QC": 0.7992334188, "QY": 0.8421270606}
    assert {name: metric(*images, 255).item() for name, metric in METRICS.items()} == pytest.approx(wanted, rel=1e-9)


# Definitions, window by window


def windows(image: np.ndarray, size: int) -> np.ndarray:
    """Each window as a row, (windows, size^2)."""
    return sliding_window_view(image, (size, size)).reshape(-1, size * size)


def gaussian(size: int) -> np.ndarray:
    place = np.arange(size) - size // 2
    weights = np.exp(-(place[:, None] ** 2 + place**2) / 4.5)
    return (weights / weights.sum()).ravel()


def exact(x: float) -> float:
    return 0.0 if abs(x) < 1e-9 else x


def moments(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float, float]:
    weights = gaussian(int(len(x) ** 0.5))
    mx, my = weights @ x, weights @ y
    central = ((x - mx, x - mx), (y - my, y - my), (x - mx, y - my))
    return mx, my, *(exact(weights @ (first * second)) for first, second in central)


def similarity(x: np.ndarray, y: np.ndarray, c1: float, c2: float) -> float:
    mx, my, vx, vy, cov = moments(x, y)
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))


def piella(f: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    scores, weights = [], []
    for wf, wa, wb in zip(windows(f, 11), windows(a, 11), windows(b, 11), strict=True):
        _, _, va, vb, _ = moments(wa, wb)
        if va + vb == 0:
            va = vb = 0.5
        share = va / (va + vb)
        scores.append(share * similarity(wa, wf, 6.5025, 58.5225) + (1 - share) * similarity(wb, wf, 6.5025, 58.5225))
        weights.append(max(va, vb))
    return float(np.mean(scores)), float(np.average(scores, weights=weights))


def prewitt(x: np.ndarray) -> np.ndarray:
    cells = sliding_window_view(np.pad(x, 1), (3, 3))
    across = cells[..., 2].sum(-1) - cells[..., 0].sum(-1)
    down = cells[..., 2, :].sum(-1) - cells[..., 0, :].sum(-1)
    return np.hypot(across, down)


def cvejic(f: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    scores = []
    for wf, wa, wb in zip(windows(f, 7), windows(a, 7), windows(b, 7), strict=True):
        caf, cbf = moments(wa, wf)[4], moments(wb, wf)[4]
        share = 0.5 if caf == cbf == 0 else caf / (caf + cbf)
        mixed = share * similarity(wa, wf, 2e-16, 2e-16) + (1 - share) * similarity(wb, wf, 2e-16, 2e-16)
        scores.append(0.0 if share < 0 else 1.0 if share > 1 else mixed)
    return float(np.mean(scores))


def yang(f: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    scores = []
    for wf, wa, wb in zip(windows(f, 7), windows(a, 7), windows(b, 7), strict=True):
        _, _, va, vb, _ = moments(wa, wb)
        share = 0.5 if va == vb == 0 else va / (va + vb)
        to_a, to_b = similarity(wa, wf, 2e-16, 2e-16), similarity(wb, wf, 2e-16, 2e-16)
        alike = similarity(wa, wb, 2e-16, 2e-16) >= 0.75
        scores.append(share * to_a + (1 - share) * to_b if alike else max(to_a, to_b))
    return float(np.mean(scores))


@pytest.mark.parametrize("make", [smooth, with_flat_parts])
def test_definitions(make: Callable[[int, int, int], Triple]) -> None:
    images = make(26, 30, 5)
    f, a, b = (image.numpy()[0, 0] for image in images)
    quality, weighted = piella(f, a, b)
    wanted = {
        "QS": quality,
        "QW": weighted,
        "QE": weighted * piella(prewitt(f), prewitt(a), prewitt(b))[1],
        "QC": cvejic(f, a, b),
        "QY": yang(f, a, b),
    }
    assert {name: metric(*images, 255).item() for name, metric in METRICS.items()} == pytest.approx(wanted, rel=1e-9)


# Known cases


@every_metric
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_same_images_score_one(symbol: str, seed: int) -> None:
    image = smooth(16, 19, seed)[0]
    assert METRICS[symbol](image, image, image, 255).item() == pytest.approx(1, abs=1e-9)


@every_metric
def test_constant_images(symbol: str) -> None:
    """Always defined: flat windows count, at a half for each source."""
    metric, flat = METRICS[symbol], torch.full((1, 1, 20, 20), 100.0)
    assert metric(flat, flat, flat, 255).item() == pytest.approx(1, abs=1e-9)
    for images in (smooth(20, 20, 3), with_flat_parts(20, 20, 3)):
        for place in range(3):
            score = metric(*(flat if place == i else image for i, image in enumerate(images)), 255).item()
            assert -1 <= score <= 1, place


def test_windows_that_are_flat_in_both_sources() -> None:
    f, a, b = (torch.full((1, 1, 11, 11), level, dtype=torch.float64) for level in (150, 100, 200))
    luminance = [(2 * 150 * x + 6.5025) / (150**2 + x**2 + 6.5025) for x in (100, 200)]
    assert piella_quality(f, a, b, 255).item() == pytest.approx(sum(luminance) / 2, rel=1e-12)
    luminance = [2 * 150 * x / (150**2 + x**2) for x in (100, 200)]
    assert cvejic_quality(f, a, b, 255).item() == pytest.approx(sum(luminance) / 2, rel=1e-12)
    # 100 and 200 are alike by 0.8: the mean; 100 and 250 are not: the better one.
    assert yang_quality(f, a, b, 255).item() == pytest.approx(sum(luminance) / 2, rel=1e-12)
    assert yang_quality(f, a, b + 50, 255).item() == pytest.approx(2 * 150 * 100 / (150**2 + 100**2), rel=1e-12)


def test_opposed_covariances() -> None:
    """f follows one source, and the other runs against it less or more: QC is 1 or 0, or the other way round."""
    random = np.random.default_rng(0)
    f = tensor(random.integers(100, 140, (7, 7)).astype(np.float64))
    against = 240 - f
    for weak, strong in ((against, 2 * f - 100), (f, 2 * against - 100)):
        assert cvejic_quality(f, strong, weak, 255).item() == 1
        assert cvejic_quality(f, weak, strong, 255).item() == 0


@every_metric
def test_too_small(symbol: str) -> None:
    size = SIZES[symbol]
    images = [image[..., :size] for image in smooth(size, 20, 0)]
    assert METRICS[symbol](*images, 255).isfinite().all()
    with pytest.raises(MetricError, match=f"{symbol} needs at least {size}x{size} pixels, found {size - 1}x{size}"):
        METRICS[symbol](*(image[..., 1:] for image in images), 255)


# Invariances


@every_metric
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_of_sources_and_mirror_images(symbol: str, seed: int) -> None:
    f, a, b = smooth(18, 21, seed)
    score = METRICS[symbol](f, a, b, 255).item()
    if symbol != "QC":
        assert METRICS[symbol](f, b, a, 255).item() == pytest.approx(score, rel=1e-9)
    for axis in (2, 3):
        assert METRICS[symbol](f.flip(axis), a.flip(axis), b.flip(axis), 255).item() == pytest.approx(score, rel=1e-9)


@every_metric
def test_batch_is_one_by_one(symbol: str) -> None:
    check_batch(METRICS[symbol], [smooth(20, 23, seed) for seed in range(3)])


@every_metric
def test_pictures_remember_nothing_wrong(symbol: str) -> None:
    check_memory(METRICS[symbol], smooth(20, 23, 4), smooth(20, 23, 5))


@every_metric
@pytest.mark.parametrize("make", [smooth, with_flat_parts])
def test_path_of_gradients_gives_the_same(symbol: str, make: Callable[[int, int, int], Triple]) -> None:
    """OpenCV filters where no gradient is asked for, matrix products where one is."""
    f, a, b = make(24, 28, 6)
    score = METRICS[symbol](f.requires_grad_(), a, b, 255)
    score.sum().backward()
    assert f.grad is not None
    assert f.grad.isfinite().all()
    assert score.item() == pytest.approx(METRICS[symbol](f.detach(), a, b, 255).item(), rel=1e-11)


@every_metric
def test_gradients(symbol: str) -> None:
    images = [image.double().requires_grad_() for image in smooth(12, 13, 8)]
    torch.autograd.gradcheck(
        lambda *levels_of: METRICS[symbol](*map(unrounded, levels_of)), images, rtol=1e-4, atol=1e-9, fast_mode=True
    )
