"""Metrics from histograms: published values, their definitions counted pixel by pixel, known cases, invariances."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics import Picture, accidents
from imfuse.metrics._histograms import histogram, joint_histogram
from imfuse.metrics.information import (
    cross_entropy,
    entropy,
    mutual_information,
    nonlinear_correlation_information_entropy,
    normalised_mutual_information,
    tsallis_information,
)
from metric_pictures import (
    FormulaPair,
    check_batches,
    check_formula_values,
    check_octave_values,
    picture,
    pictures,
    rows,
)

Score = Callable[[Picture, Picture, Picture], Tensor]

SCORES: dict[str, Score] = {
    "EN": lambda f, a, b: entropy(f),
    "MI": mutual_information,
    "MI nat": lambda f, a, b: mutual_information(f, a, b, unit="nat"),
    "MI merged": accidents.mutual_information_of_merged_levels,
    "MI rows": accidents.mutual_information_of_rows,
    "QMI": normalised_mutual_information,
    "QTE": tsallis_information,
    "QTE 1.85": lambda f, a, b: tsallis_information(f, a, b, order=1.85),
    "QTE Cvejic": lambda f, a, b: tsallis_information(f, a, b, order=1.85, divisor="none"),
    "QTE Nava": partial(accidents.survey_tsallis_information, exchanged=False),
    "QTE Cvejic, exchanged": partial(accidents.survey_tsallis_information, order=1.85, divisor="none"),
    "QTE Nava, exchanged": accidents.survey_tsallis_information,
    "QNCIE": nonlinear_correlation_information_entropy,
    "CE": cross_entropy,
}
EXCHANGED = [name for name in SCORES if name.endswith("exchanged")]
OCTAVE = {
    "EN": "EN",
    "MI": "MI merged",
    "QMI_hossny": "QMI",
    "QTE_cvejic": "QTE Cvejic, exchanged",
    "QTE_nava": "QTE Nava, exchanged",
    "QNCIE": "QNCIE",
    "CE_vifb": "CE",
}
OTHERS = {
    "cddfuse": {"EN": "EN", "MI": "MI nat"},
    "refinefuse": {"EN": "EN"},
    "tang2023": {"EN": "EN", "MI": "MI merged"},
    "vifb": {"EN": "EN", "MI": "MI nat", "CE": "CE"},
    "hli": {"EN": "EN", "MI": "MI rows"},
    "zliu": {
        "QMI": "QMI",
        "QTE_cvejic": "QTE Cvejic, exchanged",
        "QTE_nava": "QTE Nava, exchanged",
        "QNCIE": "QNCIE",
    },
    "zliu-corrected": {"QTE_cvejic": "QTE Cvejic", "QTE_nava": "QTE Nava"},
}
PLACES = (("densefuse", "08"), ("seafusion", "08"), ("u2fusion", "08"), ("densefuse", "10"))
PLAIN = {
    "EN": (6.47480956332, 6.86338709331, 5.95197716012, 6.66431603411),
    "MI": (4.31154755531, 4.47096153465, 3.30517070997, 1.92751232222),
    "MI merged": (4.31184525085, 4.47167343379, 3.3053463352, 1.9298968608),
    "QMI": (0.670531459425, 0.6727144295, 0.536789590849, 0.285646661733),
    "QTE Cvejic": (17.9165613612, 17.3291497096, 14.1477843671, 4.60506285265),
    "QTE": (0.0315808296699, 0.0312758249082, 0.0247522710706, 0.0124103200864),
    "QTE 1.85": (-14.940409061, -14.4505734176, -11.7976704062, 3.63015371316),
    "QNCIE": (0.811815548347, 0.813082439355, 0.808172760413, 0.803944465599),
    "CE": (0.156986099065, 0.302336336569, 0.411649853073, 3.57298416907),
}


def related(*shape: int, seed: int = 0) -> np.ndarray:
    """Fused image and sources with few levels, which therefore tell of each other."""
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 5, (2, *shape)) * 60.0
    return np.stack([np.where(random.random(shape) < 0.3, 255, (a + b) // 2), a, b])


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
        assert SCORES["EN"](*images).item() == pytest.approx(wanted["EN"], rel=1e-13), method
        assert SCORES["MI merged"](*images).item() == pytest.approx(wanted["MI"], rel=1e-11), method


def test_published_code_run_in_octave(shared: Path) -> None:
    check_octave_values(shared, SCORES, OCTAVE)


def test_other_conventions(shared: Path, formula_pair: FormulaPair) -> None:
    check_formula_values(shared, formula_pair, SCORES, OTHERS)


@pytest.mark.parametrize("column", range(4))
def test_recommended_values(shared: Path, column: int) -> None:
    images = pictures(shared, *PLACES[column])
    for name, values in PLAIN.items():
        assert SCORES[name](*images).item() == pytest.approx(values[column], rel=5e-12), name


# What the formulas say, counted pixel by pixel


def shares(*images: np.ndarray) -> dict[tuple[float, ...], float]:
    """How often each level, or each combination of levels of several images, occurs."""
    count = Counter(zip(*(image.ravel().tolist() for image in images), strict=True))
    return {key: value / images[0].size for key, value in count.items()}


def bits(*images: np.ndarray) -> float:
    return -sum(p * math.log2(p) for p in shares(*images).values())


def common(x: np.ndarray, y: np.ndarray) -> float:
    return bits(x) + bits(y) - bits(x, y)


def stretch(x: np.ndarray) -> np.ndarray:
    return np.floor(255 * (x - x.min()) / (x.max() - x.min()) + 0.5)


def tsallis(x: np.ndarray, y: np.ndarray, q: float, exchanged: bool = False) -> float:
    joint, total = shares(x, y), 0.0
    first, second = (shares(y), shares(x)) if exchanged else (shares(x), shares(y))
    for (i, j), share in joint.items():
        apart = first.get((i,), 0) * second.get((j,), 0)
        total += share**q / apart ** (q - 1) if apart else 0
    return (1 - total) / (1 - q)


def tsallis_entropy(x: np.ndarray, q: float) -> float:
    return (1 - sum(p**q for p in shares(x).values())) / (q - 1)


def divergence(x: np.ndarray, f: np.ndarray) -> float:
    theirs, ours = shares(x), shares(f)
    return sum(p * math.log2(p / ours[level]) for level, p in theirs.items() if level in ours)


@pytest.mark.parametrize("seed", range(4))
def test_counted_pixel_by_pixel(seed: int) -> None:
    images = related(12, 9, seed=seed)
    f, a, b = images
    sources, q, r = (a, b), 0.43137, 1.85
    matrix = [[1, common(a, b) / 8, common(a, f) / 8], [0, 1, common(b, f) / 8], [0, 0, 1]]
    thirds = np.linalg.eigvalsh(matrix, UPLO="U") / 3
    kept, kept_cvejic = (sum(tsallis(x, f, order) for x in sources) for order in (q, r))
    sf, sa, sb = (stretch(image) for image in images)
    exchanged = {order: sum(tsallis(x, sf, order, True) for x in (sa, sb)) for order in (q, r)}
    wanted = {
        "EN": bits(f),
        "MI": sum(common(x, f) for x in sources),
        "MI nat": sum(common(x, f) for x in sources) * math.log(2),
        "MI merged": sum(bits(x) + bits(f) - bits(np.minimum(x, 254), np.minimum(f, 254)) for x in sources),
        "MI rows": 2 * bits(f),
        "QMI": sum(2 * common(x, f) / (bits(x) + bits(f)) for x in sources),
        "QTE": kept / (tsallis_entropy(a, q) + tsallis_entropy(b, q) - tsallis(a, b, q)),
        "QTE 1.85": kept_cvejic / (tsallis_entropy(a, r) + tsallis_entropy(b, r) - tsallis(a, b, r)),
        "QTE Cvejic": kept_cvejic,
        "QTE Nava": kept / (bits(a) ** q + bits(b) ** q + tsallis(a, b, q)),
        "QTE Cvejic, exchanged": exchanged[r],
        "QTE Nava, exchanged": exchanged[q] / (bits(a) ** q + bits(b) ** q + tsallis(sa, sb, q, True)),
        "QNCIE": 1 + sum(third * math.log(third, 256) for third in thirds),
        "CE": sum(divergence(x, f) for x in sources) / 2,
    }
    assert scores(*images) == pytest.approx(wanted, rel=1e-11, abs=1e-13)


def test_entropy_of_equal_shares() -> None:
    for levels in (1, 2, 16, 256):
        image = picture(np.arange(256.0).reshape(16, 16) // (256 // levels))
        assert entropy(image).item() == pytest.approx(math.log2(levels), abs=1e-14)
    three_to_one = picture(np.array([[0.0, 1], [1, 1]]))
    assert entropy(three_to_one).item() == pytest.approx(2 - 0.75 * math.log2(3), rel=1e-15)


def test_merging_matters_at_the_top_alone() -> None:
    f, a, b = images = related(12, 9)
    below = scores(*np.minimum(images, 253))
    assert below["MI merged"] == below["MI"]
    bright = np.where(f > 100, 254 + (a > 100), 0.0)
    found = scores(bright, a, b)
    assert found["MI merged"] > found["MI"] + 0.1


def test_levels_that_the_fused_image_lacks_are_left_out() -> None:
    """A divergence would be infinite; this is below zero where a level is more frequent in the fused image."""
    a = np.array([[1.0, 2, 3, 3]])
    f = np.array([[1.0, 1, 2, 2]])
    assert cross_entropy(picture(f), picture(a), picture(a)).item() == pytest.approx(-0.5, rel=1e-15)
    apart = np.array([[7.0, 8, 9, 9]])
    assert cross_entropy(picture(f), picture(apart), picture(apart)).item() == 0


def test_histograms_are_counts() -> None:
    f, a, _ = (picture(image) for image in related(3, 12, 9))
    joint = joint_histogram(f, a)
    for shares_of_one, x, y in zip(joint, f.levels, a.levels, strict=True):
        wanted = np.histogram2d(x.ravel(), y.ravel(), bins=256, range=((0, 256), (0, 256)))[0] / x.numel()
        np.testing.assert_allclose(shares_of_one, wanted, rtol=1e-15)
    alone = Picture(f.levels, 255)
    torch.testing.assert_close(histogram(alone), histogram(f), rtol=1e-15, atol=0)


# Constants and images that are the same


@pytest.mark.parametrize("level", [0, 100, 255])
def test_constant_images(level: int) -> None:
    flat, (_, a, b) = np.full((12, 9), float(level)), related(12, 9)
    found = scores(flat, a, b)
    zero = ("EN", "MI", "MI nat", "MI rows", "QMI", "QTE", "QTE Cvejic", "QTE Nava")
    assert {name: found[name] for name in zero} == pytest.approx(dict.fromkeys(zero, 0), abs=1e-13)
    assert found["QNCIE"] > 1 - math.log(3, 256)
    if level == 255:
        assert found["MI merged"] == pytest.approx(0, abs=1e-13)
    for name in EXCHANGED:
        assert math.isnan(found[name]) == (level > 0), name

    found = scores(a, flat, flat)
    assert found["MI"] == pytest.approx(0, abs=1e-13)
    assert found["QMI"] == pytest.approx(0, abs=1e-13)
    assert math.isnan(found["QTE"])
    assert math.isnan(found["QTE Nava"])

    found = scores(flat, flat, flat)
    assert found["EN"] == found["MI"] == found["CE"] == 0
    assert math.isnan(found["QMI"])
    assert math.isnan(found["QTE"])
    assert found["QNCIE"] == pytest.approx(1 - math.log(3, 256), rel=1e-14)
    assert math.isnan(scores(flat, flat, b)["QMI"])


def test_images_that_are_the_same() -> None:
    _, a, _ = related(12, 9)
    found = scores(a, a, a)
    assert found["MI"] == pytest.approx(2 * bits(a), rel=1e-14)
    assert found["QMI"] == pytest.approx(2, rel=1e-14)
    assert found["CE"] == 0
    all_levels = np.arange(256.0).reshape(16, 16)
    assert scores(all_levels, all_levels, all_levels)["QNCIE"] == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("order", [0.0, 1.0, -0.5])
def test_orders_without_a_tsallis_entropy(order: float) -> None:
    image = picture(related(4, 4)[0])
    with pytest.raises(MetricError, match="must be positive and not 1"):
        tsallis_information(image, image, image, order=order)


# Properties

TRIPLES = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: hnp.arrays(np.uint8, (3, *size), elements=st.sampled_from([0, 1, 2, 77, 200, 253, 254, 255])).map(
        lambda images: images.astype(np.float64)
    )
)
relaxed = settings(deadline=None, max_examples=30)


def same(first: dict[str, float], second: dict[str, float]) -> None:
    assert first == pytest.approx(second, rel=1e-10, abs=1e-12, nan_ok=True)


@relaxed
@given(TRIPLES)
def test_sources_are_equals_and_pixels_have_no_place(images: np.ndarray) -> None:
    straight, (f, a, b) = scores(*images), images
    mixed = np.random.default_rng(0).permutation(f.size)
    same(straight, scores(*images.reshape(3, 1, -1)[..., mixed]))
    same(straight, scores(f, b, a))


@relaxed
@given(TRIPLES)
def test_levels_are_mere_names(images: np.ndarray) -> None:
    """As stretching renames them, it changes nothing: what other programs stretch needs no stretching here."""
    straight = scores(*images)
    names_of_levels = np.random.default_rng(0).permuted(np.arange(256.0)[None].repeat(3, 0), axis=1)
    renamed = scores(*(names[image.astype(int)] for names, image in zip(names_of_levels, images, strict=True)))
    spread = scores(*(accidents._stretched(picture(image)).levels[0, 0].numpy() for image in images))
    names = [name for name in SCORES if name not in ("MI merged", "CE", *EXCHANGED)]
    same({name: straight[name] for name in names}, {name: renamed[name] for name in names})
    same({name: straight[name] for name in names}, {name: spread[name] for name in names})


@relaxed
@given(TRIPLES)
def test_ranges(images: np.ndarray) -> None:
    found, size = scores(*images), images[0].size
    assert 0 <= found["EN"] <= min(8, math.log2(size)) + 1e-12
    assert 0 <= found["MI"] <= min(2 * found["EN"], bits(images[1]) + bits(images[2])) + 1e-12
    assert found["MI merged"] >= found["MI"] - 1e-12
    assert math.isnan(found["QMI"]) or 0 <= found["QMI"] <= 2 + 1e-12
    assert math.isnan(found["QTE"]) or -1e-12 <= found["QTE"] <= 2 + 1e-12
    assert 1 - math.log(3, 256) - 1e-12 <= found["QNCIE"] <= 1


@relaxed
@given(st.integers(2, 4), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_batch_is_one_by_one(count: int, height: int, width: int, seed: int) -> None:
    check_batches(SCORES, related(count, height, width, seed=seed))


def test_order_of_questions_changes_nothing() -> None:
    """A histogram may come from the picture alone, or from its first joint histogram."""
    images = related(12, 11)
    forth, back = [picture(image) for image in images], [picture(image) for image in images]
    first = {name: SCORES[name](*forth).item() for name in SCORES}
    second = {name: SCORES[name](*back).item() for name in reversed(SCORES)}
    assert first == pytest.approx(second, rel=1e-14)
    other = picture(related(12, 11, seed=1)[0])
    same(
        {name: score(other, *forth[1:]).item() for name, score in SCORES.items()},
        scores(other.levels[0, 0].numpy(), *images[1:]),
    )


def test_stretching() -> None:
    image = picture(np.array([[[10.0, 11, 12]], [[7, 7, 7]], [[0, 0, 0]], [[0, 255, 3]]]))
    assert accidents._stretched(image).levels[:, 0, 0].tolist() == [[0, 128, 255], [0, 0, 0], [0, 0, 0], [0, 255, 3]]


@pytest.mark.parametrize("name", SCORES)
def test_no_gradient(name: str) -> None:
    images = [Picture(torch.rand(1, 1, 5, 6, requires_grad=True)) for _ in range(3)]
    assert not SCORES[name](*images).requires_grad
