"""A rig: its file, hostile ones, and pictures that it aligns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from imfuse import RegistrationError, Rig
from imfuse.registration.lens import Camera
from imfuse.registration.rig import Box, Dropped
from imfuse.registration.transform import Transform, identity

MOVED = Transform(np.array([[1.05, 0.02, 12.0], [-0.03, 0.98, -7.0], [1e-5, 2e-5, 1.0]]))


def pattern(height: int, width: int) -> np.ndarray[Any, Any]:
    """A smooth picture whose value says where one is."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return (0.5 + 0.25 * np.sin(x / 9) + 0.25 * np.cos(y / 7)).astype(np.float32)


def scene(x: Any, y: Any) -> Any:
    return 0.5 + 0.25 * np.sin(x / 9) + 0.25 * np.cos(y / 7)


def written(folder: Path, **changes: Any) -> Path:
    rig = Rig.of(MOVED, (96, 128), (120, 160), residual=0.5, method="frames", frames=("a",))
    content = json.loads(rig.model_dump_json(by_alias=True)) | changes
    path = folder / "rig.json"
    path.write_text(json.dumps(content))
    return path


def test_a_rig_comes_back_from_its_file(tmp_path: Path) -> None:
    lens = Camera(width=160, height=120, matrix=((150, 0, 80), (0, 150, 60), (0, 0, 1)), distortion=(-0.2, 0.1, 0, 0))
    rig = Rig.of(MOVED, (96, 128), lens, residual=0.25, dropped=(Dropped(frame="b", reason="too dark"),))
    rig.write(tmp_path / "rig.json")
    again = Rig.read(tmp_path / "rig.json")
    assert again == rig
    assert again.digest == rig.digest
    assert again.digest != Rig.of(MOVED, (96, 128), (120, 160)).digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "something"}, "schema='imfuse.rig'"),
        ({"version": 2}, "another version"),
        ({"visible_from_infrared": [[1, 0, 0], [0, 1, 0], [1, 0, 0]]}, "inverted"),
        ({"visible_from_infrared": [[1, 0], [0, 1], [0, 0]]}, "visible_from_infrared"),
        ({"visible_from_infrared": [[1, 0, 1e9], [0, 1, 0], [0, 0, 1]]}, "1000000"),
        ({"infrared": {"width": 0, "height": 96}}, "infrared.width"),
        ({"infrared": {"width": 10**9, "height": 96}}, "infrared.width"),
        ({"visible": {"width": 160, "height": 120, "distortion": [0.1, 0, 0, 0]}}, "matrix of the camera"),
        ({"valid": [0, 0, 161, 120]}, "valid"),
        ({"valid": [9, 0, 3, 120]}, "valid"),
        ({"residual": -1}, "residual"),
        ({"surprise": 1}, "surprise"),
        ({"model": "magic"}, "model"),
    ],
)
def test_wrong_files_are_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RegistrationError, match=words) as error:
        Rig.read(written(tmp_path, **changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1, 2]",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"schema": "imfuse.rig", "version": ' + b"9" * 5000 + b"}",
        b" " * (2 << 20),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rig.json").write_bytes(content)
    with pytest.raises(RegistrationError):
        Rig.read(tmp_path / "rig.json")


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace("-7.0", "NaN"))
    with pytest.raises(RegistrationError):
        Rig.read(path)


def test_the_infrared_lands_where_the_transform_says() -> None:
    rig = Rig.of(MOVED, (96, 128), (120, 160))
    aligned = rig.align(pattern(96, 128), np.zeros((120, 160)))
    y, x = np.mgrid[:120, :160].astype(np.float64)
    places = MOVED.inverse().apply(np.stack([x.ravel(), y.ravel()], axis=1))
    wanted = scene(places[:, 0], places[:, 1]).reshape(120, 160)
    inner = ~cv2.dilate(aligned.mask.astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert inner.mean() > 0.4
    assert np.abs(aligned.data - wanted)[inner].max() < 0.01


def test_pictures_of_another_size_with_the_same_aspect_are_aligned() -> None:
    rig = Rig.of(MOVED, (96, 128), (120, 160))
    large = cv2.resize(pattern(96, 128), (256, 192), interpolation=cv2.INTER_CUBIC)
    first = rig.align(large, np.zeros((240, 320)))
    second = rig.align(pattern(96, 128), np.zeros((120, 160)))
    small = cv2.resize(first.data, (160, 120), interpolation=cv2.INTER_AREA)
    inner = ~cv2.dilate(second.mask.astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert np.abs(small - second.data)[inner].max() < 0.02
    with pytest.raises(RegistrationError, match="128x128 pixels, but the rig is of 128x96"):
        rig.align(np.zeros((128, 128)), np.zeros((120, 160)))


def test_pictures_of_every_size_cover_the_same() -> None:
    rig = Rig.of(MOVED, (96, 128), (120, 160))
    sizes = (48, 64), (96, 128), (192, 256)
    first, *others = (rig.align(pattern(*size), np.zeros((120, 160))).mask for size in sizes)
    assert not first[rig.valid.slices].any()
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_a_much_larger_infrared_picture_is_shrunk_by_means() -> None:
    rig = Rig.of(identity(), (120, 160), (120, 160))
    fine = np.indices((960, 1280)).sum(axis=0) % 2 * np.uint8(200)
    assert np.ptp(rig.align(fine.astype(np.uint8), np.zeros((120, 160)))) <= 2


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_types_are_kept(kind: Any) -> None:
    rig = Rig.of(identity(), (24, 32), (24, 32))
    picture = (pattern(24, 32) * 100).astype(kind)
    aligned = rig.align(picture, np.zeros((24, 32)))
    assert aligned.dtype == picture.dtype
    np.testing.assert_array_equal(aligned.data, picture)
    assert not aligned.mask.any()


def test_what_holds_no_data_stays_so() -> None:
    picture = pattern(24, 32)
    picture[5:9, 10:14] = np.nan
    moved = Transform(np.array([[1.0, 0, 3], [0, 1, 0], [0, 0, 1]]), "shift")
    aligned = Rig.of(moved, (24, 32), (24, 32)).align(picture, np.zeros((24, 32)))
    assert aligned.mask[5:9, 13:17].all()
    assert aligned.mask[:, :3].all()
    assert aligned.mask.sum() == 16 + 3 * 24


def test_the_lens_of_both_cameras_counts() -> None:
    lens = Camera(width=160, height=120, matrix=((140, 0, 80), (0, 140, 60), (0, 0, 1)), distortion=(-0.25, 0.05, 0, 0))
    rig = Rig.of(identity(), lens, (120, 160))
    y, x = np.mgrid[:120, :160].astype(np.float64)
    straight = lens.straightened(np.stack([x.ravel(), y.ravel()], axis=1))
    seen = scene(straight[:, 0], straight[:, 1]).reshape(120, 160).astype(np.float32)
    aligned = rig.align(seen, np.zeros((120, 160)))
    inner = ~cv2.dilate(aligned.mask.astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert np.abs(aligned.data - scene(x, y))[inner].max() < 0.01
    assert np.abs(seen - scene(x, y)).max() > 0.1


def test_there_and_back_through_a_lens() -> None:
    lens = Camera(
        width=640, height=512, matrix=((600, 0, 320), (0, 600, 256), (0, 0, 1)), distortion=(-0.2, 0.05, 0, 0)
    )
    points = np.random.default_rng(0).uniform(0, 500, (20, 2))
    np.testing.assert_allclose(lens.bent(lens.straightened(points)), points, atol=1e-4)
    assert np.isinf(lens.bent(np.array([[1e5, 0.0]]))).all()


def test_the_valid_area_is_a_rectangle_inside() -> None:
    turn = np.deg2rad(5)
    matrix = np.array([[np.cos(turn), -np.sin(turn), 10], [np.sin(turn), np.cos(turn), 5], [0, 0, 1]])
    rig = Rig.of(Transform(matrix, "rigid"), (96, 128), (120, 160))
    aligned = rig.align(pattern(96, 128), np.zeros((120, 160)))
    assert not aligned.mask[rig.valid.slices].any()
    box = rig.valid
    assert (box.right - box.left) * (box.bottom - box.top) > 0.6 * (~aligned.mask).sum()
    assert rig.valid_box((240, 320)).left == pytest.approx(2 * box.left, abs=3)


def test_cameras_that_share_nothing_are_refused() -> None:
    away = Transform(np.array([[1.0, 0, 1000], [0, 1, 0], [0, 0, 1]]), "shift")
    with pytest.raises(RegistrationError, match="covers nothing"):
        Rig.of(away, (96, 128), (120, 160))


def test_a_box_cuts() -> None:
    assert np.zeros((5, 6))[Box(1, 2, 4, 5).slices].shape == (3, 3)
