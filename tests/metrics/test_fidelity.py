"""VIF against published values, its definition written out, cases that are known exactly, and invariances."""

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
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics._pictures import Picture
from imfuse.metrics.accidents import saturated_visual_information_fidelity as saturated_vif
from imfuse.metrics.fidelity import visual_information_fidelity as vif
from imfuse.metrics.fidelity import visual_information_fidelity_for_fusion as viff
from metric_pictures import check_batch, noise, smooth, triple, unrounded

METRICS = [vif, viff]


# Published values


@pytest.mark.parametrize("image", ["03", "08", "11", "17", "36", "39"])
def test_published_table_of_8_bit_products(shared: Path, image: str) -> None:
    with (shared / "truth" / "tang2022_tno.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["image"], row["metric"]) == (image, "VIF")]
    assert len(rows) == 3
    for row in rows:
        found = saturated_vif(*triple(shared, row["method"], image), 255).item()
        # Variances next to 1e-10, made by the saturation, carry the rounding of any implementation.
        assert found == pytest.approx(float(row["value"]), rel=1e-6), row


def test_published_code_run_in_octave(shared: Path) -> None:
    with (shared / "truth" / "octave_tno.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "VIF"]
    assert len(rows) == 25
    for row in rows:
        found = vif(*triple(shared, row["method"], row["image"], row["crop"]), 255).item()
        assert found == pytest.approx(float(row["value"]), rel=1e-9), row


def test_formula_images(shared: Path, formula_pair: Callable[[int, int], tuple[Tensor, Tensor]]) -> None:
    with (shared / "truth" / "other_metrics.csv").open(encoding="utf-8") as file:
        rows = [
            row for row in csv.DictReader(file) if row["metric"] == "VIF" and not row["convention"].startswith("hli")
        ]
    assert {row["convention"] for row in rows} == {"cddfuse", "refinefuse", "tang2023"}
    for row in rows:
        height, width = map(int, row["input"].split("x"))
        infrared, visible = ((255 * image).round() for image in formula_pair(height, width))
        found = vif(((infrared + visible) / 2).round(), infrared, visible, 255).item()
        assert found == pytest.approx(float(row["value"]), rel=1e-9), row


@pytest.mark.parametrize(
    ("method", "image", "wanted"),
    [
        ("densefuse", "08", (0.959633623799, 0.454381956895, 0.505251666904)),
        ("seafusion", "08", (1.01377887588, 0.36409471263, 0.649684163248)),
        ("u2fusion", "08", (0.768735260496, 0.398302564541, 0.370432695954)),
        ("densefuse", "10", (0.547814197185, 0.302622025111, 0.245192172074)),
    ],
)
def test_plain_values(shared: Path, method: str, image: str, wanted: tuple[float, float, float]) -> None:
    fused, infrared, visible = triple(shared, method, image)
    both = vif(fused, infrared, visible, 255).item()
    alone = [vif(fused, source, source, 255).item() / 2 for source in (infrared, visible)]
    assert (both, *alone) == pytest.approx(wanted, rel=1e-10)


# The definition written out: whole windows, all rules in order


def windows_mean(x: np.ndarray, size: int) -> np.ndarray:
    place = np.arange(size) - (size - 1) / 2
    window = np.exp(-(place[:, None] ** 2 + place**2) / (2 * (size / 5) ** 2))
    return np.einsum("yxij,ij->yx", sliding_window_view(x, (size, size)), window / window.sum())


def scales(source: np.ndarray, fused: np.ndarray, top: float) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Gain, noise and variance of each scale; products end at ``top`` on the first."""
    found = []
    for size in (17, 9, 5, 3):
        if size < 17:
            source, fused = (windows_mean(x, size)[::2, ::2] for x in (source, fused))
            top = math.inf
        m1, m2 = windows_mean(source, size), windows_mean(fused, size)
        products = (np.minimum(x, top) for x in (source * source, fused * fused, source * fused))
        v1, v2, v12 = (windows_mean(x, size) - m for x, m in zip(products, (m1**2, m2**2, m1 * m2), strict=True))
        v1, v2 = np.maximum(v1, 0), np.maximum(v2, 0)
        gain = v12 / (v1 + 1e-10)
        rest = v2 - gain * v12
        gain, rest, v1 = (np.where(v1 < 1e-10, *pair) for pair in ((0, gain), (v2, rest), (0, v1)))
        gain, rest = (np.where(v2 < 1e-10, 0, x) for x in (gain, rest))
        rest = np.where(gain < 0, v2, rest)
        found.append((np.maximum(gain, 0), np.where(rest <= 1e-10, 1e-10, rest), v1))
    return found


def share(source: np.ndarray, fused: np.ndarray, top: float) -> float:
    planes = scales(source, fused, top)
    seen = sum(np.log10(1 + gain**2 * v / (rest + 2)).sum() for gain, rest, v in planes)
    return float(seen / sum(np.log10(1 + v / 2).sum() for _, _, v in planes))


def for_fusion(fused: np.ndarray, infrared: np.ndarray, visible: np.ndarray) -> float:
    eye, score = 0.005 * 255**2, 0.0
    for weight, *channels in zip(
        (1 / 2.15, 0, 0.15 / 2.15, 1 / 2.15),
        *(scales(source, fused, math.inf) for source in (infrared, visible)),
        strict=True,
    ):
        seen, there = ([], [])
        for a, b in zip(*(np.stack(channel).reshape(3, -1).T for channel in channels), strict=True):
            gain, rest, v = a if a[0] < b[0] else b
            seen.append(math.log10(1 + gain**2 * v / (rest + eye)) + 1e-7)
            there.append(math.log10(1 + v / eye) + 1e-7)
        score += weight * sum(seen) / sum(there)
    return score


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [(41, 41), (44, 63)])
def test_definition(size: tuple[int, int], seed: int) -> None:
    images = smooth(*size, seed)
    images[1][..., :20, :20] = 7
    images[0][..., 10:, 20:] = 200
    fused, infrared, visible = (image[0, 0].numpy() for image in images)
    for top, metric in ((math.inf, vif), (255, saturated_vif)):
        wanted = sum(share(source, fused, top) for source in (infrared, visible))
        assert metric(*images, 255).item() == pytest.approx(wanted, rel=1e-9)
    assert viff(*images, 255).item() == pytest.approx(for_fusion(fused, infrared, visible), rel=1e-9)


def test_dark_products_do_not_saturate() -> None:
    dark = tuple(image / 17 for image in smooth(48, 50, 0))
    assert saturated_vif(*dark, 255).item() == vif(*dark, 255).item()
    bright = smooth(48, 50, 0)
    assert saturated_vif(*bright, 255).item() != pytest.approx(vif(*bright, 255).item(), rel=1e-3)


# Cases that are known exactly


def test_same_images() -> None:
    image = noise(48, 57)
    # The 1e-10 beside each variance keeps it just below.
    assert 2 - 1e-9 < vif(image, image, image, 255).item() < 2
    assert 1 - 1e-9 < viff(image, image, image, 255).item() < 1


def test_negative_has_no_gain() -> None:
    source = noise(48, 57)
    assert vif(255 - source, source, source, 255).item() == 0


@pytest.mark.parametrize("differentiable", [False, True])
def test_constant_images_of_any_level(differentiable: bool) -> None:
    flat = (
        torch.arange(256.0, dtype=torch.float64).view(256, 1, 1, 1).repeat(1, 1, 41, 43).requires_grad_(differentiable)
    )
    other = noise(41, 43).repeat(256, 1, 1, 1)
    assert vif(other, flat, flat, 255).isnan().all()
    assert vif(other, other, flat, 255).isnan().all()
    assert torch.equal(vif(other, flat, flat, 255, undefined=1), torch.full((256,), 2.0, dtype=torch.float64))
    assert torch.equal(vif(flat, other, other, 255), torch.zeros(256, dtype=torch.float64))
    assert viff(flat, flat, flat, 255).tolist() == pytest.approx([1.0] * 256, rel=1e-12)


def test_undefined_touches_constant_sources_only() -> None:
    fused, infrared, visible = smooth(41, 50, 1)
    assert vif(fused, infrared, visible, 255, undefined=1).item() == vif(fused, infrared, visible, 255).item()
    flat = torch.full_like(infrared, 100)
    assert vif(fused, flat, visible, 255, undefined=1).item() == 1 + vif(fused, visible, visible, 255).item() / 2


@pytest.mark.parametrize("level", [77, 128, 201, 255])
def test_flat_source_has_no_gain(level: int) -> None:
    """Without gain on either side the visible image counts, and this one holds nothing."""
    source = noise(48, 57)
    flat = torch.full_like(source, level)
    assert viff(255 - source, source, flat, 255).item() == pytest.approx(1, rel=1e-12)
    assert viff(255 - source, flat, source, 255).item() < 0.01


def test_contrast_added_is_a_gain() -> None:
    _, source, _ = smooth(64, 64, 2)
    source = (source / 2 + 64).round()
    stretched = (2 * (source - 64)).round()
    assert vif(stretched, source, source, 255).item() > 2 > vif((source / 2).round(), source, source, 255).item()


# Invariances


def test_sources_are_equals() -> None:
    fused, infrared, visible = smooth(50, 61, 3)
    both = vif(fused, infrared, visible, 255).item()
    assert vif(fused, visible, infrared, 255).item() == pytest.approx(both, rel=1e-14)
    alone = [vif(fused, source, source, 255).item() / 2 for source in (infrared, visible)]
    assert sum(alone) == pytest.approx(both, rel=1e-14)
    assert viff(fused, visible, infrared, 255).item() == pytest.approx(
        viff(fused, infrared, visible, 255).item(), rel=0.02
    )


@pytest.mark.parametrize("metric", METRICS)
def test_flips_and_turns(metric: Callable[..., Tensor]) -> None:
    """Every second pixel is kept: the grid of a side of 8 n + 1 is the same from both ends."""
    images = smooth(49, 57, 4)
    wanted = metric(*images, 255).item()
    for turned in ([x.flip(2) for x in images], [x.flip(3) for x in images], [x.mT for x in images]):
        assert metric(*turned, 255).item() == pytest.approx(wanted, rel=1e-10)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_offset_changes_nothing(offset: int, seed: int) -> None:
    fused, infrared, visible = (image.clamp(0, 190) for image in smooth(41, 45, seed))
    for metric in METRICS:
        wanted = metric(fused, infrared, visible, 255).item()
        assert metric(fused + offset, infrared, visible + offset, 255).item() == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize("metric", METRICS)
def test_batch_is_one_by_one(metric: Callable[..., Tensor]) -> None:
    check_batch(metric, [smooth(43, 52, seed) for seed in range(3)], rel=1e-13)


def test_pictures_remember() -> None:
    images = smooth(43, 52, 5)
    pictures = [Picture(image, 255) for image in images]
    for metric in (vif, saturated_vif, vif, saturated_vif):
        assert metric(*pictures).item() == metric(*images, 255).item()
        other = metric(images[2], *pictures[1:], 255)
        assert other.item() == metric(images[2], *images[1:], 255).item()


@pytest.mark.parametrize("metric", [vif, viff, saturated_vif])
def test_same_with_gradients(metric: Callable[..., Tensor]) -> None:
    images = smooth(45, 90, 6)
    wanted = metric(*images, 255).item()
    found = metric(*(image.clone().requires_grad_() for image in images), 255)
    assert found.requires_grad
    assert found.item() == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("metric", METRICS)
def test_gradient(metric: Callable[..., Tensor]) -> None:
    images = tuple((image + 0.3 * noise(41, 42, seed=9) / 255).requires_grad_() for image in smooth(41, 42, 7))
    assert torch.autograd.gradcheck(
        lambda *x: metric(*map(unrounded, x)), images, fast_mode=True, eps=1e-4, atol=1e-9, rtol=1e-6
    )


def test_gradient_of_flat_images_is_finite() -> None:
    flat, other = torch.full((1, 1, 41, 41), 90.0, dtype=torch.float64), noise(41, 41)
    for metric, images in ((vif, (flat, other, other)), (viff, (flat, flat, flat)), (viff, (other, flat, other))):
        leaves = [image.clone().requires_grad_() for image in images]
        metric(*leaves, 255).sum().backward()
        assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves)


# Errors


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [(40, 50), (50, 40)])
def test_sizes_too_small(metric: Callable[..., Tensor], size: tuple[int, int]) -> None:
    image = noise(*size)
    with pytest.raises(MetricError, match=f"at least 41x41 pixels, found {size[1]}x{size[0]}"):
        metric(image, image, image, 255)
    least = noise(41, 41)
    assert math.isfinite(metric(least, least, least, 255).item())
