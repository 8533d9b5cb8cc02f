"""QM and QSF against published values, known cases and invariances."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics.detail import spatial_frequency_error, wavelet_edge_quality
from metric_pictures import FormulaPair, check_batch, check_memory, formula_values, noise, triple, unrounded

METRICS: dict[str, Callable[..., Tensor]] = {"QM": wavelet_edge_quality, "QSF": spatial_frequency_error}
every_metric = pytest.mark.parametrize("symbol", METRICS)


# Published values


def test_published_code_run_in_octave(shared: Path, formula_pair: FormulaPair) -> None:
    values = [value for value in formula_values(shared, formula_pair) if value[0]["metric"] in METRICS]
    assert len(values) == 4
    for row, images in values:
        score = METRICS[row["metric"]](*images, 255)
        assert score.item() == pytest.approx(float(row["value"]), rel=1e-9), row


def test_picture(shared: Path) -> None:
    """Values of the fact sheet for pair 08 of TNO, fused by DenseFuse."""
    images = triple(shared, "densefuse", "08")
    assert wavelet_edge_quality(*images, 255).item() == pytest.approx(0.3412603856, rel=1e-9)
    assert spatial_frequency_error(*images, 255).item() == pytest.approx(-0.2771620025, rel=1e-9)


# Known cases


def test_wavelet_edges_by_hand() -> None:
    """One step in each source, on both levels of a 4x4 image."""
    a, b, f = (torch.zeros(1, 1, 4, 4, dtype=torch.float64) for _ in range(3))
    a[..., 0, :] = 4  # On the finest level h = 4 in both upper blocks, on the coarse one h = 4.
    b[..., 0] = 2  # v = 2 in both left blocks; v = 2.
    f[..., 0, :] = 3  # h = 3 in both upper blocks; h = 3.
    kept_a, upper_b, lower_b = math.exp(-1) + 2, math.exp(-3) + math.exp(-2) + 1, math.exp(-2) + 2
    finest = (2 * 16 * kept_a + 4 * (upper_b + lower_b)) / (2 * 16 + 2 * 4)
    coarse = (16 * kept_a + 4 * upper_b) / (16 + 4)
    quality = finest ** (2 / 3) * coarse ** (1 / 3)
    assert wavelet_edge_quality(f, a, b, 255).item() == pytest.approx(quality, rel=1e-14)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), height=st.integers(4, 13), width=st.integers(4, 13))
def test_same_images_keep_all(seed: int, height: int, width: int) -> None:
    image = noise(height, width, seed=seed)
    assert wavelet_edge_quality(image, image, image, 255).item() == pytest.approx(3, abs=1e-12)
    assert spatial_frequency_error(image, image, image, 255).item() == 0


def test_odd_rows_and_columns_are_left_out_of_wavelets() -> None:
    f, a, b = noise(3, 13, 11)
    whole = [image[None] for image in (f, a, b)]
    # 13 rows become 6, then 3, of which the last is left out: 12 rows count on the finest level, 8 on the coarse one.
    changed = whole[0].clone()
    changed[..., 12, :] = 0
    changed[..., 10:] = 0
    assert wavelet_edge_quality(changed, *whole[1:], 255).item() == wavelet_edge_quality(*whole, 255).item()


def test_frequency_error_by_hand() -> None:
    """A 2x2 image has two differences down, two across and one along each diagonal."""
    a, b = torch.tensor([[[[0.0, 3], [5, 1]]], [[[7.0, 2], [2, 2]]]]).double().split(1)
    f = torch.tensor([[[[4.0, 4], [0, 8]]]]).double()
    wanted = (max(5, 5) ** 2 + max(2, 0) ** 2) + (max(3, 5) ** 2 + max(4, 0) ** 2)
    wanted += math.sqrt(0.5) * (max(1, 5) ** 2 + max(2, 0) ** 2)
    found = (4**2 + 4**2) + (0 + 8**2) + math.sqrt(0.5) * (4**2 + 4**2)
    assert spatial_frequency_error(f, a, b, 255).item() == pytest.approx(math.sqrt(found / wanted) - 1, rel=1e-14)


def test_frequency_error_counts_lost_and_added_detail() -> None:
    image = noise(9, 12) // 4
    assert spatial_frequency_error(torch.zeros_like(image), image, image, 255).item() == -1
    assert spatial_frequency_error(3 * image, image, image, 255).item() == pytest.approx(2, rel=1e-12)
    # The sign of a difference does not matter, nor does a constant source.
    assert spatial_frequency_error(image, 200 - image, image, 255).item() == 0
    assert spatial_frequency_error(image, torch.full_like(image, 50), image, 255).item() == 0


@every_metric
def test_flat_sources_are_undefined(symbol: str) -> None:
    flat, image = torch.full((1, 1, 8, 8), 90.0), noise(8, 8)
    assert math.isnan(METRICS[symbol](image, flat, flat + 9, 255).item())
    assert math.isfinite(METRICS[symbol](image, flat, image, 255).item())
    assert math.isfinite(METRICS[symbol](flat, image, image, 255).item())


@pytest.mark.parametrize(("symbol", "size"), [("QM", 4), ("QSF", 2)])
def test_too_small(symbol: str, size: int) -> None:
    image = noise(size, size)
    assert METRICS[symbol](image, image, image, 255).isfinite().all()
    with pytest.raises(MetricError, match=f"{symbol} needs at least {size}x{size}"):
        METRICS[symbol](image[..., 1:], image[..., 1:], image[..., 1:], 255)


# Invariances


@every_metric
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_of_sources_mirror_images_and_offsets(symbol: str, seed: int) -> None:
    f, a, b = (image[None] for image in noise(3, 12, 16, seed=seed) // 2)
    score = METRICS[symbol](f, a, b, 255).item()
    assert METRICS[symbol](f, b, a, 255).item() == pytest.approx(score, rel=1e-12)
    for axis in (2, 3):
        assert METRICS[symbol](f.flip(axis), a.flip(axis), b.flip(axis), 255).item() == pytest.approx(score, rel=1e-9)
    turned = [image.transpose(2, 3) for image in (f, a, b)]
    assert METRICS[symbol](*turned, 255).item() == pytest.approx(score, rel=1e-9)
    assert METRICS[symbol](f + 20, a + 10, b + 5, 255).item() == pytest.approx(score, rel=1e-12)


@every_metric
def test_batch_is_one_by_one(symbol: str) -> None:
    f, a, b = noise(3, 11, 14), noise(3, 11, 14, seed=1), noise(3, 11, 14, seed=2)
    check_batch(METRICS[symbol], list(zip(f.split(1), a.split(1), b.split(1), strict=True)))


@every_metric
def test_pictures_remember_nothing_wrong(symbol: str) -> None:
    f, a, b, *others = (noise(12, 13, seed=seed) for seed in range(6))
    check_memory(METRICS[symbol], (f, a, b), others)


@every_metric
def test_gradients(symbol: str) -> None:
    # Differences of few levels: those of noise are so large that no slope of QM is left.
    random = torch.Generator().manual_seed(0)
    images = [5 * torch.rand(1, 1, 8, 9, dtype=torch.float64, generator=random) for _ in range(3)]
    images = [image.requires_grad_() for image in images]
    torch.autograd.gradcheck(lambda *each: METRICS[symbol](*map(unrounded, each)), images, rtol=1e-4, atol=1e-9)
