"""Streets in motion: what moves, what does not, and whether the true motion is that of the pixels."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from imfuse.core.errors import ImageError
from imfuse.scenes import CLASSES, DETECTED, MovingScene, render_motion, render_scene
from imfuse.scenes.motion import CameraMotion

CAR, PERSON = CLASSES.index("car"), CLASSES.index("person")
CAMERAS: tuple[CameraMotion, ...] = ("still", "handheld", "driving")


@cache
def clip(camera: CameraMotion, frames: int = 2, rate: float = 5.0) -> tuple[MovingScene, ...]:
    return tuple(render_motion(frames, 96, 128, seed=3, rate=rate, camera=camera))


def taken_back(frame: MovingScene, before: MovingScene) -> np.ndarray:
    """The infrared picture before, as the true motion shows it now."""
    rows, columns = np.indices(frame.infrared.shape).astype(np.float32)
    moved = columns + frame.motion[..., 0], rows + frame.motion[..., 1]
    return cv2.remap(before.infrared.astype(np.float32), *moved, cv2.INTER_LINEAR)


def test_the_first_frame_is_the_street_of_the_seed() -> None:
    first, street = clip("driving")[0], render_scene(96, 128, 3)
    assert np.array_equal(first.labels, street.labels)
    assert np.array_equal(first.objects, street.objects)
    assert (first.time, first.motion.any(), first.seen.any()) == (0, False, False)


def test_same_arguments_same_frames() -> None:
    again = render_motion(2, 96, 128, seed=3, rate=5, camera="handheld")
    for one, other in zip(clip("handheld"), again, strict=True):
        assert np.array_equal(one.infrared, other.infrared)
        assert np.array_equal(one.visible, other.visible)
        assert np.array_equal(one.motion, other.motion)


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_true_motion_takes_the_picture_back(camera: CameraMotion) -> None:
    before, now = clip(camera)
    moving = now.seen & (np.abs(now.motion).max(-1) > 1)
    assert moving.mean() > 0.01
    warped, plain = (
        np.abs(now.infrared - other.astype(np.float32))[moving].mean()
        for other in (taken_back(now, before), before.infrared)
    )
    assert warped < 0.7 * plain
    assert np.abs(now.infrared - taken_back(now, before))[now.seen].mean() < 4


def test_a_still_camera_moves_people_and_cars_alone() -> None:
    _, now = clip("still")
    still = (now.labels != PERSON) & (now.labels != CAR) & (now.labels != CLASSES.index("bike"))
    assert np.abs(now.motion[still]).max() < 0.01
    assert np.abs(now.motion[now.labels == CAR]).max() > 1


def test_what_a_camera_drives_towards_comes_out_of_the_middle() -> None:
    _, now = clip("driving")
    road = np.zeros(now.labels.shape, bool)
    road[-10:] = now.labels[-10:] == 0
    assert (now.motion[road][:, 1] < 0).all()  # before it was farther up


def test_a_car_passes() -> None:
    """The nearest car is soon beside the camera, and then behind it."""
    widths = []
    for frame in render_motion(5, 48, 64, seed=3, rate=1.5, camera="still"):
        left, _, right, _ = frame.boxes.corners[frame.boxes.classes == DETECTED.index("car")].T
        widths.append(max(right - left, default=0))
    assert max(widths[1:3]) > 1.2 * widths[0]
    assert widths[-1] < max(widths[1:3])


def test_noise_is_new_in_every_frame_and_the_street_is_not() -> None:
    before, now = clip("still", 2, 1000.0)
    difference = now.infrared.astype(int) - before.infrared
    assert difference.any()
    assert abs(difference.mean()) < 0.2
    assert np.abs(difference).mean() < 3


def test_frames_come_as_they_are_asked_for() -> None:
    assert next(render_motion(10**9, 8, 8)).infrared.shape == (8, 8)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_any_size(size: tuple[int, int]) -> None:
    assert [frame.seen.shape for frame in render_motion(2, *size)] == [size, size]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 0}, "frames=0"),
        ({"rate": 0}, "rate=0"),
        ({"camera": "drone"}, "camera='drone'.*still, handheld, driving"),
        ({"height": 0}, "height=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_what_cannot_be_rendered(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        next(render_motion(**{"frames": 1, **arguments}))  # type: ignore[arg-type]
