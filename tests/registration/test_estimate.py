"""Single pairs: transforms are found where they can be, and refused where they cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imfuse import RegistrationError
from imfuse.registration.estimate import THRESHOLDS, estimate, find_kind
from imfuse.registration.transform import Transform
from registration_pairs import camera_pair, gray, head, published, scene, turned

MOVED = {
    "shifted": Transform(np.array([[1.0, 0, 17], [0, 1, -9], [0, 0, 1]])),
    "smaller": Transform(np.array([[0.85, 0, 30], [0, 0.8, 28], [0, 0, 1]])),
    "turned, in perspective": Transform(np.array([[0.98, 0.03, 5], [-0.03, 0.98, 12], [5e-5, -5e-5, 1]])),
}


@pytest.mark.parametrize("name", MOVED)
def test_a_rendered_pair_under_a_known_transform(name: str) -> None:
    pair = camera_pair(5, MOVED[name])
    found = estimate(pair.moving, pair.fixed)
    assert (found.kind, found.accepted, found.reason) == ("cameras", True, "")
    assert found.evidence >= found.threshold == THRESHOLDS["cameras"]
    assert pair.error(found.transform) < 2.0


def test_cameras_of_other_sizes() -> None:
    pair = camera_pair(5, Transform(np.array([[2.0, 0, 12], [0, 2, 8], [0, 0, 1]])), (108, 144))
    assert pair.error(estimate(pair.moving, pair.fixed).transform) < 2.5


@pytest.mark.parametrize("seed", [2, 5])
def test_pictures_of_different_scenes_are_refused_with_the_reason(seed: int) -> None:
    found = estimate(scene(seed)[0][:, ::-1].copy(), scene(seed + 1)[1])
    assert not found.accepted
    assert found.evidence < found.threshold
    assert "% of the blocks agree" in found.reason


def test_a_registered_pair_stays_as_it_is() -> None:
    infrared, visible = scene(5)
    found = estimate(infrared, visible)
    assert (found.accepted, found.transform.model, found.transform.moved(infrared.shape)) == (True, "identity", 0.0)


def test_noise_is_refused() -> None:
    noise = np.random.default_rng(0).random((2, 96, 128), np.float32)
    assert not estimate(noise[0], noise[1]).accepted


def test_constant_pictures_are_refused() -> None:
    flat = np.full((96, 128), 0.5, np.float32)
    assert not estimate(flat, flat).accepted
    assert not estimate(flat, scene(5)[1]).accepted


@pytest.mark.parametrize("true", [turned(6, 9, -5), turned(-7, -12, 4)])
def test_made_up_scans_are_turned_and_shifted_back(true: Transform) -> None:
    pair = head(true)
    found = estimate(pair.moving, pair.fixed)
    assert (found.kind, found.accepted, found.transform.model) == ("scans", True, "rigid")
    assert pair.error(found.transform) < 1.5


def test_registered_scans_stay_as_they_are() -> None:
    pair = head(turned(0, 0, 0))
    found = estimate(pair.moving, pair.fixed)
    assert (found.accepted, found.transform.model) == (True, "identity")


def test_the_kind_is_told_by_black_frames() -> None:
    pair, (infrared, visible) = head(turned(0, 0, 0)), scene(5)
    assert find_kind(pair.moving, pair.fixed) == "scans"
    assert find_kind(infrared, visible) == "cameras"
    assert find_kind(infrared, pair.fixed) == "cameras", "one black frame may be the night"


def test_a_frame_between_both_kinds_is_not_guessed() -> None:
    half = head(turned(0, 0, 0)).fixed
    half[:24, :] += 0.5
    with pytest.raises(RegistrationError, match=r"of the pixels at the borders are black.*kind='cameras'"):
        estimate(half, half)
    assert estimate(half, half, "cameras").kind == "cameras"


def test_what_cannot_be_aligned_is_an_error() -> None:
    picture = np.zeros((63, 200), np.float32)
    with pytest.raises(RegistrationError, match="infrared: 200x63 pixels are too few"):
        estimate(picture, np.zeros((80, 80), np.float32))
    with pytest.raises(RegistrationError, match="kind='x'"):
        estimate(picture, picture, "x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("group", "name", "most"),
    [
        ("visible_infrared", "01", 2.5),
        ("visible_infrared", "05", 2.5),
        ("satellite", "03", 3.5),
        ("mri_pet", "03", 2.0),
        ("spect_ct", "09", 3.0),
    ],
)
def test_real_pairs_are_aligned(shared: Path, group: str, name: str, most: float) -> None:
    pair = published(shared, group, name)
    found = estimate(pair.moving, pair.fixed)
    assert found.accepted, found.reason
    assert pair.error(found.transform) < most


def test_real_pictures_of_different_scenes_are_refused(shared: Path) -> None:
    infrared, visible = (published(shared, "visible_infrared", name) for name in ("03", "07"))
    assert not estimate(infrared.moving, visible.fixed).accepted


def test_scans_that_measures_disagree_about_are_refused(shared: Path) -> None:
    pair = published(shared, "spect_ct", "01")
    found = estimate(pair.moving, pair.fixed)
    assert not found.accepted
    assert "two measures disagree" in found.reason


@pytest.mark.parametrize(
    ("infrared", "visible"),
    [
        ("msrs_sample/ir/00055D.png", "msrs_sample/vi/00055D.png"),
        ("roadscene/test/ir/FLIR_08835.jpg", "roadscene/test/vi/FLIR_08835.jpg"),
        ("medical/mri_pet/test/pet/43.png", "medical/mri_pet/test/mri/43.png"),
    ],
)
def test_real_registered_pairs_stay_as_they_are(shared: Path, infrared: str, visible: str) -> None:
    moving, fixed = gray(shared / "data" / infrared), gray(shared / "data" / visible)
    found = estimate(moving, fixed)
    assert not found.accepted or found.transform.moved(moving.shape) <= 0.3
