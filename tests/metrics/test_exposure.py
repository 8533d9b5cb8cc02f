"""MEF-SSIM against published values, its definition window by window, known cases and invariances."""

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
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics._pictures import Picture
from imfuse.metrics.exposure import mef_structural_similarity as mef
from imfuse.metrics.exposure import multi_scale_mef_structural_similarity as ms_mef
from metric_pictures import check_batch, noise, smooth, triple, unrounded

METRICS = [mef, ms_mef]


# Published values


@pytest.mark.parametrize(("metric", "name"), [(mef, "MEF_SSIM"), (ms_mef, "MS_MEF_SSIM")])
def test_published_code_run_in_octave(shared: Path, metric: Callable[..., Tensor], name: str) -> None:
    with (shared / "truth" / "octave_tno.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == name]
    assert len(rows) == 25
    for row in rows:
        found = metric(*triple(shared, row["method"], row["image"], row["crop"]), 255).item()
        assert found == pytest.approx(float(row["value"]), rel=1e-9), row


def test_formula_images(shared: Path, formula_pair: Callable[[int, int], tuple[Tensor, Tensor]]) -> None:
    with (shared / "truth" / "other_metrics.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["metric"], row["convention"]) == ("MS_SSIM", "hli")]
    assert len(rows) == 2
    for row in rows:
        height, width = map(int, row["input"].split("x"))
        infrared, visible = ((255 * image).round() for image in formula_pair(height, width))
        found = ms_mef(((infrared + visible) / 2).round(), infrared, visible, 255).item()
        assert found == pytest.approx(float(row["value"]), rel=1e-9), row


@pytest.mark.parametrize(
    ("method", "image", "wanted"),
    [
        ("densefuse", "08", (0.952619871669, 0.952616883287)),
        ("seafusion", "08", (0.970474301921, 0.979010063152)),
        ("u2fusion", "08", (0.910925306212, 0.912745177337)),
        ("densefuse", "10", (0.93626158057, 0.920646167833)),
    ],
)
def test_plain_values(shared: Path, method: str, image: str, wanted: tuple[float, float]) -> None:
    images = triple(shared, method, image)
    assert (mef(*images, 255).item(), ms_mef(*images, 255).item()) == pytest.approx(wanted, rel=1e-10)


def test_constant_fused_image(shared: Path) -> None:
    fused, infrared, visible = triple(shared, "densefuse", "08")
    found = ms_mef(torch.full_like(fused, 100), infrared, visible, 255).item()
    assert found == pytest.approx(0.223342488, rel=1e-8)


# The definition written out, one window after the other


def score_of_window(fused: np.ndarray, *sources: np.ndarray) -> float:
    eps = 2.0**-52
    parts = [x - x.mean() for x in sources]
    lengths = [float(np.linalg.norm(part)) for part in parts]
    agreement = min((np.linalg.norm(sum(parts)) + eps) / (sum(lengths) + eps), 1 - eps)
    power = min(math.tan(math.pi / 2 * agreement), 10)
    weights = [((length + 0.001) / 11) ** power + eps for length in lengths]
    ideal = sum(w / sum(weights) * x / (e + 0.001) for w, x, e in zip(weights, parts, lengths, strict=True))
    if np.linalg.norm(ideal) > 0:
        ideal = ideal / np.linalg.norm(ideal) * (max(lengths) + 0.001)
    place = np.arange(11) - 5
    window = np.exp(-(place[:, None] ** 2 + place**2) / 4.5)
    window /= window.sum()
    x, y = (patch - (window * patch).sum() for patch in (ideal, fused))
    constant = (0.03 * 255) ** 2
    return float((2 * (window * x * y).sum() + constant) / ((window * (x * x + y * y)).sum() + constant))


def of_all_windows(*images: np.ndarray) -> float:
    height, width = images[0].shape
    return float(
        np.mean(
            [
                score_of_window(*(image[i : i + 11, j : j + 11] for image in images))
                for i in range(height - 10)
                for j in range(width - 10)
            ]
        )
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [(11, 11), (24, 33)])
def test_definition(size: tuple[int, int], seed: int) -> None:
    """With flat areas in the infrared, in the visible and in both."""
    images = smooth(*size, seed)
    images[1][..., :14, :] = 128
    images[2][..., :20] = 64
    images[2][..., 3, 3] = 65
    assert mef(*images, 255).item() == pytest.approx(of_all_windows(*(x[0, 0].numpy() for x in images)), rel=1e-9)


@pytest.mark.parametrize("size", [(44, 45), (47, 46)])
def test_definition_of_three_scales(size: tuple[int, int]) -> None:
    images = smooth(*size, 1)
    parts, product = [x[0, 0].numpy() for x in images], 1.0
    for weight in (0.0448, 0.2856, 0.3001):
        product *= of_all_windows(*parts) ** (weight / 0.6305)
        parts = [np.pad(x, ((0, x.shape[0] % 2), (0, x.shape[1] % 2)), mode="edge") for x in parts]
        parts = [x.reshape(x.shape[0] // 2, 2, -1, 2).mean((1, 3)) for x in parts]
    assert ms_mef(*images, 255).item() == pytest.approx(product, rel=1e-10)


# Cases that are known exactly


@pytest.mark.parametrize("metric", METRICS)
def test_same_images(metric: Callable[..., Tensor]) -> None:
    image = noise(46, 51)
    # The 0.001 added to lengths keeps it just below.
    assert 1 - 1e-8 < metric(image, image, image, 255).item() < 1


@pytest.mark.parametrize("metric", METRICS)
def test_constant_images(metric: Callable[..., Tensor]) -> None:
    flat = torch.arange(256.0, dtype=torch.float64).view(256, 1, 1, 1).repeat(1, 1, 44, 44)
    assert metric(flat, flat, flat.flip(0), 255).tolist() == pytest.approx([1.0] * 256, abs=1e-9)


def test_flat_source_has_no_say() -> None:
    image, flat = noise(46, 51), torch.full((1, 1, 46, 51), 200.0, dtype=torch.float64)
    assert mef(image, image, flat, 255).item() == pytest.approx(1, abs=1e-6)
    assert mef(image, flat, image, 255).item() == pytest.approx(1, abs=1e-6)


def test_opposites_make_a_flat_patch() -> None:
    source = noise(30, 31)
    variance = 58.5225 / (58.5225 + 255**2 / 12)
    assert mef(torch.full_like(source, 9), source, 255 - source, 255).item() == pytest.approx(1, abs=1e-12)
    assert mef(source, source, 255 - source, 255).item() == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize("factor", [2, 3, 5, 7])
def test_proportional_sources_agree(factor: int) -> None:
    """The ideal patch is the stronger of them, though rounding finds them to agree by more than all."""
    weak = (noise(60, 61) < 8).double()
    assert mef(factor * weak, weak, factor * weak, 255).item() == pytest.approx(1, abs=1e-6)


def test_negative() -> None:
    source = noise(44, 44)
    assert mef(255 - source, source, source, 255).item() < -0.9
    assert ms_mef(255 - source, source, source, 255).item() == 0


# Invariances


@settings(deadline=None, max_examples=20)
@given(st.integers(-60, 60), st.integers(-60, 60), st.integers(0, 2**32 - 1))
def test_offsets_change_nothing(first: int, second: int, seed: int) -> None:
    fused, infrared, visible = (image.clamp(64, 190) for image in smooth(45, 47, seed))
    for metric in METRICS:
        wanted = metric(fused, infrared, visible, 255).item()
        assert metric(fused + first, infrared, visible + second, 255).item() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_sources_flips_and_turns(metric: Callable[..., Tensor]) -> None:
    images = smooth(44, 48, 3)
    wanted = metric(*images, 255).item()
    swapped = (images[0], images[2], images[1])
    for others in ([x.flip(2) for x in images], [x.flip(3) for x in images], [x.mT for x in images], swapped):
        assert metric(*others, 255).item() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_batch_is_one_by_one(metric: Callable[..., Tensor]) -> None:
    check_batch(metric, [smooth(45, 52, seed) for seed in range(3)], rel=1e-13)


def test_pictures_remember() -> None:
    images = smooth(45, 52, 5)
    pictures = [Picture(image, 255) for image in images]
    for metric in (mef, ms_mef, ms_mef, mef):
        assert metric(*pictures).item() == metric(*images, 255).item()
        assert metric(images[2], *pictures[1:], 255).item() == metric(images[2], *images[1:], 255).item()
        assert metric(*pictures[:2], pictures[0]).item() == metric(*images[:2], images[0], 255).item()


@pytest.mark.parametrize("metric", METRICS)
def test_same_with_gradients(metric: Callable[..., Tensor]) -> None:
    images = smooth(45, 90, 6)
    images[1][..., :30] = 77
    found = metric(*(image.clone().requires_grad_() for image in images), 255)
    assert found.requires_grad
    assert found.item() == pytest.approx(metric(*images, 255).item(), rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_gradient(metric: Callable[..., Tensor]) -> None:
    images = tuple((image + 0.3 * noise(44, 45, seed=9) / 255).requires_grad_() for image in smooth(44, 45, 7))
    assert torch.autograd.gradcheck(
        lambda *x: metric(*map(unrounded, x)), images, fast_mode=True, eps=1e-4, atol=1e-9, rtol=1e-6
    )


@pytest.mark.parametrize("metric", METRICS)
def test_gradient_of_flat_images_is_finite(metric: Callable[..., Tensor]) -> None:
    flat, other = torch.full((1, 1, 44, 44), 90.0, dtype=torch.float64), noise(44, 44)
    for images in ((flat, other, other), (other, flat, other), (other, flat, flat), (flat, flat, flat)):
        leaves = [image.clone().requires_grad_() for image in images]
        metric(*leaves, 255).sum().backward()
        assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves)
    opposites = [image.clone().requires_grad_() for image in (other, other, 255 - other)]
    metric(*opposites, 255).sum().backward()
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in opposites)


# Errors


@pytest.mark.parametrize(("metric", "least"), [(mef, 11), (ms_mef, 44)])
def test_sizes_too_small(metric: Callable[..., Tensor], least: int) -> None:
    for height, width in ((least - 1, 60), (60, least - 1)):
        image = noise(height, width)
        with pytest.raises(MetricError, match=f"at least {least}x{least} pixels, found {width}x{height}"):
            metric(image, image, image, 255)
    image = noise(least, least)
    assert metric(image, image, image, 255).item() == pytest.approx(1, abs=1e-6)
