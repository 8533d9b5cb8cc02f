"""BT.601: known colours, inverse, and the short form against the long one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from imfuse.core.errors import ImageError
from imfuse.imaging import is_gray, luminance, recombine, rgb_to_ycbcr, ycbcr_to_rgb

UNIT = st.floats(0, 1, width=32)
PICTURES = hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)), elements=UNIT)


def test_known_colours() -> None:
    rgb = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0.5, 0.5, 0.5]]], np.float32)
    y, cb, cr = rgb_to_ycbcr(rgb)
    assert np.allclose(y, [[0.299, 0.587, 0.114, 1, 0.5]], atol=1e-7)
    assert np.allclose(cb, [[-0.168736, -0.331264, 0.5, 0, 0]], atol=1e-6)
    assert np.allclose(cr, [[0.5, -0.418688, -0.081312, 0, 0]], atol=1e-6)
    assert {y.dtype, cb.dtype, cr.dtype, luminance(rgb).dtype} == {np.dtype(np.float32)}


def test_agrees_with_pillow() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    theirs = np.asarray(Image.fromarray(rgb).convert("YCbCr")).astype(np.float64)
    y, cb, cr = rgb_to_ycbcr(rgb.astype(np.float32) / 255)
    ours = np.stack([y * 255, cb * 255 + 128, cr * 255 + 128], -1)
    assert np.abs(ours - theirs).max() <= 1.01


@settings(deadline=None)
@given(PICTURES)
def test_inverse_and_bounds(rgb: np.ndarray) -> None:
    y, cb, cr = rgb_to_ycbcr(rgb)
    assert y.min() >= 0
    assert y.max() <= 1 + 1e-6
    assert np.abs([cb, cr]).max() <= 0.5 + 1e-6
    assert np.abs(ycbcr_to_rgb(y, cb, cr) - rgb).max() <= 1e-6
    exact = rgb.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert np.abs(y - exact).max() <= 1e-6


@settings(deadline=None)
@given(PICTURES, st.data())
def test_recombine_equals_the_long_way(rgb: np.ndarray, data: st.DataObject) -> None:
    fused = data.draw(hnp.arrays(np.float32, rgb.shape[:2], elements=UNIT))
    _, cb, cr = rgb_to_ycbcr(rgb)
    short = recombine(fused, rgb)
    assert short.dtype == np.float32
    assert np.abs(short - ycbcr_to_rgb(fused, cb, cr)).max() <= 1e-6
    assert np.abs(luminance(short) - fused).max() <= 1e-6


def test_results_are_not_clipped() -> None:
    red = np.array([[[1, 0, 0]]], np.float32)
    assert recombine(np.ones((1, 1), np.float32), red)[0, 0, 0] > 1.6


def test_float64_in_float32_out() -> None:
    rgb = np.random.default_rng(0).random((4, 5, 3))
    y, cb, cr = rgb_to_ycbcr(rgb)
    assert y.dtype == cb.dtype == cr.dtype == ycbcr_to_rgb(y, cb, cr).dtype == np.float32
    assert recombine(rgb[..., 0], rgb).dtype == np.float32


def test_is_gray() -> None:
    gray = np.arange(6, dtype=np.uint8).reshape(2, 3)
    three = np.stack([gray] * 3, -1)
    assert is_gray(gray)
    assert not is_gray(three)
    assert is_gray(three, equal_channels=True)
    three[1, 1, 2] += 1
    assert not is_gray(three, equal_channels=True)


def test_wrong_shapes() -> None:
    plane = np.zeros((2, 3), np.float32)
    with pytest.raises(ImageError, match=r"\(2, 3\)"):
        luminance(plane)
    with pytest.raises(ImageError, match="one size"):
        ycbcr_to_rgb(plane, plane, plane.T)
    with pytest.raises(ImageError, match=r"\(3, 2\)"):
        recombine(plane.T, np.zeros((2, 3, 3), np.float32))
