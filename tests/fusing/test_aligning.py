"""Pairs that are aligned before they are fused, and warnings about those that look shifted."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imfuse import Fuser, ImageError, ImfuseWarning, PairError, RegistrationError
from imfuse.cli.main import main
from imfuse.fusing.folder import ALIGNMENT
from imfuse.imaging import read_image, read_metadata, write_image
from imfuse.registration.transform import Transform
from registration_pairs import scene, seen_by

MOVED = Transform(np.array([[1.0, 0, 14], [0, 1, -10], [0, 0, 1]]))


def levels(picture: Any) -> Any:
    return np.uint8(np.round(picture * 255))


@pytest.fixture(scope="module")
def pictures() -> dict[str, Any]:
    """A rendered street: its visible picture, the infrared one, and what an infrared camera beside it sees."""
    infrared, visible = scene(5)
    moved = seen_by(infrared, MOVED, (240, 320))
    return {"infrared": levels(infrared), "visible": levels(visible), "moved": levels(moved)}


@pytest.fixture(scope="module")
def files(pictures: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    for name, picture in pictures.items():
        write_image(folder / f"{name}.png", picture)
    return folder


def fuser(**settings: Any) -> Fuser:
    return Fuser("laplacian_pyramid", **settings)


def test_an_aligned_pair_is_fused_as_the_registered_one(pictures: dict[str, Any]) -> None:
    true = fuser()(pictures["infrared"], pictures["visible"]).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aligned = fuser(align=True)(pictures["moved"], pictures["visible"])
    with pytest.warns(ImfuseWarning):
        as_given = fuser()(pictures["moved"], pictures["visible"])
    inside = np.s_[24:-24, 24:-24]
    assert np.abs(aligned - true)[inside].mean() < 0.5 * np.abs(as_given - true)[inside].mean()


def test_where_the_infrared_camera_does_not_look_the_visible_picture_stands(pictures: dict[str, Any]) -> None:
    narrow = pictures["moved"][40:200, 50:270]
    aligned = fuser(align=True)(narrow, pictures["visible"])
    np.testing.assert_array_equal(aligned[:16], pictures["visible"][:16])
    assert np.abs(aligned.astype(float) - pictures["visible"])[80:150, 100:220].mean() > 2


def test_other_sizes_need_no_resize(pictures: dict[str, Any]) -> None:
    half = pictures["moved"][::2, ::2]
    with pytest.raises(PairError):
        fuser()(half, pictures["visible"])
    assert fuser(align=True)(half, pictures["visible"]).shape == (240, 320)


def test_what_cannot_be_aligned_is_refused_with_the_reason(pictures: dict[str, Any]) -> None:
    other = levels(scene(2)[0])[:, ::-1]
    with pytest.raises(RegistrationError, match=r"not aligned, since .*of the blocks agree.*leave out align=True"):
        fuser(align=True)(other, pictures["visible"])


def test_a_shifted_pair_is_told_once_and_how_to_help(pictures: dict[str, Any]) -> None:
    with pytest.warns(ImfuseWarning, match=r"looks shifted by about 1[5-9] pixels.*use align=True") as told:
        fuser()(pictures["moved"], pictures["visible"])
    assert len(told) == 1
    with pytest.raises(ImageError, match="looks shifted"):
        fuser(strict=True)(pictures["moved"], pictures["visible"])


def test_a_registered_pair_is_fused_without_a_word(pictures: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fuser(strict=True)(pictures["infrared"], pictures["visible"])


def test_the_setting_decides_a_result_and_is_written_down(files: Path, tmp_path: Path) -> None:
    arguments = files / "moved.png", files / "visible.png", tmp_path / "fused.png"
    with pytest.warns(ImfuseWarning, match="looks shifted"):
        assert fuser().files(*arguments)
    assert ALIGNMENT not in read_metadata(arguments[2])
    aligning = fuser(align=True)
    assert aligning.files(*arguments), "another result than that without"
    model, numbers, word, evidence = read_metadata(arguments[2])[ALIGNMENT].split()
    assert (model, word, float(evidence) > 0.25) == ("homography", "evidence", True)
    matrix = np.array(numbers.split(","), float).reshape(3, 3)
    assert np.abs(matrix @ [160, 120, 1] - [174, 110, 1]).max() < 2
    assert not aligning.files(*arguments), "finished before"


def test_the_command_line_aligns(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["fuse", str(files / "moved.png"), str(files / "visible.png"), "--model", "laplacian_pyramid"]
    assert main([*given, "--align", "-o", str(tmp_path / "fused.png")]) == 0
    assert read_image(tmp_path / "fused.png").shape == (240, 320)
    assert "looks shifted" not in capsys.readouterr().err
    assert main([*given, "-o", str(tmp_path / "other.png")]) == 0
    told = capsys.readouterr().err
    assert "looks shifted by about" in told
    assert "--align" in told
