"""Edge metrics against published values, pixel-by-pixel definitions, and invariances."""

from __future__ import annotations

import csv
import gc
import math
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.imaging import read_image
from imfuse.metrics import Picture, _pictures, _sobel, accidents
from imfuse.metrics.edges import gradient_quality, survey_gradient_quality
from imfuse.metrics.petrovic import fusion_artefacts, fusion_loss, total_performance
from imfuse.ops.windows import Border

Metric = Callable[..., Tensor]
Rows = list[list[float]]

PLAIN: dict[str, Metric] = {
    "Qabf": gradient_quality,
    "QG": survey_gradient_quality,
    "Qabf_p": total_performance,
    "Labf": fusion_loss,
    "Nabf": fusion_artefacts,
    "Nabf_o": partial(fusion_artefacts, original=True),
}
QABF_2023 = partial(accidents.gradient_quality_with_slips, ties="strength")
QABF_2022 = partial(QABF_2023, summation="matlab")
VARIANTS: dict[str, Metric] = PLAIN | {
    "Qabf, tang2022": QABF_2022,
    "Qabf, tang2023": QABF_2023,
    "Qabf, hli": partial(QABF_2023, summation="octave"),
    "QG, zliu": accidents.survey_gradient_quality_of_flat_fused,
    "Nabf, tang2023": accidents.fusion_artefacts_of_infrared,
    "Nabf, hli": partial(accidents.fusion_artefacts_of_unit_range, summation="columns"),
}


def tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.copy()).reshape(1, 1, *image.shape)


def score(metric: Metric, *images: np.ndarray) -> float:
    return metric(*map(tensor, images), data_range=255).item()


# Published values


def triple(shared: Path, method: str, image: str, crop: str = "full") -> list[np.ndarray]:
    files = (shared / "truth" / "fused" / method, shared / "data" / "tno" / "ir", shared / "data" / "tno" / "vi")
    whole = [read_image(folder / f"{image}.png") for folder in files]
    if crop == "full":
        return whole
    top, left, height, width = map(int, crop.split(":"))
    return [x[top : top + height, left : left + width] for x in whole]


def rows(file: Path, **wanted: str) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        found = [row for row in csv.DictReader(lines) if wanted.items() <= row.items()]
    assert found
    return found


DEFINITIONS = {
    "Qabf": (0.647807056169, 0.671765167088, 0.539580885409, 0.421905849168),
    "Qabf, tang2023": (0.647807548995, 0.671766354085, 0.539581171145, 0.421906293797),
    "Qabf_p": (0.908089306506, 0.907362016988, 0.848379169338, 0.814318454973),
    "Labf": (0.0918732140022, 0.0428475763026, 0.120123746282, 0.185227838329),
    "Nabf": (3.74794919809e-05, 0.0497904067091, 0.0314970843801, 0.000453706697375),
    "Nabf_o": (8.29756148385e-05, 0.288265259079, 0.114558265932, 0.00127954211893),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_recommended_definitions(shared: Path, name: str) -> None:
    places = (("densefuse", "08"), ("seafusion", "08"), ("u2fusion", "08"), ("densefuse", "10"))
    found = [score(VARIANTS[name], *triple(shared, *place)) for place in places]
    assert found == pytest.approx(DEFINITIONS[name], rel=1e-11)


@pytest.mark.parametrize("image", ["08", "12", "28"])
def test_published_table_of_images_in_0_1(shared: Path, image: str) -> None:
    """Its values hang on which sums of nine products are exactly zero, and which strengths exactly equal."""
    for row in rows(shared / "truth" / "tang2022_tno.csv", image=image, metric="Qabf"):
        images = triple(shared, row["method"], image)
        assert score(QABF_2022, *images) == pytest.approx(float(row["value"]), rel=1e-13), row
        assert score(QABF_2023, *images) != pytest.approx(float(row["value"]), rel=1e-6), row


OCTAVE = {
    "Qabf": "Qabf, tang2023",
    "Qabf_liu": "QG, zliu",
    "Qabf_petrovic": "Qabf_p",
    "Labf": "Labf",
    "Nabf_modified": "Nabf",
    "Nabf_original": "Nabf_o",
    "Nabf_tang_args": "Nabf, tang2023",
}


@pytest.mark.parametrize("metric", OCTAVE)
def test_published_code_run_in_octave(shared: Path, metric: str) -> None:
    for row in rows(shared / "truth" / "octave_tno.csv", metric=metric):
        if row["crop"] == "full" and row["image"] != "08":
            continue
        images = triple(shared, row["method"], row["image"], row["crop"])
        assert score(VARIANTS[OCTAVE[metric]], *images) == pytest.approx(float(row["value"]), rel=1e-12), row
        if metric == "Qabf_liu":
            assert score(survey_gradient_quality, *images) == pytest.approx(float(row["value"]), rel=1e-8), row


CONVENTIONS = {
    ("Qabf", "vifb"): "Qabf, tang2023",
    ("Qabf", "cddfuse"): "Qabf, tang2023",
    ("Qabf", "refinefuse"): "Qabf, tang2023",
    ("Qabf", "tang2023"): "Qabf, tang2023",
    ("Qabf", "hli-densefuse"): "Qabf, hli",
    ("Nabf", "hli"): "Nabf, hli",
    ("Nabf", "hli-255"): "Nabf",
    ("QG", "zliu"): "QG, zliu",
}


@pytest.mark.parametrize(("metric", "convention"), CONVENTIONS)
def test_conventions_on_formula_inputs(
    shared: Path, formula_pair: Callable[[int, int], tuple[Tensor, Tensor]], metric: str, convention: str
) -> None:
    for row in rows(shared / "truth" / "other_metrics.csv", metric=metric, convention=convention):
        infrared, visible = (
            (255 * x.double()).round()[0, 0].numpy() for x in formula_pair(*map(int, row["input"].split("x")))
        )
        fused = ((infrared + visible) / 2).round()
        found = score(VARIANTS[CONVENTIONS[metric, convention]], fused, infrared, visible)
        assert found == pytest.approx(float(row["value"]), rel=1e-11), row


def test_constant_images_of_a_published_pair(shared: Path) -> None:
    fused, infrared, visible = triple(shared, "densefuse", "08")
    flat = np.full_like(fused, 100)
    assert score(gradient_quality, flat, infrared, visible) == pytest.approx(0.0062495, rel=1e-6)
    assert score(gradient_quality, fused, flat, flat) == pytest.approx(0.0918934, rel=1e-6)
    assert 1.9 < score(PLAIN["Nabf_o"], fused, flat, flat) < 2


# Definitions, pixel by pixel


def edge(image: np.ndarray, border: str) -> Iterator[tuple[float, float]]:
    """Responses across and down of each pixel, correlation with kernels of whole numbers."""
    padded = np.pad(image.astype(float), 1, **({"mode": "reflect"} if border == "mirror" else {"mode": "constant"}))
    for y, x in product(*map(range, image.shape)):
        window = padded[y : y + 3, x : x + 3].tolist()
        across = sum(weight * (row[2] - row[0]) for weight, row in zip((1, 2, 1), window, strict=True))
        down = sum(weight * (window[2][i] - window[0][i]) for i, weight in enumerate((1, 2, 1)))
        yield across, down


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def qabf_by_pixel(fused: np.ndarray, infrared: np.ndarray, visible: np.ndarray, ties_are_one: bool) -> float:
    kept = total = 0.0
    for source in (infrared, visible):
        for (x, y), (x_f, y_f) in zip(edge(source, "zero"), edge(fused, "zero"), strict=True):
            g, g_f = math.sqrt(x * x + y * y), math.sqrt(x_f * x_f + y_f * y_f)
            # True convolution turns both signs of a correlation across, none down: the kernel down is turned already.
            a = math.atan(-y / x) if x else math.pi / 2
            a_f = math.atan(-y_f / x_f) if x_f else math.pi / 2
            similar = (1.0 if ties_are_one else g_f) if g == g_f else min(g, g_f) / max(g, g_f)
            aligned = 1 - abs(a - a_f) / (math.pi / 2)
            kept += 0.9994 * logistic(15 * (similar - 0.5)) * 0.9879 * logistic(22 * (aligned - 0.8)) * g
            total += g
    return kept / total if total else math.nan


def qg_by_pixel(fused: np.ndarray, infrared: np.ndarray, visible: np.ndarray, accident: bool) -> float:
    score = 0.0
    for pixel in zip(*(edge(image, "zero") for image in (fused, infrared, visible)), strict=True):
        (g_f, a_f), *sources = ((math.sqrt(x * x + y * y), math.atan(y / (x or 1e-5))) for x, y in pixel)
        kept = total = 0.0
        for i, (g, a) in enumerate(sources):
            lower, upper = sorted((g or 1e-5, g_f or 1e-5))
            similar = 0 if accident and i == 0 and g_f == 0 and g > 0 else lower / upper
            aligned = abs(abs(a - a_f) - math.pi / 2) * 2 / math.pi
            kept += logistic(10 * (similar - 0.5)) * logistic(20 * (aligned - 0.75)) * (g or 1e-5)
            total += g or 1e-5
        score += kept / total
    return score / fused.size


def account_by_pixel(fused: np.ndarray, infrared: np.ndarray, visible: np.ndarray) -> dict[str, float]:
    sums = dict.fromkeys(("Qabf_p", "Labf", "Nabf", "Nabf_o"), 0.0)
    total = 0.0
    for pixel in zip(*(edge(image, "mirror") for image in (fused, infrared, visible)), strict=True):
        (g_f, a_f), *sources = (
            (math.sqrt(x * x + y * y) / 8, math.atan(x / y) if y else math.copysign(math.pi / 2, x) if x else 0.0)
            for x, y in pixel
        )
        q, w = [], []
        for g, a in sources:
            similar = min(g, g_f) / max(g, g_f) if g and g_f else 0
            aligned = abs(abs(a - a_f) - math.pi / 2) * 2 / math.pi
            q.append(math.sqrt(0.9999 * logistic(19 * (similar - 0.5)) * 0.9995 * logistic(22 * (aligned - 0.5))))
            w.append(g**1.5 if g >= 2 else 0.001)
        missing = (1 - q[0]) * w[0] + (1 - q[1]) * w[1]
        stronger = g_f > sources[0][0] and g_f > sources[1][0]
        sums["Qabf_p"] += q[0] * w[0] + q[1] * w[1]
        sums["Labf"] += 0 if stronger else missing
        sums["Nabf"] += missing if stronger else 0
        sums["Nabf_o"] += (2 - q[0] - q[1]) * sum(w) if stronger else 0
        total += sum(w)
    return {name: value / total for name, value in sums.items()}


LEVELS = st.one_of(st.integers(0, 255), st.sampled_from([0, 40, 255]))
TRIPLES = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda size: st.tuples(*(hnp.arrays(np.uint8, size, elements=LEVELS, fill=LEVELS) for _ in range(3)))
)
STEP = np.array([[0, 0, 9], [0, 0, 9], [9, 9, 9], [9, 0, 9]], np.uint8)
relaxed = settings(deadline=None, max_examples=25)


@relaxed
@given(TRIPLES)
@example((STEP, STEP, STEP))
@example((STEP[:, ::-1], STEP, 0 * STEP))
@example((0 * STEP, 0 * STEP, 0 * STEP))
def test_definitions_by_pixel(images: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    wanted = account_by_pixel(*images) | {
        "Qabf": qabf_by_pixel(*images, ties_are_one=True),
        "Qabf, tang2023": qabf_by_pixel(*images, ties_are_one=False),
        "QG": qg_by_pixel(*images, accident=False),
        "QG, zliu": qg_by_pixel(*images, accident=True),
    }
    found = {name: score(VARIANTS[name], *images) for name in wanted}
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-14, nan_ok=True)


@relaxed
@given(TRIPLES)
def test_argument_accident(images: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    fused, infrared, visible = images
    found = score(VARIANTS["Nabf, tang2023"], fused, infrared, visible)
    assert found == score(fusion_artefacts, infrared, visible, fused)


@pytest.mark.parametrize("summation", ["matlab", "octave", "columns"])
@pytest.mark.parametrize("border", ["zero", "mirror"])
def test_order_of_summation(summation: accidents.Summation, border: Border) -> None:
    """Added one by one in Python; whatever the order, the sums are those of whole numbers but for rounding."""
    levels = np.random.default_rng(3).integers(0, 256, (7, 9))
    picture = Picture(tensor(levels), 255)
    down, across = (x[0, 0].numpy() for x in accidents.RESPONSES[summation](picture.levels, border))
    padded = np.pad(levels / 255, 1, mode="reflect" if border == "mirror" else "constant")
    kernel = np.outer((1, 2, 1), (-1, 0, 1))
    for weights, found in ((kernel, across), (kernel.T, down)):
        wanted = np.empty(levels.shape)
        for y, x in product(range(7), range(9)):
            term = [[weights[v, u] * padded[y + v, x + u] for u in range(3)] for v in range(3)]
            if summation == "columns":
                columns = [term[0][u] + term[1][u] + term[2][u] for u in range(3)]
                wanted[y, x] = columns[0] + columns[1] + columns[2]
            else:
                wanted[y, x] = 0
                for u in (2, 1, 0) if summation == "matlab" else (0, 1, 2):
                    for v in (2, 1, 0):
                        wanted[y, x] += term[v][u]
        assert np.array_equal(found, wanted)
    exact = [x[0, 0].numpy() / 255 for x in _sobel.sobel(picture.levels, border)]
    assert np.allclose([down, across], exact, rtol=0, atol=1e-14)
    assert not np.array_equal([down, across], exact)


def test_orders_differ_where_zeros_are_noise() -> None:
    """Ramps with equal sums: the responses that should be zero are not."""
    y, x = np.mgrid[0:24, 0:24]
    images = (7 * y % 256, 5 * x % 256, (3 * x + 7 * y) % 256)
    found = [score(partial(QABF_2023, summation=s), *images) for s in ("matlab", "octave")]
    assert abs(found[0] - found[1]) > 0.1
    assert min(found) < score(QABF_2023, *images) < max(found)


def test_roots_are_the_nearest_numbers() -> None:
    x = torch.rand(3, 1, 40, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 1000
    assert np.array_equal(_sobel.root(x).numpy(), np.sqrt(x.numpy()))
    transposed = x.transpose(2, 3)
    assert np.array_equal(_sobel.root(transposed).numpy(), np.sqrt(transposed.numpy()))


def test_weights_begin_at_a_strength_of_two() -> None:
    """Across a step of 4 levels, Sobel / 8 gives 2 exactly: that counts 2^1.5, one level less 0.001."""
    for level, weight in ((3, 0.001), (4, 2**1.5), (5, 2.5**1.5)):
        source = np.repeat([[0, 0, level, level]], 4, 0)
        lost = score(fusion_loss, 0 * source, source, 0 * source)
        # Flat in both images: q of a ratio of 0 and angles that agree.
        missing = 1 - math.sqrt(0.9999 * logistic(-9.5) * 0.9995 * logistic(11))
        upright = 1 - math.sqrt(0.9999 * logistic(-9.5) * 0.9995 * logistic(-11))
        both = 2 * weight * upright + 6 * 0.001 * missing
        assert lost == pytest.approx(both / (2 * weight + 6 * 0.001), rel=1e-12)


# Cases that are known exactly


@relaxed
@given(TRIPLES)
def test_the_same_image_three_times(images: tuple[np.ndarray, ...]) -> None:
    image = images[0]
    best = 0.9994 * logistic(7.5) * 0.9879 * logistic(4.4)
    found = score(gradient_quality, image, image, image)
    # One pixel alone has no edges.
    has_edges = not math.isnan(qabf_by_pixel(image, image, image, ties_are_one=True))
    assert found == pytest.approx(best if has_edges else math.nan, rel=1e-13, nan_ok=True)
    assert score(survey_gradient_quality, image, image, image) == pytest.approx(logistic(5) ** 2, rel=1e-13)
    assert score(fusion_artefacts, image, image, image) == 0


@relaxed
@given(st.lists(st.integers(0, 255), min_size=3, max_size=3), st.integers(1, 6), st.integers(1, 6))
def test_constant_images(levels: list[int], height: int, width: int) -> None:
    images = [np.full((height, width), level) for level in levels]
    kept = math.sqrt(0.9999 * logistic(-9.5) * 0.9995 * logistic(11))
    assert score(total_performance, *images) == pytest.approx(kept, rel=1e-12)
    assert score(fusion_loss, *images) == pytest.approx(1 - kept, rel=1e-12)
    assert score(fusion_artefacts, *images) == score(PLAIN["Nabf_o"], *images) == 0
    assert math.isnan(score(gradient_quality, images[0], 0 * images[1], 0 * images[2]))
    assert 0 < score(survey_gradient_quality, *images) <= logistic(5) ** 2 + 1e-15


def test_black_sources_have_no_quality_and_others_do() -> None:
    image = np.random.default_rng(5).integers(0, 256, (6, 7))
    for variant in ("Qabf", "Qabf, tang2022", "Qabf, tang2023", "Qabf, hli"):
        assert math.isnan(score(VARIANTS[variant], image, 0 * image, 0 * image))
        assert score(VARIANTS[variant], 0 * image, image, image) < 1e-3
        assert score(VARIANTS[variant], image, 0 * image + 9, 0 * image) > 0


# Properties


@relaxed
@given(TRIPLES)
def test_ranges(images: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    found = {name: score(metric, *images) for name, metric in PLAIN.items()}
    assert math.isnan(found["Qabf"]) or 0 <= found["Qabf"] <= 0.9748
    assert 0 < found["QG"] <= 0.9867
    assert 0 < found["Qabf_p"] <= 0.9998
    assert 0 <= found["Labf"] <= 1
    assert 0 <= found["Nabf"] <= 1
    assert found["Nabf"] <= found["Nabf_o"] <= 2


@relaxed
@given(TRIPLES)
def test_sources_are_equals(images: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    fused, infrared, visible = images
    for name in VARIANTS.keys() - {"QG, zliu", "Nabf, tang2023"}:
        there, back = (score(VARIANTS[name], fused, *pair) for pair in ((infrared, visible), (visible, infrared)))
        assert there == pytest.approx(back, rel=1e-11, abs=1e-14, nan_ok=True), name


@relaxed
@given(TRIPLES)
def test_turns_and_flips(images: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """A half turn keeps angles; a flip changes all their signs, but Qabf's and QG's angles without a change across."""
    for name, metric in PLAIN.items():
        turned = [images, tuple(x[::-1, ::-1] for x in images)]
        if name not in ("Qabf", "QG"):
            turned += [tuple(x[::-1] for x in images), tuple(x[:, ::-1] for x in images)]
        found = [score(metric, *each) for each in turned]
        tolerance = 1e-4 if name == "QG" else 1e-11
        assert found == pytest.approx([found[0]] * len(found), rel=tolerance, abs=1e-14, nan_ok=True), name


@relaxed
@given(TRIPLES, st.integers(0, 55))
def test_petrovic_ignores_brightness(images: tuple[np.ndarray, np.ndarray, np.ndarray], offset: int) -> None:
    dark = [np.minimum(image, 200).astype(int) for image in images]
    for metric in (total_performance, fusion_loss, fusion_artefacts):
        assert score(metric, *dark) == score(metric, *(image + offset for image in dark))


@relaxed
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_batch_equals_one_by_one(count: int, height: int, width: int, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (3, count, height, width))
    for name, metric in VARIANTS.items():
        together = metric(*(torch.from_numpy(x)[:, None] for x in images), data_range=255)
        assert together.shape == (count,)
        assert together.dtype == torch.float64
        alone = [score(metric, *(x[i] for x in images)) for i in range(count)]
        assert together.tolist() == pytest.approx(alone, rel=1e-12, abs=1e-15, nan_ok=True), name


@pytest.mark.parametrize("name", VARIANTS)
def test_parts_are_added_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(8).integers(0, 256, (3, 2, 1, 11, 13))
    whole = VARIANTS[name](*map(torch.from_numpy, images), data_range=255)
    monkeypatch.setattr(_pictures, "_STRIP", 40)
    in_parts = VARIANTS[name](*map(torch.from_numpy, images), data_range=255)
    assert in_parts.tolist() == pytest.approx(whole.tolist(), rel=1e-12)


def test_pictures_are_remembered_and_not_changed() -> None:
    """One source, several fused images, all metrics twice: nothing is mixed up."""
    fused, other, infrared, visible = np.random.default_rng(9).integers(0, 256, (4, 8, 9))
    known = [Picture(tensor(image), 255) for image in (fused, other, infrared, visible)]
    before = [picture.levels.clone() for picture in known]
    for _ in range(2):
        for name, metric in VARIANTS.items():
            for i, image in enumerate((fused, other)):
                assert metric(known[i], known[2], known[3]).item() == score(metric, image, infrared, visible), name
    assert all(torch.equal(picture.levels, levels) for picture, levels in zip(known, before, strict=True))


def test_fused_pictures_are_forgotten() -> None:
    """Neither a source nor the fused picture itself holds on to it."""
    infrared, visible = (Picture(torch.rand(1, 1, 8, 9)) for _ in range(2))
    gone = []
    gc.disable()
    try:
        for metric in VARIANTS.values():
            fused = Picture(torch.rand(1, 1, 8, 9))
            metric(fused, infrared, visible)
            gone.append(weakref.ref(fused))
            del fused
        assert [reference() for reference in gone] == [None] * len(VARIANTS)
    finally:
        gc.enable()


# Gradients


def unrounded(levels: Tensor) -> Picture:
    picture = Picture(levels.detach(), 255)
    picture.levels = levels
    return picture


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_are_slopes(name: str) -> None:
    generator = torch.Generator().manual_seed(4)
    images = [255 * torch.rand(2, 1, 4, 5, dtype=torch.float64, generator=generator) for _ in range(3)]

    def scores(*levels: Tensor) -> Tensor:
        return VARIANTS[name](*map(unrounded, levels))

    assert torch.autograd.gradcheck(scores, [x.requires_grad_() for x in images], eps=1e-5, rtol=1e-4, atol=1e-8)
    scores(*images).sum().backward()
    assert max(x.grad.abs().max() for x in images if x.grad is not None) > 0


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_finite_on_flat_areas_and_steps(name: str, seed: int) -> None:
    levels = 127.5 * np.random.default_rng(seed).integers(0, 3, (3, 1, 1, 12, 14)).repeat(3, 3).repeat(3, 4)
    images = [torch.from_numpy(x).requires_grad_() for x in (*levels[:2], 0 * levels[2])]
    value = VARIANTS[name](*images, data_range=255)
    value.sum().backward()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in images)
    with torch.no_grad():
        # OpenCV instead of matrix products. Ties in [0, 1] need roots that are the nearest numbers.
        tolerance = 1e-3 if "tang2022" in name or "hli" in name else 1e-12
        plain = VARIANTS[name](*images, data_range=255)
        assert plain.item() == pytest.approx(value.item(), rel=tolerance, abs=1e-15)


def test_quality_can_be_improved_by_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    infrared, visible = torch.rand(2, 1, 1, 16, 16, generator=generator)
    fused = ((infrared + visible) / 2).requires_grad_()
    before = gradient_quality(fused, infrared, visible)
    before.sum().backward()
    assert fused.grad is not None
    after = gradient_quality(fused + 0.02 * fused.grad / fused.grad.abs().max(), infrared, visible)
    assert after > before + 1e-3


# Errors


@pytest.mark.parametrize("metric", PLAIN.values())
def test_sizes_that_differ(metric: Metric) -> None:
    image, smaller = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 6, 5)
    with pytest.raises(MetricError, match="differ in shape"):
        metric(image, image, smaller)
