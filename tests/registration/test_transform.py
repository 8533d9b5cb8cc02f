"""Transforms: models, directions, sizes, and pictures that they resample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imfuse.core.errors import RegistrationError
from imfuse.registration.transform import LEAST_POINTS, MODELS, Model, Transform, corners_of, fit_transform, identity
from imfuse.registration.warp import covered, warp

SIZE = (48, 64)
small = st.floats(-0.1, 0.1)


def made(a: float, b: float, c: float, d: float, x: float, y: float, p: float = 0, q: float = 0) -> Transform:
    return Transform(np.array([[1 + a, b, x], [c, 1 + d, y], [p, q, 1]]))


@given(small, small, small, small, st.floats(-40, 40), st.floats(-40, 40), st.floats(-1e-3, 1e-3))
def test_a_fit_finds_the_transform_that_made_the_points(
    a: float, b: float, c: float, d: float, x: float, y: float, p: float
) -> None:
    true, points = made(a, b, c, d, x, y, p), np.random.default_rng(0).random((9, 2)) * [64, 48]
    found = fit_transform(points, true.apply(points), "homography")
    assert np.abs(found.apply(corners_of(SIZE)) - true.apply(corners_of(SIZE))).max() < 1e-4


@pytest.mark.parametrize(
    ("model", "true"),
    [
        ("identity", identity()),
        ("shift", made(0, 0, 0, 0, 3, -4)),
        ("rigid", made(np.cos(0.1) - 1, -np.sin(0.1), np.sin(0.1), np.cos(0.1) - 1, 3, -4)),
        ("similarity", made(0.2, -0.1, 0.1, 0.2, 3, -4)),
        ("affine", made(0.2, 0.05, -0.1, 0.1, 3, -4)),
    ],
)
def test_each_model_meets_points_of_its_own_kind_with_the_least_of_them(model: Model, true: Transform) -> None:
    points = np.random.default_rng(1).random((max(1, LEAST_POINTS[model]), 2)) * 50
    assert np.allclose(fit_transform(points, true.apply(points), model).matrix, true.matrix, atol=1e-9)


@pytest.mark.parametrize("model", [model for model in MODELS if LEAST_POINTS[model]])
def test_too_few_points_are_refused(model: Model) -> None:
    points = np.zeros((LEAST_POINTS[model] - 1, 2))
    with pytest.raises(RegistrationError, match=f"at least {LEAST_POINTS[model]}"):
        fit_transform(points, points, model)


def test_a_rigid_fit_never_mirrors() -> None:
    points = np.array([[0.0, 0], [4, 0], [4, 2], [0, 2]])
    found = fit_transform(points, points * [-1, 1], "rigid")
    assert np.linalg.det(found.matrix) == pytest.approx(1)


@given(small, small, st.floats(-20, 20), st.floats(-20, 20))
def test_inverse_and_composition(a: float, b: float, x: float, y: float) -> None:
    one = made(a, b, -b, a, x, y)
    assert np.allclose(one.after(one.inverse()).matrix, np.eye(3), atol=1e-9)


def test_resized_pictures_keep_their_edges() -> None:
    double = identity().scaled((2, 2), (1, 1))
    # The edges -0.5 and 127.5 of the large moving picture lie at -0.5 and 63.5 of the small one.
    assert np.allclose(double.apply(np.array([[-0.5, -0.5], [127.5, 95.5]])), [[-0.5, -0.5], [63.5, 47.5]])


def test_points_behind_the_camera_have_no_place() -> None:
    assert np.isinf(made(0, 0, 0, 0, 0, 0, -1).apply(np.array([[2.0, 0.0]]))).all()


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.eye(2)])
def test_what_cannot_be_inverted_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(RegistrationError):
        Transform(matrix)


def test_an_identity_returns_the_picture() -> None:
    picture = np.random.default_rng(2).random(SIZE, np.float32)
    warped, inside = warp(picture, identity(), SIZE)
    assert np.array_equal(warped, picture)
    assert inside.all()


def test_a_warped_picture_shows_what_lies_there() -> None:
    y, x = np.mgrid[:96, :128].astype(np.float32)
    picture = np.sin(x / 9) + np.cos(y / 7)
    true = made(0.05, 0.02, -0.01, -0.03, 5, -4, 1e-4)
    warped, inside = warp(picture, true, SIZE)
    places = true.inverse().apply(np.stack(np.meshgrid(range(64), range(48)), -1).reshape(-1, 2).astype(float))
    expected = (np.sin(places[:, 0] / 9) + np.cos(places[:, 1] / 7)).reshape(SIZE)
    margin = inside & np.roll(inside, 5, 0) & np.roll(inside, -5, 0) & np.roll(inside, 5, 1)
    assert margin.sum() > 1000
    assert np.abs(warped - expected)[margin].max() < 0.01


def test_a_picture_that_shrinks_is_not_sampled_with_holes() -> None:
    stripes = np.tile(np.float32([0, 1]), (256, 128))
    quarter = identity().scaled((4, 4), (1, 1))
    warped, _ = warp(stripes, quarter, (64, 64))
    assert np.abs(warped[4:-4, 4:-4] - 0.5).max() < 0.05


def test_pixels_that_the_moving_picture_does_not_reach_are_zero() -> None:
    shifted = made(0, 0, 0, 0, 10, 0)
    warped, inside = warp(np.ones(SIZE, np.float32), shifted, SIZE)
    assert np.array_equal(inside, covered(shifted, SIZE, SIZE))
    assert not inside[:, :10].any()
    assert np.array_equal(warped, inside.astype(np.float32))


def test_points_without_a_place_have_none_after_another_transform(recwarn: pytest.WarningsRecorder) -> None:
    moved = Transform(np.array([[1.0, 0.1, 5.0], [-0.1, 1.0, 2.0], [0.0, 1e-3, 1.0]]))
    assert np.isinf(moved.apply(np.array([[np.inf, np.inf]]))).all()
    assert not recwarn.list
