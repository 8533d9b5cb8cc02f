"""Pixels without data: found, filled, and counted in no statistic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imfuse.core.errors import ImageError
from imfuse.core.notes import collected
from imfuse.imaging import parse_range, to_unit
from imfuse.imaging.inputs import as_stored
from imfuse.imaging.nodata import fill_no_data, no_data

RULES = ["auto", "full", "percentile", "minmax", "-20,40"]


def celsius() -> np.ndarray:
    return np.linspace(-20, 40, 30 * 40).reshape(30, 40)


def border(shape: tuple[int, ...] = (30, 40)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[:, :8] = mask[20:, 30:] = True
    return mask


def without(pixels: np.ndarray, how: str) -> Any:
    """The picture with the border gone: masked with garbage below, or not a number."""
    if how != "masked":
        return np.where(border(), float(how), pixels)
    return np.ma.masked_array(np.where(border(), pixels.dtype.type(-9999), pixels), border())


@pytest.mark.parametrize("how", ["masked", "nan", "inf", "-inf"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_pixels_without_data_are_found(how: str, kind: type) -> None:
    np.testing.assert_array_equal(no_data(without(celsius().astype(kind), how)), border())
    assert no_data(celsius().astype(kind)) is None
    assert no_data(np.ma.masked_array(celsius(), np.zeros((30, 40), bool))) is None


def test_a_pixel_without_one_channel_has_no_data() -> None:
    colours = np.zeros((2, 2, 3))
    colours[0, 1, 2] = np.nan
    assert no_data(colours).tolist() == [[False, True], [False, False]]
    # float32 cannot hold it: the sign of a missing value in files of float64.
    assert no_data(np.array([[-1.7e308, 0]])).tolist() == [[True, False]]


def test_filling_goes_on_without_an_edge() -> None:
    plain, missing = fill_no_data(without(celsius(), "masked"))
    assert type(plain) is np.ndarray
    np.testing.assert_array_equal(missing, border())
    np.testing.assert_array_equal(plain[~border()], celsius()[~border()])
    np.testing.assert_array_equal(plain[:, :8], np.repeat(celsius()[:, 8:9], 8, axis=1))
    picture = celsius()
    assert fill_no_data(picture)[0] is picture


@pytest.mark.parametrize("how", ["masked", "nan", "inf"])
@pytest.mark.parametrize("rule", RULES)
def test_they_count_in_no_statistic(how: str, rule: str) -> None:
    unit, low, high = to_unit(without(celsius(), how), parse_range(rule), thermal=True)
    cropped, *limits = to_unit(celsius()[:20, 8:], parse_range(rule), thermal=True)
    valid = celsius()[~border()]
    expected = {"auto": (0.5, 99.5), "percentile": (0.5, 99.5), "minmax": (0, 100)}.get(rule)
    assert (low, high) == (tuple(np.percentile(valid, expected)) if expected else tuple(limits))
    assert np.isfinite(unit).all()
    if rule in ("full", "-20,40"):
        np.testing.assert_array_equal(unit[:20, 8:], cropped)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.int32, np.uint32])
def test_masked_integers(kind: type) -> None:
    values = (np.arange(30 * 40).reshape(30, 40) % 200 + 20).astype(kind)
    garbage = np.where(border(), kind(0), values)
    masked = np.ma.masked_array(garbage, border())
    unit, low, high = to_unit(masked, parse_range("minmax"), thermal=True)
    assert (low, high) == (28, 219)
    np.testing.assert_allclose(unit[~border()], (values[~border()] - 28.0) / 191, atol=1e-6)


def test_they_hide_no_doubt() -> None:
    """One good pixel at the edge fills half of the picture, and is a thousandth of the data all the same."""
    pixels = np.full((20, 100), 7000.0)
    pixels[:, 50:] = np.nan
    pixels[:, 49] = np.nan
    pixels[10, 49] = 5
    with collected() as notes:
        to_unit(pixels, parse_range("0,10"), thermal=True)
    assert "clips 99.9 % of the picture" in str(notes[0])


def test_a_target_beside_missing_pixels_is_seen_once() -> None:
    """What missing pixels are filled with makes no group of a dead pixel at their edge."""
    wall = np.random.default_rng(0).normal(20, 0.05, (60, 80))
    wall[:, :10] = np.nan
    expected = to_unit(wall, parse_range("auto"), thermal=True)[1:]
    wall[30, 10] = 300
    assert to_unit(wall, parse_range("auto"), thermal=True)[1:] == pytest.approx(expected, rel=1e-3)


def test_a_picture_without_any_data_is_refused() -> None:
    for pixels in (np.full((3, 4), np.nan), np.ma.masked_all((3, 4), np.uint8)):
        with pytest.raises(ImageError, match="x: no pixel holds data"):
            to_unit(pixels, parse_range("auto"), name="x")


def test_a_gray_picture_stored_in_three_channels_keeps_its_mask() -> None:
    colours = np.repeat(celsius()[..., None], 3, axis=2)
    masked = np.ma.masked_array(colours, np.repeat(border()[..., None], 3, axis=2))
    stored = as_stored(masked, "x").pixels
    assert stored.shape == (30, 40)
    np.testing.assert_array_equal(no_data(stored), border())
