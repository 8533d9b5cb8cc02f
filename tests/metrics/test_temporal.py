"""Temporal metrics: sequences whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from imfuse.core.errors import MetricError
from imfuse.metrics.temporal import FrameChange, TemporalMeter, block_motion, temporal_summary
from imfuse.scenes import render_motion

Levels = NDArray[np.uint8]
RANDOM = np.random.default_rng(3)
SCENE = RANDOM.integers(40, 200, (80, 96), np.uint8)


def measured(fused: list[Levels], infrared: list[Levels], visible: list[Levels]) -> FrameChange:
    meter = TemporalMeter()
    for one, first, second in zip(fused, infrared, visible, strict=True):
        meter.add({"ours": one}, first, second)
    return temporal_summary(meter.curves["ours"])


def test_no_change_is_no_flicker() -> None:
    assert measured([SCENE] * 3, [SCENE] * 3, [SCENE] * 3) == FrameChange(0, 0, 0, 0, 0, 0)


def test_a_pump_that_the_sources_lack_has_its_amplitude() -> None:
    fused = [SCENE, SCENE + 5, SCENE, SCENE + 5]
    assert measured(fused, [SCENE] * 4, [SCENE] * 4) == FrameChange(5, 0, 5, 5, 5, 5)


def test_a_pump_of_a_moving_scene_has_its_amplitude() -> None:
    frames = [np.roll(SCENE, 2 * step, 1) for step in range(4)]
    fused = [frame + 7 * (step % 2) for step, frame in enumerate(frames)]
    assert measured([np.asarray(one, np.uint8) for one in fused], frames, frames).pump == pytest.approx(7)


def test_a_change_of_one_source_is_allowed() -> None:
    lit = [SCENE, SCENE + 20]
    assert measured(lit, [SCENE] * 2, lit)[2:] == (0, 0, 20, 0)


def test_a_source_itself_is_steady_through_a_cut() -> None:
    other = RANDOM.integers(0, 255, SCENE.shape, np.uint8)
    values = measured([SCENE, other], [SCENE, other], [SCENE, SCENE])
    assert values.change > 30
    assert (values.flicker, values.pump, values.inconsistency) == (0, 0, 0)


def test_half_of_the_pixels_flicker() -> None:
    half = SCENE.copy()
    half[:40] += 6
    values = measured([SCENE, half], [SCENE] * 2, [SCENE] * 2)
    assert (values.flicker, values.pump) == (3, pytest.approx(3))


def test_a_pan_has_no_warping_error() -> None:
    wide = RANDOM.integers(0, 255, (112, 128), np.uint8)
    frames = [wide[16 + 3 * step :, 16 - 5 * step :][:80, :96] for step in range(3)]
    values = measured(frames, frames, frames)
    motion = block_motion((frames[1],) * 2, (frames[0],) * 2)
    assert (motion[1:-1, 1:-1] == (3, -5)).all()
    assert values.warping < 0.5 * values.change


@pytest.mark.parametrize("shift", [(8, 8), (-8, 0), (0, -7)])
def test_motion_up_to_the_reach_is_found(shift: tuple[int, int]) -> None:
    moved = np.roll(SCENE, (-shift[0], -shift[1]), (0, 1))
    assert (block_motion((moved, moved), (SCENE, SCENE))[1:-1, 1:-1] == shift).all()


def test_rendered_noise_of_a_mean_stays_below_its_sources() -> None:
    clip = list(render_motion(3, 64, 96, seed=3, camera="still"))
    visible = [frame.visible[..., 1] for frame in clip]
    infrared = [frame.infrared for frame in clip]
    mean = [np.asarray((a.astype(int) + b) // 2, np.uint8) for a, b in zip(infrared, visible, strict=True)]
    values = measured(mean, infrared, visible)
    assert values.flicker < 0.1 * values.source_change
    pumped = [frame + 8 * (step % 2) for step, frame in enumerate(mean)]
    assert measured([np.asarray(one, np.uint8) for one in pumped], infrared, visible).pump == pytest.approx(8, abs=0.7)


def test_a_new_method_in_mid_sequence() -> None:
    meter = TemporalMeter()
    meter.add({}, SCENE, SCENE)
    with pytest.raises(MetricError, match="ours: is new"):
        meter.add({"ours": SCENE}, SCENE, SCENE)


@pytest.mark.parametrize(
    ("fused", "message"),
    [
        (SCENE[:40], "ours: a frame of"),
        (SCENE.astype(np.float32), "ours: .* float32"),
        (np.dstack([SCENE] * 3), "ours: .*H, W"),
    ],
)
def test_frames_that_do_not_fit(fused: Levels, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        TemporalMeter().add({"ours": fused}, SCENE, SCENE)


def test_frames_smaller_than_a_block() -> None:
    with pytest.raises(MetricError, match="16x16"):
        TemporalMeter().add({}, SCENE[:8], SCENE[:8])


def test_one_frame_has_no_summary() -> None:
    with pytest.raises(MetricError, match="at least two"):
        temporal_summary([])
