"""Feature mutual information against published values, its definition step by step, and its invariances."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.imaging import read_image
from imfuse.metrics import Picture, fmi
from imfuse.metrics.features import Feature, feature_of
from imfuse.metrics.fmi import feature_mutual_information

FEATURES: tuple[Feature, ...] = get_args(Feature)
METHODS = ("densefuse", "seafusion", "u2fusion")


def tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.copy()).reshape(1, 1, *image.shape)


def score(*images: np.ndarray, feature: Feature = "none") -> float:
    return feature_mutual_information(*map(tensor, images), data_range=255, feature=feature).item()


def random_triple(height: int, width: int, top: int = 255, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, top + 1, (3, height, width), np.uint8))


# Published values


def published(shared: Path, method: str, image: str) -> list[np.ndarray]:
    folders = (shared / "truth" / "fused" / method, shared / "data" / "tno" / "ir", shared / "data" / "tno" / "vi")
    return [read_image(folder / f"{image}.png") for folder in folders]


@pytest.mark.parametrize("feature", ["none", "gradient", "edge", "dct"])
def test_published_code_gives_the_same_on_crops(shared: Path, feature: Feature) -> None:
    with (shared / "truth" / "octave_tno.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == f"FMI_{feature}"]
    assert len(rows) == 9
    for row in rows:
        top, left, height, width = map(int, row["crop"].split(":"))
        images = [
            image[top : top + height, left : left + width] for image in published(shared, row["method"], row["image"])
        ]
        assert score(*images, feature=feature) == pytest.approx(float(row["value"]), rel=1e-13)


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        ("none", [0.58060724507, 0.532072981114, 0.50967731653]),
        ("gradient", [0.549509203463, 0.488098062942, 0.471329275316]),
        ("edge", [0.868738178749, 0.870824624791, 0.849301182005]),
        ("dct", [0.484686133404, 0.327248912365, 0.333576366609]),
        ("wavelet", [0.509778947856, 0.40825658421, 0.388828575857]),
    ],
)
def test_whole_pictures_score_as_the_fact_sheet_says(shared: Path, feature: Feature, values: list[float]) -> None:
    scores = [score(*published(shared, method, "08"), feature=feature) for method in METHODS]
    assert scores == pytest.approx(values, rel=2e-12)


# The definition, one window at a time


def definition(fused: Sequence[float], source: Sequence[float]) -> float:
    """Score of two windows of nine values, read column by column: the steps of the paper, as loops."""
    flat = [max(window) == min(window) for window in (fused, source)]
    if list(fused) == list(source) or all(flat):
        return 1
    if any(flat):
        return 0
    p, q = ([value - min(window) for value in window] for window in (fused, source))
    p, q = ([value / sum(share) for value in share] for share in (p, q))
    norms = math.sqrt(sum((x - 1 / 9) ** 2 for x in p) * sum((x - 1 / 9) ** 2 for x in q))
    correlation = sum((x - 1 / 9) * (y - 1 / 9) for x, y in zip(p, q, strict=True)) / norms

    def deviation(share: list[float]) -> float:
        mean = sum(place * x for place, x in enumerate(share))
        return math.sqrt(sum((place - mean) ** 2 * x for place, x in enumerate(share)))

    def bound(i: int, j: int) -> float:
        below, beside = math.fsum(p[:i]), math.fsum(q[:j])
        return min(below, beside) if correlation >= 0 else max(below + beside - 1, 0)

    places = list(product(range(1, 10), repeat=2))
    covariance = sum(bound(i, j) - math.fsum(p[:i]) * math.fsum(q[:j]) for i, j in places)
    spread = deviation(p) * deviation(q)
    phi = correlation * spread / covariance if spread else 0
    joint = [
        phi * (bound(i, j) - bound(i - 1, j) - bound(i, j - 1) + bound(i - 1, j - 1)) + (1 - phi) * p[i - 1] * q[j - 1]
        for i, j in places
    ]

    def entropy(shares: list[float]) -> float:
        return -sum(x * math.log2(abs(x)) for x in shares if x)

    alone = entropy(p) + entropy(q)
    return 2 * (alone - entropy(joint)) / alone if alone else 0


def mean_of_windows(fused: np.ndarray, *sources: np.ndarray) -> float:
    windows = [
        [image[y : y + 3, x : x + 3].T.ravel().astype(float).tolist() for image in (fused, *sources)]
        for y, x in np.ndindex(fused.shape[0] - 2, fused.shape[1] - 2)
    ]
    return float(np.mean([[definition(first, other) for other in others] for first, *others in windows]))


def by_tables(*images: np.ndarray) -> float:
    return fmi._by_tables(*(torch.from_numpy(image).double() for image in images))


triples = hnp.array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=5).flatmap(
    lambda shape: hnp.arrays(np.uint8, (3, *shape), elements=st.sampled_from([0, 1, 2, 3, 50, 255]))
)


@settings(max_examples=60, deadline=None)
@given(triples)
@example(
    np.array(
        [[[0, 0, 0], [0, 5, 0], [0, 0, 0]], [[0, 0, 0], [0, 5, 0], [0, 0, 0]], [[0, 0, 0], [0, 9, 0], [0, 0, 0]]],
        np.uint8,
    )
)
def test_scores_are_the_mean_of_the_definition_over_windows(images: np.ndarray) -> None:
    expected = mean_of_windows(*images)
    assert score(*images) == pytest.approx(expected, rel=1e-9, abs=1e-11)
    assert by_tables(*images) == pytest.approx(expected, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("feature", FEATURES)
def test_the_fast_form_equals_the_tables(
    feature: Feature, scene_pair: Callable[[int, int, int], tuple[Tensor, Tensor]]
) -> None:
    infrared, visible = (Picture(image) for image in scene_pair(40, 56, 3))
    triple = [Picture((infrared.levels + visible.levels) / 2, 255), infrared, visible]
    tables = fmi._by_tables(*(feature_of(part, feature)[0, 0] for part in triple))
    assert feature_mutual_information(*triple, feature=feature).item() == pytest.approx(tables, rel=1e-12)


@pytest.mark.parametrize("size", [1, 7, 100, 10**6])
def test_chunks_leave_no_trace(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_triple(9, 14)
    expected = by_tables(*images)
    monkeypatch.setattr(fmi, "_CHUNK", size)
    monkeypatch.setattr(fmi, "_TABLES", size)
    assert score(*images) == pytest.approx(expected, rel=1e-12)
    assert by_tables(*images) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_share_the_chunks(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_triple(20, 31)
    expected = score(*images)
    monkeypatch.setattr(fmi, "_CHUNK", 100)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert score(*images) == pytest.approx(expected, rel=1e-13)


def test_windows_of_zeros_and_ones_score_alike_by_kinds_and_by_chunks() -> None:
    planes = [torch.from_numpy(image).double() for image in random_triple(30, 40, top=1)]
    assert fmi._by_kinds(*planes) == pytest.approx(fmi._by_chunks(*planes), rel=1e-12)


# What the score does not depend on, and where it has no choice


@pytest.mark.parametrize("feature", FEATURES)
def test_images_equal_to_their_sources_score_1(feature: Feature) -> None:
    image = random_triple(8, 11)[0]
    assert score(image, image, image, feature=feature) == 1


def test_two_flat_windows_score_1_and_one_flat_window_0() -> None:
    flat, other = np.full((5, 6), 100, np.uint8), random_triple(5, 6)[0]
    assert score(flat, flat + 50, flat + 50) == 1
    assert score(flat, other, other) == 0
    assert score(other, flat, flat) == 0
    assert score(flat, flat + 50, other) == 0.5


@pytest.mark.parametrize("feature", ["dct", "wavelet"])
def test_rounding_of_a_transform_is_no_structure(feature: Feature) -> None:
    """Of a constant image, transforms leave 1e-13 instead of zeros: flat all the same, in both forms."""
    flat = [np.full((21, 26), level, np.uint8) for level in (100, 7, 203)]
    planes = [feature_of(Picture(tensor(image), 255), feature)[0, 0] for image in flat]
    assert score(*flat, feature=feature) == pytest.approx(fmi._by_tables(*planes), rel=1e-9)
    assert score(*flat, feature=feature) > 0.9


@pytest.mark.parametrize("feature", FEATURES)
def test_sources_are_interchangeable(feature: Feature) -> None:
    fused, infrared, visible = random_triple(12, 15)
    swapped = score(fused, visible, infrared, feature=feature)
    assert score(fused, infrared, visible, feature=feature) == pytest.approx(swapped, rel=1e-13)


def test_gain_and_offset_of_an_image_do_not_matter() -> None:
    fused, infrared, visible = random_triple(12, 15, top=80)
    assert score(3 * fused + 10, infrared, visible) == pytest.approx(score(fused, infrared, visible), rel=1e-12)


def test_windows_are_read_column_by_column() -> None:
    images = random_triple(6, 8)
    across = [np.ascontiguousarray(image.T) for image in images]
    assert score(*images) == pytest.approx(mean_of_windows(*images), rel=1e-10)
    assert score(*across) != pytest.approx(score(*images), rel=1e-3)


def test_an_unrelated_image_scores_less_than_a_related_one() -> None:
    fused, infrared, visible = random_triple(40, 40)
    near = np.clip(fused.astype(int) + np.random.default_rng(1).integers(-5, 6, fused.shape), 0, 255).astype(np.uint8)
    assert score(fused, near, near) > score(fused, infrared, visible) + 0.3


@pytest.mark.parametrize("feature", FEATURES)
def test_images_of_a_batch_do_not_mix(feature: Feature) -> None:
    batches = [torch.from_numpy(np.stack(random_triple(9, 13, seed=seed))[:, None]) for seed in range(3)]
    scores = feature_mutual_information(*batches, data_range=255, feature=feature)
    each = [score(*(batch[i, 0].numpy() for batch in batches), feature=feature) for i in range(3)]
    assert scores.shape == (3,)
    assert scores.dtype == torch.float64
    assert scores.tolist() == each
    assert all(first != second for first, second in pairwise(each))


def test_no_gradient_flows() -> None:
    fused = torch.rand(1, 1, 6, 6, requires_grad=True)
    assert not feature_mutual_information(fused, fused.detach(), torch.rand(1, 1, 6, 6)).requires_grad


def test_images_smaller_than_a_window_are_refused() -> None:
    assert 0 <= score(*random_triple(3, 3)) <= 1
    with pytest.raises(MetricError, match=r"feature mutual information needs at least 3x3 pixels, found 9x2"):
        score(*random_triple(2, 9))
