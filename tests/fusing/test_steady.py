"""The range of a stream: it follows slowly, jumps at cuts, and nothing that enters darkens the scene."""

from __future__ import annotations

import numpy as np
import pytest

from imfuse.fusing.steady import SteadyRange
from imfuse.imaging import Range
from imfuse.imaging.inputs import Stored
from imfuse.imaging.limits import percentile_limits

RATE = 25


def scene(seed: int = 0, low: int = 7000, span: int = 1000, dtype: type = np.uint16) -> np.ndarray:
    """A smooth thermal picture with some noise."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, span, 96 * 128).reshape(96, 128)
    return (low + ramp + random.normal(0, span / 100, ramp.shape)).astype(dtype)


def test_first_frame_has_its_percentiles() -> None:
    frame = scene()
    assert SteadyRange().follow(frame, 0) == percentile_limits(frame, None, True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_hot_object_moves_no_limit_by_more_than_a_twentieth_of_the_span_in_a_second(dtype: type) -> None:
    steady, background = SteadyRange(), scene(low=20, span=100, dtype=dtype)
    low, high = steady.follow(background, 0)
    for number in range(1, RATE + 1):
        frame = background.copy()
        frame[30:60, 30:50] = 250
        now = steady.follow(frame, number / RATE)
    assert percentile_limits(frame, None, True)[1] == 250
    assert high < now[1] <= high + 0.0515 * (high - low)
    assert abs(now[0] - low) < 0.05 * (high - low)


def test_percentiles_do_not_pump() -> None:
    """Noise of the limits is a tenth of that of each frame's own."""
    steady = SteadyRange()
    frames = [scene(seed) + np.uint16(20 * (seed % 2)) for seed in range(50)]
    followed = np.array([steady.follow(frame, i / RATE)[1] for i, frame in enumerate(frames)])
    alone = np.array([percentile_limits(frame, None, True)[1] for frame in frames])
    assert np.abs(np.diff(followed)).mean() < 0.1 * np.abs(np.diff(alone)).mean()


def test_a_lasting_change_is_followed() -> None:
    steady = SteadyRange()
    steady.follow(scene(), 0)
    for number in range(1, 30 * RATE):
        limits = steady.follow(scene(low=7100), number / RATE)
    assert limits == pytest.approx(percentile_limits(scene(low=7100), None, True), abs=10)


@pytest.mark.parametrize("after", [scene(low=12000), scene()[:, ::-1].copy(), scene(span=5000)])
def test_a_cut_is_shown_by_its_own_limits(after: np.ndarray) -> None:
    steady = SteadyRange()
    steady.follow(scene(), 0)
    assert steady.follow(after, 1 / RATE) == percentile_limits(after, None, True)


def test_it_is_causal_and_depends_on_time_and_not_on_the_number_of_frames() -> None:
    slow, fast = SteadyRange(), SteadyRange()
    for steady, rate in ((slow, 10), (fast, 50)):
        steady.follow(scene(), 0)
        for number in range(1, rate + 1):
            limits = steady.follow(scene(low=7100), number / rate)
        assert limits[1] - percentile_limits(scene(), None, True)[1] == pytest.approx(
            100 * (1 - np.exp(-1 / 4)), rel=0.05
        )
    assert slow.limits == pytest.approx(fast.limits, abs=2)


def test_even_frames_and_frames_without_data() -> None:
    steady = SteadyRange()
    assert steady.follow(np.full((48, 64), 7000, np.uint16), 0) == (6950, 7050)
    holes = np.ma.MaskedArray(np.full((48, 64), 7000, np.uint16), np.zeros((48, 64), bool))
    holes[:10] = np.ma.masked
    assert steady.follow(holes, 1) == pytest.approx((6950, 7050))
    nothing = Stored(np.full((48, 64), np.nan, np.float32), "frame")
    assert steady.range_of(nothing, Range("steady"), 2) == Range("percentile")
    assert steady.limits is not None


def test_which_ranges_are_followed() -> None:
    def kind(pixels: np.ndarray, asked: str, thermal: bool = True) -> str:
        return SteadyRange(thermal=thermal).range_of(Stored(pixels, "frame"), Range(asked), 0).kind

    assert kind(scene(), "auto") == "limits", "percentiles of each frame would pump"
    assert kind(scene(dtype=np.float32), "auto") == "limits"
    assert kind(np.zeros((8, 8), np.uint8), "auto") == "auto"
    assert kind(np.zeros((8, 8), np.float32), "auto") == "auto"
    assert kind(scene(), "auto", thermal=False) == "auto"
    assert kind(scene(), "steady", thermal=False) == "limits"
    assert kind(scene(), "percentile") == "percentile"
