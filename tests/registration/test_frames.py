"""Many frames, matched points and boards: known transforms are found again, and what shows nothing is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from imfuse import RegistrationError
from imfuse.imaging import match_folders
from imfuse.registration.board import board_of, transform_of_board
from imfuse.registration.check import check_rig, overlay
from imfuse.registration.frames import transform_of_frames
from imfuse.registration.points import read_points, transform_of_points
from imfuse.registration.rig import Rig
from imfuse.registration.transform import Transform, identity
from registration_pairs import Float, board_seen, gray, scene, seen_by

SIZE = (240, 320)


def beside(pixels: float, size: tuple[int, int] = SIZE) -> Transform:
    """A camera that stands aside by so many pixels, turned and nearer by a little."""
    height, width = size
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 1.0, 1.02)
    matrix[:2, 2] += 0.8 * pixels, -0.6 * pixels
    return Transform(matrix, "similarity")


def apart(found: Transform, true: Transform, size: tuple[int, int]) -> float:
    """Mean distance over the infrared picture of where two transforms put it, in pixels."""
    y, x = np.mgrid[0 : size[0] : 7j, 0 : size[1] : 7j]
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    return float(np.linalg.norm(found.apply(places) - true.apply(places), axis=1).mean())


@pytest.fixture(scope="module")
def streets() -> list[tuple[Float, Float]]:
    return [scene(seed, *SIZE) for seed in range(4)]


def moved(pairs: Sequence[tuple[Float, Float]], transform: Transform) -> tuple[list[Float], list[Float]]:
    size = pairs[0][0].shape[0], pairs[0][0].shape[1]
    return [seen_by(infrared, transform, size) for infrared, _ in pairs], [visible for _, visible in pairs]


@pytest.mark.parametrize("pixels", [10, 25, 60])
def test_frames_of_rendered_streets_give_their_transform(streets: list[tuple[Float, Float]], pixels: float) -> None:
    true = beside(pixels)
    found = transform_of_frames(*moved(streets, true))
    assert apart(found.transform, true, SIZE) <= 1
    assert not found.dropped


def test_registered_frames_stay_as_they_are(streets: list[tuple[Float, Float]]) -> None:
    found = transform_of_frames(*moved(streets, identity()))
    assert apart(found.transform, identity(), SIZE) <= 0.3
    assert found.transform.model == "shift"


@pytest.fixture(scope="module", params=["msrs_sample", "llvip_sample"])
def real(shared: Path, request: pytest.FixtureRequest) -> tuple[list[tuple[Float, Float]], Transform]:
    """Frames of two real cameras, and the transform that is left between them as they were published."""
    folder = shared / "data" / request.param
    pairs = [(gray(pair.infrared), gray(pair.visible)) for pair in match_folders(folder / "ir", folder / "vi").pairs]
    return pairs, transform_of_frames(*moved(pairs, identity())).transform


@pytest.mark.slow
@pytest.mark.parametrize("pixels", [10, 60])
def test_a_known_warp_of_real_frames_is_found(real: tuple[list[tuple[Float, Float]], Transform], pixels: float) -> None:
    pairs, still = real
    size = pairs[0][0].shape[0], pairs[0][0].shape[1]
    true = beside(pixels, size)
    found = transform_of_frames(*moved(pairs, true)).transform
    assert apart(found, still.after(true), size) <= 1
    # Published frames are registered to a few pixels themselves.
    assert apart(found, true, size) <= 4


def test_frames_that_are_of_no_use_are_dropped_with_the_reason(streets: list[tuple[Float, Float]]) -> None:
    infrared, visible = moved(streets, beside(10))
    infrared += [np.full(SIZE, 0.5, np.float32), np.roll(infrared[0], 14, axis=1)]
    visible += [visible[1], visible[0]]
    found = transform_of_frames(infrared, visible)
    assert list(found.dropped) == [4, 5]
    assert "its edges agree by 0.00" in found.dropped[4]
    assert "most 14 px from there" in found.dropped[5]
    assert apart(found.transform, beside(10), SIZE) <= 1


def test_frames_that_share_nothing_are_refused() -> None:
    noise = np.random.default_rng(0).random((6, 120, 160), np.float32)
    with pytest.raises(RegistrationError, match="agree"):
        transform_of_frames(list(noise[:3]), list(noise[3:]))
    with pytest.raises(RegistrationError, match="at least 2 of each camera"):
        transform_of_frames([noise[0]], [noise[1]])


def test_the_check_tells_how_far_a_rig_is_off(streets: list[tuple[Float, Float]]) -> None:
    infrared, visible = moved(streets, identity())
    good, off = (
        check_rig(Rig.of(Transform(np.array([[1.0, 0, x], [0, 1, 0], [0, 0, 1]])), SIZE, SIZE), infrared, visible)
        for x in (0, 5)
    )
    assert max(one for one in good.off if one is not None) < 1
    assert good.parallax < 2
    assert np.median([one for one in off.off if one is not None]) == pytest.approx(5, abs=0.5)
    assert good.common == 1
    assert off.common == pytest.approx(1 - 5 / 320)


def test_parallax_is_told(streets: list[tuple[Float, Float]]) -> None:
    infrared, visible = moved(streets, identity())
    # The lower half, which is nearer, lies aside by 6 pixels.
    for picture in infrared:
        picture[140:] = np.roll(picture[140:], 6, axis=1)
    assert check_rig(Rig.of(identity(), SIZE, SIZE), infrared, visible).parallax > 4


def test_overlays_show_both(streets: list[tuple[Float, Float]]) -> None:
    infrared, visible = streets[0]
    picture = overlay(Rig.of(identity(), SIZE, SIZE), infrared, visible)
    assert picture.shape == (240, 640, 3)
    assert (picture[:, 320:] == (255, 40, 40)).all(axis=2).any()


TABLE = "x_visible,y_visible,x_infrared,y_infrared\n"


def test_points_decide_the_least_freedom_that_serves(tmp_path: Path) -> None:
    infrared = np.random.default_rng(1).uniform(0, 300, (12, 2))
    visible = beside(25).apply(infrared) + np.random.default_rng(2).normal(0, 0.3, (12, 2))
    rows = np.concatenate([visible, infrared], axis=1).tolist()
    (tmp_path / "points.csv").write_text(TABLE + "".join(",".join(map(str, row)) + "\n" for row in rows))
    transform, residual = transform_of_points(*read_points(tmp_path / "points.csv"))
    assert transform.model == "similarity"
    assert residual < 0.6
    assert apart(transform, beside(25), SIZE) < 0.5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"a,b\n1,2\n", "line 1: a,b found"),
        (TABLE.encode() + b"1,2,3,4\n1,2,x,4\n", "line 3: x_infrared: x found"),
        (TABLE.encode() + b"1,2,3\n", "line 2: y_infrared: nothing found"),
        (TABLE.encode() + b"1,2,3,nan\n", "line 2: y_infrared: nan found"),
        (TABLE.encode() + b"1,2,3,1e9\n", "line 2: y_infrared: 1e9 found"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_wrong_points_are_refused_by_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "points.csv").write_bytes(content)
    with pytest.raises(RegistrationError, match=words) as error:
        read_points(tmp_path / "points.csv")
    assert "\n" not in str(error.value)


def test_too_few_points_are_refused() -> None:
    with pytest.raises(RegistrationError, match="1 points: at least 2"):
        transform_of_points(np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(RegistrationError):
        transform_of_points(np.zeros((5, 2)), np.zeros((5, 2)), "homography")


def test_a_board_that_is_warm_where_it_is_dark_gives_the_transform() -> None:
    true, infrared, visible = beside(10), [], []
    for x, y, tilt in [(40, 30, 0.0), (45, 25, 2e-4), (30, 35, -2e-4)]:
        seen = np.array([[1.0, 0.05, x], [-0.04, 1.0, y], [tilt, -tilt / 2, 1]])
        infrared.append(board_seen(seen, 0.8, 0.3))
        visible.append(board_seen(true.matrix @ seen, 0.1, 0.9))
    infrared.append(np.zeros(SIZE, np.float32))
    visible.append(visible[0])
    found = transform_of_board(infrared, visible, (9, 6))
    assert apart(found.transform, true, SIZE) < 0.3
    assert found.residual < 0.3
    assert found.dropped == {3: "no board of 9x6 inner corners in the infrared picture"}


def test_boards_that_are_none_are_refused() -> None:
    for text in ("9", "9x", "2x9", "99x6", "axb", ""):
        with pytest.raises(RegistrationError, match="inner corners"):
            board_of(text)
    with pytest.raises(RegistrationError, match="no frame shows a board of 9x6"):
        transform_of_board([np.zeros(SIZE, np.float32)], [np.zeros(SIZE, np.float32)], (9, 6))
