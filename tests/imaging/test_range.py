"""Stored values to [0, 1]."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imfuse.core.errors import ImageError
from imfuse.imaging import Range, parse_range, to_unit

WORDS = ["auto", "full", "percentile", "minmax"]
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=8)
PICTURES = st.one_of(
    hnp.arrays(np.uint8, SHAPES),
    hnp.arrays(np.uint16, SHAPES),
    hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)),
    hnp.arrays(np.float64, SHAPES, elements=st.floats(-3e38, 3e38)),
)
LIMITS = st.tuples(FINITE, FINITE).filter(lambda pair: pair[0] < pair[1] and np.isfinite(pair[1] - pair[0]))
RANGES = st.one_of(st.sampled_from(WORDS[1:]).map(parse_range), LIMITS.map(lambda pair: Range("limits", *pair)))


@settings(deadline=None)
@given(st.one_of(st.sampled_from(WORDS).map(parse_range), LIMITS.map(lambda pair: Range("limits", *pair))))
def test_text_round_trip(range_: Range) -> None:
    assert parse_range(str(range_)) == range_


def test_parse_forms() -> None:
    assert parse_range(" Full ") == Range("full")
    assert parse_range("7000, 9000") == Range("limits", 7000.0, 9000.0)
    assert parse_range("-1e-3,0.5") == Range("limits", -0.001, 0.5)
    assert str(parse_range("7000,9000")) == "7000.0,9000.0"


NO_RANGES = [
    "",
    "fill",
    "limits",
    "1",
    "1,2,3",
    "a,b",
    "1,",
    "2,1",
    "1,1",
    "nan,1",
    "0,inf",
    "-inf,inf",
    "-1e308,1e308",
]


@pytest.mark.parametrize("text", NO_RANGES)
def test_parse_refusals(text: str) -> None:
    with pytest.raises(ImageError) as caught:
        parse_range(text)
    assert "LOW,HIGH" in str(caught.value) or "LOW < HIGH" in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=12))
def test_parse_raises_nothing_else(text: str) -> None:
    with contextlib.suppress(ImageError):
        assert parse_range(str(parse_range(text))) == parse_range(text)


def test_range_checks_itself() -> None:
    for arguments in (("full", 1.0, 2.0), ("limits",), ("limits", 2.0, 1.0), ("other",)):
        with pytest.raises(ImageError):
            Range(*arguments)


@settings(deadline=None)
@given(PICTURES, RANGES)
def test_unit_monotone_and_of_one_type(pixels: np.ndarray, range_: Range) -> None:
    unit, low, high = to_unit(pixels, range_)
    assert unit.dtype == np.float32
    assert unit.shape == pixels.shape
    assert unit.min() >= 0
    assert unit.max() <= 1
    assert low <= high
    order = np.argsort(pixels, axis=None, kind="stable")
    assert (np.diff(unit.ravel()[order]) >= 0).all()
    if low < high:
        # In float64: NumPy would round the limits to the type of the picture before it compares.
        assert (unit[pixels.astype(np.float64) <= low] == 0).all()
        assert (unit[pixels.astype(np.float64) >= high] == 1).all()


def test_full_is_exact_division() -> None:
    for dtype, top in ((np.uint8, 255), (np.uint16, 65535)):
        levels = np.arange(top + 1, dtype=dtype)[None]
        unit, low, high = to_unit(levels, parse_range("full"))
        assert (unit == levels.astype(np.float32) / np.float32(top)).all()
        assert (low, high) == (0, top)
    assert to_unit(np.array([[-1.0, 0.25, 3]], np.float32), parse_range("full"))[0].tolist() == [[0, 0.25, 1]]


def test_percentile_and_minmax() -> None:
    pixels = np.arange(1001, dtype=np.uint16)[None] + 7000
    unit, low, high = to_unit(pixels, parse_range("percentile"))
    assert (low, high) == (7005, 7995)
    assert unit[0, 500] == 0.5
    unit, low, high = to_unit(pixels, parse_range("minmax"))
    assert (low, high) == (7000, 8000)
    assert unit[0, [0, 250, 1000]].tolist() == [0, 0.25, 1]
    unit, low, high = to_unit(pixels, parse_range("7100,7200"))
    assert (low, high) == (7100, 7200)
    assert unit[0, [0, 100, 150, 200, 900]].tolist() == [0, 0, 0.5, 1, 1]


def test_constant_pictures_become_one_half() -> None:
    for word in ("percentile", "minmax"):
        for value in (0, 5, 65535):
            unit, low, high = to_unit(np.full((3, 4), value, np.uint16), parse_range(word))
            assert (unit == 0.5).all()
            assert (low, high) == (value, value)


def test_a_small_hot_spot_survives_percentiles() -> None:
    pixels = np.full((100, 100), 7000, np.uint16)
    pixels[3, 4] = 9000
    unit, low, high = to_unit(pixels, parse_range("percentile"))
    assert (unit[3, 4], unit[0, 0]) == (1, 0)
    assert (low, high) == (7000, 9000)


def test_channels_share_the_limits() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = 50, 100
    unit, low, high = to_unit(pixels, parse_range("minmax"))
    assert (low, high) == (0, 100)
    assert unit[0, 0].tolist() == [0.5, 0, 1]


def test_auto() -> None:
    auto = parse_range("auto")
    byte, word = np.arange(200, dtype=np.uint8)[None], np.arange(200, dtype=np.uint16)[None]
    assert to_unit(byte, auto)[1:] == to_unit(byte, auto, thermal=True)[1:] == (0, 255)
    assert to_unit(word, auto)[1:] == (0, 65535)
    assert to_unit(word, auto, thermal=True)[1:] == pytest.approx((0.995, 198.005))
    unit = np.linspace(0, 1, 11, dtype=np.float32)[None]
    assert to_unit(unit, auto)[1:] == to_unit(unit, auto, thermal=True)[1:] == (0, 1)
    kelvin = unit * 40 + 280
    assert to_unit(kelvin, auto, thermal=True)[1:] == pytest.approx((280.2, 319.8))
    with pytest.raises(ImageError, match=r"vis\.tif: floating values 280..320 found.*visible_range="):
        to_unit(kelvin, auto, name="vis.tif")


def test_extreme_floats_never_become_nan() -> None:
    big = np.array([[-3.4e38, 0, 3.4e38]], np.float32)
    assert to_unit(big, parse_range("minmax"))[0].tolist() == [[0, 0.5, 1]]
    tiny = np.array([[0, 1e-45, 3e-45]], np.float32)
    assert to_unit(tiny, parse_range("minmax"))[0].tolist()[0][::2] == [0, 1]
    assert to_unit(big, parse_range("0,5e-324"))[0].tolist() == [[0, 0, 1]]


def test_refusals() -> None:
    for pixels in (np.zeros((2, 2), np.int32), np.zeros((2, 2), bool), np.zeros((0, 2), np.uint8)):
        with pytest.raises(ImageError):
            to_unit(pixels, parse_range("full"))
    for value in (np.nan, np.inf, -1e300):
        with pytest.raises(ImageError, match="NaN or infinite"):
            to_unit(np.array([[0, value]]), parse_range("full"))
