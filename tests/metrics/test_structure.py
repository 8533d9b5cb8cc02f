"""SSIM and MS-SSIM against published values, their definition written out, known cases and invariances."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics import UNIFORM, Picture, Window
from imfuse.metrics._structure import half
from imfuse.metrics.accidents import structural_similarity_of_range
from imfuse.metrics.structure import multi_scale_structural_similarity as ms_ssim
from imfuse.metrics.structure import structural_similarity
from metric_pictures import noise, smooth, tensor, triple, unrounded

REPLICATE = Window(border="replicate")
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "vifb": {"total": True},
    "cddfuse": {"window": UNIFORM, "peak": 2, "sample": True, "total": True},
    "refinefuse": {"window": UNIFORM, "peak": 2, "sample": True, "total": True},
    "tang2023": {"window": REPLICATE, "peak": 1},
    "hli": {"window": REPLICATE},
}


def ssim(*images: Any, **options: Any) -> Tensor:
    return (structural_similarity_of_range if "peak" in options else structural_similarity)(*images, **options)


# Published values


def test_published_code_run_in_octave(shared: Path) -> None:
    with (shared / "truth" / "octave_tno.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"].startswith("SSIM_wang2004")]
    assert len(rows) == 50
    for row in rows:
        fused, infrared, visible = triple(shared, row["method"], row["image"], row["crop"])
        source = infrared if row["metric"].endswith("A") else visible
        assert ssim(fused, source, source, 255).item() == pytest.approx(float(row["value"]), rel=1e-9), row


def test_formula_images(shared: Path, formula_pair: Callable[[int, int], tuple[Tensor, Tensor]]) -> None:
    with (shared / "truth" / "other_metrics.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "SSIM"]
    assert {row["convention"] for row in rows} == {"vifb", "cddfuse", "refinefuse", "hli"}
    for row in rows:
        height, width = map(int, row["input"].split("x"))
        infrared, visible = ((255 * image).round() for image in formula_pair(height, width))
        found = ssim(((infrared + visible) / 2).round(), infrared, visible, 255, **VARIANTS[row["convention"]])
        assert found.item() == pytest.approx(float(row["value"]), rel=1e-9), row


@pytest.mark.parametrize(
    ("method", "image", "wanted"),
    [
        ("densefuse", "08", (0.823395692775, 0.877950549771, 0.76468328092, 0.850267710762)),
        ("seafusion", "08", (0.678678113057, 0.890642583569, 0.689103433201, 0.784438278153)),
        ("u2fusion", "08", (0.817614759481, 0.775147568781, 0.656132438981, 0.79420326354)),
        ("densefuse", "10", (0.696931214832, 0.562061214628, 0.4693381143, 0.620476415028)),
    ],
)
def test_plain_values(shared: Path, method: str, image: str, wanted: tuple[float, ...]) -> None:
    fused, infrared, visible = triple(shared, method, image)
    alone = [ssim(fused, source, source, 255).item() for source in (infrared, visible)]
    others = [ssim(fused, infrared, visible, 255, **VARIANTS[name]).item() for name in ("tang2023", "hli")]
    assert (*alone, *others) == pytest.approx(wanted, rel=1e-10)
    assert ssim(fused, infrared, visible, 255).item() == pytest.approx(sum(alone) / 2, rel=1e-14)


@pytest.mark.parametrize(
    ("method", "image", "wanted"),
    [
        ("densefuse", "08", (0.872902596771, 0.917134752935)),
        ("seafusion", "08", (0.745370416077, 0.932600060987)),
        ("u2fusion", "08", (0.870546003304, 0.870454221369)),
        ("densefuse", "10", (0.804503017016, 0.601766408401)),
    ],
)
def test_plain_values_of_five_scales(shared: Path, method: str, image: str, wanted: tuple[float, float]) -> None:
    fused, infrared, visible = triple(shared, method, image)
    alone = [ms_ssim(fused, source, source, 255).item() for source in (infrared, visible)]
    assert alone == pytest.approx(wanted, rel=1e-10)
    assert ms_ssim(fused, infrared, visible, 255).item() == pytest.approx(sum(wanted) / 2, rel=1e-10)


# The definition written out


def windows(x: np.ndarray, window: Window) -> np.ndarray:
    if window.border == "replicate":
        x = np.pad(x, window.size // 2, mode="edge")
    return sliding_window_view(x, (window.size, window.size))


def maps(x: np.ndarray, y: np.ndarray, window: Window, peak: float, sample: bool) -> tuple[np.ndarray, np.ndarray]:
    """SSIM of each window, and its second factor alone."""
    place = np.arange(window.size) - window.size // 2
    weights = np.ones((window.size, window.size))
    if window.sigma is not None:
        weights = np.exp(-(place[:, None] ** 2 + place**2) / (2 * window.sigma**2))
    weights = weights / weights.sum()
    n = window.size**2 if sample else math.inf
    patches = windows(x, window), windows(y, window)
    m1, m2 = (np.einsum("yxij,ij->yx", patch, weights) for patch in patches)
    first, second = (patch - m[..., None, None] for patch, m in zip(patches, (m1, m2), strict=True))
    v1, v2, v12 = (
        np.einsum("yxij,yxij,ij->yx", a, b, weights) / (1 - 1 / n)
        for a, b in ((first, first), (second, second), (first, second))
    )
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    structure = (2 * v12 + c2) / (v1 + v2 + c2)
    return (2 * m1 * m2 + c1) / (m1**2 + m2**2 + c1) * structure, structure


@pytest.mark.parametrize("name", list(VARIANTS))
@pytest.mark.parametrize("size", [(11, 11), (23, 34)])
def test_definition(size: tuple[int, int], name: str) -> None:
    images = smooth(*size, 0)
    images[1][..., :20] = 7
    options: dict[str, Any] = {"window": Window(), "peak": 255, "sample": False, "total": False} | VARIANTS[name]
    total = options.pop("total")
    fused, *sources = (image[0, 0].numpy() for image in images)
    wanted = sum(maps(source, fused, **options)[0].mean() for source in sources) / (1 if total else 2)
    assert ssim(*images, 255, **VARIANTS[name]).item() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("size", [(161, 176), (163, 165)])
def test_definition_of_five_scales(size: tuple[int, int]) -> None:
    images = smooth(*size, 1)
    fused, *sources = (image[0, 0].numpy() for image in images)
    score = 0.0
    for source in sources:
        x, y, product = source, fused, 1.0
        for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
            similarity, structure = maps(x, y, Window(), 255, False)
            product *= (similarity if scale == 4 else structure).mean() ** weight
            x, y = halved(x), halved(y)
        score += product / 2
    assert ms_ssim(*images, 255).item() == pytest.approx(score, rel=1e-10)


def halved(x: np.ndarray) -> np.ndarray:
    return np.array(
        [[x[i : i + 2, j : j + 2].mean() for j in range(0, x.shape[1], 2)] for i in range(0, x.shape[0], 2)]
    )


@pytest.mark.parametrize("size", [(2, 2), (5, 6), (6, 5), (7, 7), (1, 1)])
def test_half(size: tuple[int, int]) -> None:
    picture = Picture(noise(2, *size), 255)
    assert half(picture) is half(picture)
    wanted = np.stack([halved(x[0]) for x in picture.levels.numpy()])
    assert torch.equal(half(picture).levels, tensor(wanted))


# Cases that are known exactly


@pytest.mark.parametrize("name", list(VARIANTS))
def test_same_images(name: str) -> None:
    image = noise(20, 25)
    wanted = 2 if "total" in VARIANTS[name] else 1
    assert ssim(image, image, image, 255, **VARIANTS[name]).item() == pytest.approx(wanted, rel=1e-12)


def test_same_images_on_five_scales() -> None:
    image = noise(161, 170)
    assert ms_ssim(image, image, image, 255).item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(("first", "second"), [(0, 255), (100, 200), (7, 7)])
def test_constant_images_differ_in_luminance(first: int, second: int) -> None:
    one, other = (torch.full((1, 1, 12, 13), float(level)) for level in (first, second))
    wanted = (2 * first * second + 6.5025) / (first**2 + second**2 + 6.5025)
    assert ssim(one, other, other, 255).item() == pytest.approx(wanted, rel=1e-12)
    one, other = (image.repeat(1, 1, 14, 14) for image in (one, other))
    assert ms_ssim(one, other, other, 255).item() == pytest.approx(wanted**0.1333, rel=1e-10)


def test_negative_counts_as_nothing_on_five_scales() -> None:
    image = noise(161, 170)
    assert ssim(255 - image, image, image, 255).item() < -0.9
    assert ms_ssim(255 - image, image, image, 255).item() == 0


def test_range_of_floats_hides_noise_in_flat_areas() -> None:
    """With a range of 1 the constants no longer cover noise of a level or two."""
    flat = torch.full((1, 1, 40, 40), 90.0, dtype=torch.float64)
    noisy, other = (flat + noise(40, 40, seed=seed) % 2 for seed in (0, 1))
    assert ssim(noisy, other, other, 255).item() > 0.98
    assert ssim(noisy, other, other, 255, peak=1).item() < 0.1


# Invariances


@pytest.mark.parametrize("name", list(VARIANTS))
def test_sources_flips_and_turns(name: str) -> None:
    images = smooth(17, 30, 3)
    wanted = ssim(*images, 255, **VARIANTS[name]).item()
    swapped = (images[0], images[2], images[1])
    for others in ([x.flip(2) for x in images], [x.flip(3) for x in images], [x.mT for x in images], swapped):
        assert ssim(*others, 255, **VARIANTS[name]).item() == pytest.approx(wanted, rel=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(11, 20), st.integers(11, 20), st.integers(0, 2**32 - 1))
def test_range(height: int, width: int, seed: int) -> None:
    fused, infrared, visible = (noise(height, width, seed=seed + i) for i in range(3))
    for options in VARIANTS.values():
        bound = 2 if "total" in options else 1
        value = ssim(fused, infrared, visible, 255, **options).item()
        assert -bound <= value <= bound
        # A source that is the fused image can only be more similar than any other.
        assert ssim(fused, fused, visible, 255, **options).item() >= value


@pytest.mark.parametrize("name", list(VARIANTS))
def test_batch_equals_one_by_one(name: str) -> None:
    images = [torch.cat(parts) for parts in zip(*(smooth(19, 22, seed) for seed in range(3)), strict=True)]
    together = ssim(*images, 255, **VARIANTS[name])
    assert together.shape == (3,)
    assert together.dtype == torch.float64
    alone = [ssim(*(x[i : i + 1] for x in images), 255, **VARIANTS[name]).item() for i in range(3)]
    assert together.tolist() == pytest.approx(alone, rel=1e-13)


def test_batch_equals_one_by_one_on_five_scales() -> None:
    images = [torch.cat(parts) for parts in zip(*(smooth(162, 165, seed) for seed in range(2)), strict=True)]
    alone = [ms_ssim(*(x[i : i + 1] for x in images), 255).item() for i in range(2)]
    assert ms_ssim(*images, 255).tolist() == pytest.approx(alone, rel=1e-13)


def test_pictures_remember() -> None:
    images = smooth(163, 170, 5)
    pictures = [Picture(image, 255) for image in images]
    for options in (*VARIANTS.values(), *VARIANTS.values()):
        assert ssim(*pictures, **options).item() == ssim(*images, 255, **options).item()
        other = ssim(images[2], *pictures[1:], 255, **options)
        assert other.item() == ssim(images[2], *images[1:], 255, **options).item()
        assert ms_ssim(*pictures).item() == ms_ssim(*images, 255).item()


@pytest.mark.parametrize("name", list(VARIANTS))
def test_same_with_gradients(name: str) -> None:
    images = smooth(30, 90, 6)
    found = ssim(*(image.clone().requires_grad_() for image in images), 255, **VARIANTS[name])
    assert found.requires_grad
    assert found.item() == pytest.approx(ssim(*images, 255, **VARIANTS[name]).item(), rel=1e-9)


@pytest.mark.parametrize("name", list(VARIANTS))
def test_gradient(name: str) -> None:
    images = tuple((image + 0.3 * noise(13, 14, seed=9) / 255).requires_grad_() for image in smooth(13, 14, 7))
    assert torch.autograd.gradcheck(
        lambda *x: ssim(*map(unrounded, x), **VARIANTS[name]), images, fast_mode=True, eps=1e-4, atol=1e-9, rtol=1e-6
    )


def test_gradient_on_five_scales() -> None:
    images = tuple((image + 0.3 * noise(161, 162, seed=9) / 255).requires_grad_() for image in smooth(161, 162, 7))
    assert torch.autograd.gradcheck(
        lambda *x: ms_ssim(*map(unrounded, x)), images, fast_mode=True, eps=1e-4, atol=1e-9, rtol=1e-6
    )


def test_gradient_where_means_are_negative_is_finite() -> None:
    image = noise(161, 161).requires_grad_()
    ms_ssim(255 - image, image, image, 255).sum().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()


# Errors


@pytest.mark.parametrize("size", [(10, 30), (30, 10)])
def test_sizes_too_small(size: tuple[int, int]) -> None:
    image = noise(*size)
    for options in ({}, {"window": REPLICATE}):
        with pytest.raises(MetricError, match=f"at least 11x11 pixels, found {size[1]}x{size[0]}"):
            ssim(image, image, image, 255, **options)
    assert ssim(image, image, image, 255, window=UNIFORM).item() == pytest.approx(1, rel=1e-12)
    with pytest.raises(MetricError, match="at least 7x7 pixels"):
        ssim(image[..., :6, :6], image[..., :6, :6], image[..., :6, :6], 255, window=UNIFORM)


@pytest.mark.parametrize("size", [(160, 170), (170, 160)])
def test_sizes_too_small_for_five_scales(size: tuple[int, int]) -> None:
    image = noise(*size)
    with pytest.raises(MetricError, match=f"at least 161x161 pixels, found {size[1]}x{size[0]}"):
        ms_ssim(image, image, image, 255)
