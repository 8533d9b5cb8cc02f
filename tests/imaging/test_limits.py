"""The percentile rule of infrared pictures: noise is not stretched, small targets stay, others are as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imfuse.imaging import parse_range, read_image, to_unit
from imfuse.scenes import render_scene

AUTO, PERCENTILE = parse_range("auto"), parse_range("percentile")
Unit = tuple[np.ndarray, float, float]


def thermal(pixels: np.ndarray) -> Unit:
    return to_unit(pixels, AUTO, thermal=True)


def room(noise: float = 0.05, seed: int = 0) -> np.ndarray:
    """A wall at 20 degrees Celsius, as a camera of this noise sees it."""
    return np.random.default_rng(seed).normal(20, noise, (120, 160)).astype(np.float32)


def hundredths_of_kelvin(celsius: np.ndarray) -> np.ndarray:
    return ((celsius + 273.15) * 100).round().astype(np.uint16)


def as_is(celsius: np.ndarray) -> np.ndarray:
    return celsius


STORED = pytest.mark.parametrize("stored", [as_is, hundredths_of_kelvin])
Storing = Callable[[np.ndarray], np.ndarray]


@STORED
def test_noise_of_an_even_scene_is_not_stretched(stored: Storing) -> None:
    unit, low, high = thermal(stored(room()))
    assert high - low == pytest.approx(1 if stored is as_is else 100)
    assert abs(unit.mean() - 0.5) < 0.01
    assert unit.std() < 0.06
    assert np.ptp(unit) < 0.5


@pytest.mark.parametrize("picture", [np.uint8(100), np.float32(0.5)])
def test_noise_of_gain_controlled_pictures_is_not_stretched(picture: np.generic) -> None:
    step = 1 if picture.dtype == np.uint8 else 1 / 255
    noise = np.random.default_rng(0).integers(0, 3, (50, 60)) * step
    unit, low, high = to_unit((picture + noise).astype(picture.dtype), PERCENTILE, thermal=True)
    assert high - low == pytest.approx(8 * step)
    assert np.ptp(unit) == pytest.approx(0.25, abs=0.01)


def test_a_constant_picture_is_one_half_and_its_noise_is_near() -> None:
    even = np.full((50, 60), 7000, np.uint16)
    assert (thermal(even)[0] == 0.5).all()
    even[10, :20] += 1
    assert np.abs(thermal(even)[0] - 0.5).max() < 0.02


@STORED
@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("target", [36.0, 4.0])
def test_a_small_target_stands_out_of_the_noise(stored: Storing, noise: float, target: float) -> None:
    celsius = room(noise)
    celsius[60:62, 80:82] = target
    unit, *_ = thermal(stored(celsius))
    body = np.zeros(unit.shape, bool)
    body[60:62, 80:82] = True
    shown = np.abs(unit - np.median(unit))
    assert shown[body].min() > 5 * shown[~body].max()
    assert np.abs(unit[body] - (1 if target > 20 else 0)).max() < 0.05


def test_a_small_target_that_is_not_far_out_is_clipped_but_visible() -> None:
    celsius = room()
    celsius[60:62, 80:82] = 23
    unit, low, high = thermal(celsius)
    assert high - low == pytest.approx(1, abs=1e-6)
    assert (unit[60:62, 80:82] == 1).all()
    assert (unit == 1).sum() == 4


@STORED
@pytest.mark.parametrize("pixels", [1, 2])
@pytest.mark.parametrize("value", [0, 300])
def test_dead_pixels_change_nothing(stored: Storing, pixels: int, value: float) -> None:
    for celsius in (room(), 20 + 10 * np.linspace(0, 1, 120 * 160).reshape(120, 160)):
        expected = thermal(stored(celsius))[1:]
        damaged = celsius.copy()
        damaged[40, 50 : 50 + pixels] = value
        damaged[90, 20] = value
        assert thermal(stored(damaged))[1:] == pytest.approx(expected, rel=1e-3)


def test_the_scene_keeps_grays_beside_a_fire() -> None:
    celsius = 15 + 10 * np.linspace(0, 1, 120 * 160).reshape(120, 160)
    celsius[60:64, 80:84] = 900
    unit, low, high = thermal(celsius)
    assert (low, high) == pytest.approx((15.05, 24.95 + 16), abs=0.02)
    assert np.percentile(unit, 99) > 0.35
    assert (unit[60:64, 80:84] == 1).all()


def is_by_percentiles_alone(pixels: np.ndarray) -> bool:
    return thermal(pixels)[1:] == tuple(np.percentile(pixels, (0.5, 99.5)))


@pytest.mark.parametrize("seed", range(4))
def test_ordinary_pictures_are_as_the_percentiles_say(seed: int) -> None:
    levels = render_scene(96, 128, seed).infrared
    assert is_by_percentiles_alone(7000 + levels.astype(np.uint16) * 8)
    assert is_by_percentiles_alone(levels / 255 * 60 - 20)


@pytest.mark.parametrize("data", ["tno", "msrs_sample", "m3fd_sample"])
def test_published_pictures_are_as_the_percentiles_say(shared: Path, data: str) -> None:
    files = sorted((shared / "data" / data / "ir").iterdir())[:17]
    assert len(files) >= 10
    for file in files:
        levels = read_image(file)
        gray = levels if levels.ndim == 2 else levels[..., 0]
        assert is_by_percentiles_alone(7000 + gray.astype(np.uint16) * 8), file


def test_visible_pictures_know_neither_rule() -> None:
    dim = np.random.default_rng(0).normal(20, 0.05, (60, 80))
    dim[30:32, 40:42] = 36
    assert to_unit(dim, PERCENTILE)[1:] == tuple(np.percentile(dim, (0.5, 99.5)))
