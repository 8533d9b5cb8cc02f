"""Stored values to [0, 1]."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imfuse.core.errors import ImageError
from imfuse.core.notes import collected
from imfuse.imaging import Range, as_range, parse_range, to_unit
from imfuse.imaging.limits import limits_text

WORDS = ["auto", "full", "percentile", "minmax"]
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=8)
# From 3.3e38 on a value says that nothing was measured.
LARGEST = float(np.float32(3e38))
PICTURES = st.one_of(
    hnp.arrays(np.uint8, SHAPES),
    hnp.arrays(np.uint16, SHAPES),
    hnp.arrays(np.float32, SHAPES, elements=st.floats(-LARGEST, LARGEST, width=32)),
    hnp.arrays(np.float64, SHAPES, elements=st.floats(-LARGEST, LARGEST)),
    *(hnp.arrays(kind, SHAPES) for kind in (np.int16, np.int32, np.uint32)),
)
WIDE = [np.int16, np.int32, np.uint32]
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


def test_two_numbers_are_a_range() -> None:
    for limits in ((7000, 9000), [7000.0, 9000.0], np.array([7000, 9000]), "7000,9000", Range("limits", 7000, 9000)):
        assert as_range(limits) == Range("limits", 7000.0, 9000.0)
    assert str(as_range(np.float32([0.5, 2]))) == "0.5,2.0"
    for wrong in ((7000,), (1, 2, 3), (9000, 7000), ("a", "b"), 5, None, (0, np.nan)):
        with pytest.raises(ImageError) as caught:
            as_range(wrong)
        assert "\n" not in str(caught.value)
        assert "LOW" in str(caught.value)


def test_range_checks_itself() -> None:
    for arguments in (("full", 1.0, 2.0), ("limits",), ("limits", 2.0, 1.0), ("other",)):
        with pytest.raises(ImageError):
            Range(*arguments)


@settings(deadline=None)
@given(PICTURES, RANGES, st.booleans())
@pytest.mark.filterwarnings("ignore::imfuse.ImfuseWarning")
def test_unit_monotone_and_of_one_type(pixels: np.ndarray, range_: Range, thermal: bool) -> None:
    if range_.kind == "full" and pixels.dtype in WIDE:
        return
    unit, low, high = to_unit(pixels, range_, thermal=thermal)
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
    big = np.array([[-3.2e38, 0, 3.2e38]], np.float32)
    assert to_unit(big, parse_range("minmax"))[0].tolist() == [[0, 0.5, 1]]
    tiny = np.array([[0, 1e-45, 3e-45]], np.float32)
    assert to_unit(tiny, parse_range("minmax"))[0].tolist()[0][::2] == [0, 1]
    assert to_unit(big, parse_range("0,5e-324"))[0].tolist() == [[0, 0, 1]]


def test_refusals() -> None:
    for pixels in (np.zeros((2, 2), np.int64), np.zeros((2, 2), bool), np.zeros((0, 2), np.uint8)):
        with pytest.raises(ImageError):
            to_unit(pixels, parse_range("full"))
    for value in (np.nan, np.inf, -1e300):
        with pytest.raises(ImageError, match="NaN or infinite"):
            to_unit(np.full((1, 2), value), parse_range("full"))


# Integers of other types


@pytest.mark.parametrize("kind", WIDE)
def test_other_integers(kind: type) -> None:
    centi = (np.arange(1000).reshape(20, 50) * 6 - (2000 if kind != np.uint32 else 0)).astype(kind)
    unit, low, high = to_unit(centi, parse_range("auto"), thermal=True)
    assert (low, high) == pytest.approx(np.percentile(centi, (0.5, 99.5)))
    assert unit.max() == 1
    assert to_unit(centi, parse_range("-2000,4000"))[1:] == (-2000, 4000)
    # Values that 16 bits hold are shown as those of 16 bits, whatever type they are stored as.
    word = (np.arange(1000).reshape(20, 50) * 32).astype(np.uint16)
    assert np.array_equal(to_unit(word.astype(kind), parse_range("auto"))[0], to_unit(word, parse_range("auto"))[0])


def test_other_integers_have_no_full_range_beyond_16_bits() -> None:
    hounsfield = np.array([[-1000, 0, 3000]], np.int16)
    for rule in ("auto", "full"):
        with pytest.raises(ImageError, match=r"ct: int16 values -1000..3000 found.*visible_range='LOW,HIGH'"):
            to_unit(hounsfield, parse_range(rule), name="ct")
    with pytest.raises(ImageError, match=r"uint32 values 0..70000 found.*; say .* range="):
        to_unit(np.array([[0, 70000]], np.uint32), parse_range("full"), thermal=True)


# Floating pictures that are nearly in 0..1


@pytest.mark.parametrize("odd", [1.0000001, 1.0005, -1e-7, -1e-3])
@pytest.mark.parametrize("thermal", [True, False])
def test_a_floating_picture_just_beyond_its_range_is_clipped(odd: float, thermal: bool) -> None:
    pixels = np.linspace(0.3, 0.5, 200, dtype=np.float32).reshape(10, 20)
    expected = pixels.clip(0, 1)
    pixels[0, 0] = expected[0, 0] = odd
    unit, low, high = to_unit(pixels, parse_range("auto"), thermal=thermal)
    assert (low, high) == (0, 1)
    np.testing.assert_array_equal(unit, expected.clip(0, 1))


@given(st.floats(1.0010001, 3e38) | st.floats(-3e38, -0.0010001))
def test_a_message_never_finds_what_it_expects(odd: float) -> None:
    with pytest.raises(ImageError) as caught:
        to_unit(np.array([[0, odd, 1]]), parse_range("auto"))
    assert " 0..1 found" not in str(caught.value)
    assert "0..1 is expected" in str(caught.value)


# Doubts


def doubts(pixels: np.ndarray, rule: str, thermal: bool = False) -> list[str]:
    with collected() as notes:
        to_unit(pixels, parse_range(rule), thermal=thermal, name="x.tif")
    return [str(one) for one in notes]


def test_a_range_that_clips_nearly_everything_is_doubted() -> None:
    pixels = np.linspace(7000, 9000, 1000).reshape(20, 50).astype(np.uint16)
    (text,) = doubts(pixels, "0,255", thermal=True)
    assert text == (
        "x.tif: the range 0..255 clips 100 % of the picture, whose values are 7000..9000; use range='7000,9000'; "
        "use range='percentile'"
    )
    assert "use visible_range='7000,9000'" in doubts(pixels, "-5,6999")[0]
    assert "clips 99.5 %" in doubts(pixels, "8000,8009")[0]
    assert doubts(pixels, "8000,8050") == doubts(pixels, "7000,9000") == doubts(pixels, "0,65535") == []
    # A picture of one value has no range of its own to offer.
    assert doubts(np.full((4, 4), 7.5), "0,1") == [
        "x.tif: the range 0..1 clips 100 % of the picture, whose values are 7.5..7.5; use visible_range='percentile'"
    ]


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_few_bits_in_16_are_doubted(bits: int, kind: type) -> None:
    top = 2**bits - 1
    pixels = np.linspace(0, top, 600).reshape(20, 30).astype(kind)
    (text,) = doubts(pixels, "auto")
    assert f"the values 0..{top} fit into {bits} bits; by the range 0..65535 of 16 bits" in text
    assert f"use visible_range='0,{top}'" in text
    assert doubts(pixels, f"0,{top}") == doubts(pixels, "full") == doubts(pixels, "auto", thermal=True) == []
    (text,) = doubts(pixels, "full", thermal=True)
    assert f"use range='0,{top}'" in text
    assert doubts(pixels, "0,65535") == doubts(pixels, "0,65535", thermal=True) == []
    assert doubts(pixels * (65535 // top), "auto") == []


def test_a_black_picture_is_not_doubted() -> None:
    assert doubts(np.zeros((4, 4), np.uint16), "auto") == []


@given(FINITE, FINITE)
def test_limits_are_written_exactly(low: float, high: float) -> None:
    text = limits_text(np.float64(low), high)
    assert tuple(map(float, text.split(","))) == (low, high)
    assert limits_text(0.0, 65535) == "0,65535"
