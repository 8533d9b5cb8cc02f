"""Features against their definitions, pixel by pixel, and their invariances."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics import Picture
from imfuse.metrics.features import Feature, feature_of

FEATURES: tuple[Feature, ...] = get_args(Feature)


def levels(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape)).double()


def feature(image: Tensor, name: Feature) -> Tensor:
    return feature_of(Picture(image.reshape(1, 1, *image.shape[-2:]), 255), name)[0, 0]


def test_the_plain_feature_is_the_image() -> None:
    image = levels(5, 7)
    assert torch.equal(feature(image, "none"), image)


def test_the_gradient_is_horizontal_central_and_one_sided_at_the_border() -> None:
    row = torch.tensor([0.0, 1, 4, 9, 16])
    assert feature(row.repeat(3, 1), "gradient").tolist() == [[1, 2, 4, 6, 7]] * 3
    assert feature(row[:, None].repeat(1, 3), "gradient").abs().max() == 0


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=8), elements=st.integers(0, 6))
)
def test_edges_are_crests_of_the_sobel_gradient_above_four_times_its_mean(image: np.ndarray) -> None:
    padded = np.pad(image.astype(int), 1, mode="edge")
    strength = np.zeros(image.shape, int)
    for y, x in np.ndindex(*image.shape):
        (a, b, c), (d, _, e), (f, g, h) = padded[y : y + 3, x : x + 3]
        strength[y, x] = (c + 2 * e + h - a - 2 * d - f) ** 2 + (f + 2 * g + h - a - 2 * b - c) ** 2
    strength[strength * strength.size <= 4 * strength.sum()] = 0
    around = np.pad(strength, 1)
    expected = np.zeros(image.shape)
    for y, x in np.ndindex(*image.shape):
        left, right, above, below = around[y + 1, x], around[y + 1, x + 2], around[y, x + 1], around[y + 2, x + 1]
        expected[y, x] = strength[y, x] > max(left, right) or strength[y, x] > max(above, below)
    assert feature(torch.from_numpy(image), "edge").tolist() == expected.tolist()


def test_an_edge_is_where_the_step_is() -> None:
    image = torch.zeros(9, 24)
    image[:, 12] = 50
    image[:, 13:] = 100
    assert feature(image, "edge").sum(0).nonzero().flatten().tolist() == [12]


def test_edges_ignore_gain_and_offset() -> None:
    image = levels(20, 30) // 4
    assert torch.equal(feature(3 * image + 20, "edge"), feature(image, "edge"))


def test_cosines_are_the_products_with_the_cosine_matrices() -> None:
    image = levels(6, 9)

    def matrix(size: int) -> Tensor:
        k, n = torch.arange(size).double()[:, None], torch.arange(size).double()
        rows = torch.cos(torch.pi * k * (2 * n + 1) / (2 * size)) * (2 / size) ** 0.5
        rows[0] /= 2**0.5
        return rows

    assert (feature(image, "dct") - matrix(6) @ image @ matrix(9).T).abs().max() < 1e-10


def test_wavelet_tiles_have_the_size_of_the_filter_and_run_from_0_to_1() -> None:
    tiles = feature(levels(40, 51), "wavelet")
    assert tiles.shape == (2 * ((40 + 61) // 2), 2 * ((51 + 61) // 2))
    assert (tiles.min(), tiles.max()) == (0, 1)


def test_wavelet_tiles_are_mean_horizontal_vertical_and_diagonal() -> None:
    """Equal columns leave nothing for the vertical and the diagonal tile, equal rows nothing for the horizontal one.

    Next to nothing: the high-pass filter sums to 0.001.
    """

    def detail(image: Tensor) -> list[bool]:
        tiles = feature(image, "wavelet")
        quarters = [part for half in tiles.chunk(2, 0) for part in half.chunk(2, 1)]
        return [(part.max() - part.min() > 0.01).item() for part in quarters]

    rows = levels(24, 1).repeat(1, 24)
    assert detail(rows) == [True, True, False, False]
    assert detail(rows.T) == [True, False, True, False]


def test_a_black_image_has_finite_tiles() -> None:
    assert feature(torch.zeros(8, 8), "wavelet").isfinite().all()


@pytest.mark.parametrize("name", FEATURES)
def test_images_of_a_batch_do_not_mix(name: Feature) -> None:
    batch = Picture(levels(3, 1, 13, 18), 255)
    each = [feature_of(Picture(image[None], 255), name) for image in batch.levels]
    assert torch.equal(feature_of(batch, name), torch.cat(each))
    assert feature_of(batch, name).dtype == torch.float64


def test_features_are_remembered() -> None:
    image = Picture(levels(1, 1, 8, 8), 255)
    assert feature_of(image, "dct") is feature_of(image, "dct")
    assert feature_of(image, "dct") is not feature_of(image, "edge")


def test_features_have_no_gradients() -> None:
    image = Picture(torch.rand(1, 1, 8, 8, requires_grad=True))
    assert not any(feature_of(image, name).requires_grad for name in FEATURES)


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(MetricError, match=r"unknown feature 'edges'; there are none, gradient, edge, dct, wavelet"):
        feature_of(Picture(levels(1, 1, 4, 4), 255), "edges")  # type: ignore[arg-type]
