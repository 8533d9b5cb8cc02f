"""Which picture is the infrared one, false colours, bands and aspect ratios: from the arguments to the result."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import imfuse
from imfuse import Fuser, ImageError, ImfuseWarning, ModelError, PairError
from imfuse.imaging import luminance, read_image, write_image
from imfuse.imaging.palette import palette_colours
from imfuse.scenes import render_scene

SCENE = render_scene(96, 128)
GRAY, COLOURS = cv2.normalize(SCENE.infrared, None, 0, 255, cv2.NORM_MINMAX), SCENE.visible
JET = palette_colours("jet")[GRAY].astype(np.uint8)
MODEL = "laplacian_pyramid"


def fuser(**settings: Any) -> Fuser:
    return Fuser(MODEL, device="cpu", **settings)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """``first`` with infrared and ``second`` with visible pictures, whose names say nothing."""
    for i in range(3):
        write_image(tmp_path / "first" / f"{i}.png", np.roll(GRAY, i))
        write_image(tmp_path / "second" / f"{i}.png", np.roll(COLOURS, i, axis=1))
    return tmp_path


def as_tensor(pixels: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(pixels if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0).copy())


@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray, as_tensor])
def test_swapped_pictures_are_refused_whatever_they_come_as(kind: Any) -> None:
    with pytest.raises(PairError, match=r"infrared and visible look swapped.*order='given'"):
        fuser()(kind(COLOURS), kind(GRAY))
    fuser()(kind(GRAY), kind(COLOURS))
    with pytest.warns(ImfuseWarning, match="colours of no palette"):
        fuser(order="given")(kind(COLOURS), kind(GRAY))


def test_swapped_files_are_refused_by_colour_or_by_name(folders: Path) -> None:
    with pytest.raises(PairError, match="look swapped: the infrared picture has natural colours"):
        fuser().files(folders / "second" / "0.png", folders / "first" / "0.png", folders / "fused.png")
    write_image(folders / "x_vis.png", GRAY)
    write_image(folders / "x_ir.png", np.roll(GRAY, 9))
    with pytest.raises(PairError, match=r"x_vis\.png says visible"):
        fuser()(folders / "x_vis.png", folders / "x_ir.png")
    assert fuser(order="given").files(folders / "x_vis.png", folders / "x_ir.png", folders / "fused.png")


def test_swapped_folders_are_refused_before_anything_is_written(folders: Path) -> None:
    with pytest.raises(PairError, match="look swapped: the infrared picture has natural colours"):
        fuser().folder(folders / "second", folders / "first", folders / "fused")
    assert not (folders / "fused").exists()
    assert len(fuser().folder(folders / "first", folders / "second", folders / "fused").written) == 3
    (folders / "second").rename(folders / "vis")
    with pytest.raises(PairError, match="the name vis says visible"):
        fuser().folder(folders / "vis", folders / "first", folders / "swapped")
    report = fuser(order="given").folder(folders / "vis", folders / "first", folders / "swapped")
    assert len(report.written) == 3
    assert all("colours of no palette" in text for _, text in report.warnings)


def test_one_odd_pair_of_a_folder_does_not_stop_the_others(folders: Path) -> None:
    write_image(folders / "first" / "1.png", COLOURS)
    write_image(folders / "second" / "1.png", GRAY)
    report = fuser().folder(folders / "first", folders / "second", folders / "fused")
    assert report.written == ("0", "2")
    assert "look swapped" in dict(report.failed)["1"]


def test_gray_data_sets_are_never_refused_by_colour(folders: Path) -> None:
    fused = fuser()(GRAY, np.roll(GRAY, 5))
    three = np.repeat(GRAY[..., None], 3, 2)
    np.testing.assert_array_equal(fuser()(three, np.roll(GRAY, 5)), fused)


def test_false_colours_are_mapped_back_and_told() -> None:
    wanted = fuser()(GRAY, COLOURS)
    with pytest.warns(ImfuseWarning, match=r"painted in the colours of jet.*mapped back.*infrared_palette='none'"):
        fused = fuser()(JET, COLOURS)
    np.testing.assert_array_equal(fused, wanted)
    np.testing.assert_array_equal(fuser(infrared_palette="jet")(JET, COLOURS), wanted)
    brightness = np.rint(luminance(JET / np.float32(255)) * 255).astype(np.uint8)
    kept = fuser(infrared_palette="none")(JET, COLOURS)
    assert np.abs(kept.astype(int) - fuser()(brightness, COLOURS)).mean() < 1, "but for what rounding decides"
    assert np.abs(kept.astype(int) - wanted).mean() > 10
    with pytest.warns(ImfuseWarning, match="jet"):
        assert np.ptp(fuser()(JET, np.roll(GRAY, 5))) > 100, "a gray visible picture beside it is no reason to refuse"
    with pytest.raises(ImageError, match="painted in the colours of jet"):
        fuser(strict=True)(JET, COLOURS)


def test_a_wrong_palette_is_told() -> None:
    with pytest.warns(ImfuseWarning, match="colours of the infrared picture are not those of viridis"):
        fuser(infrared_palette="viridis")(JET, COLOURS)


def test_unknown_colours_are_told() -> None:
    odd = palette_colours("jet")[:, [1, 2, 0]][GRAY].astype(np.uint8)
    with pytest.warns(ImfuseWarning, match=r"colours of no palette that is known.*infrared_palette='none'"):
        fuser()(odd, COLOURS)


def test_bands_of_one_picture_are_both_sides(tmp_path: Path) -> None:
    four, wanted = np.dstack([COLOURS, GRAY]), fuser()(GRAY, COLOURS)
    chosen = fuser(infrared_bands=4, visible_bands=(1, 2, 3))
    np.testing.assert_array_equal(chosen(four, four), wanted)
    assert chosen(Image.fromarray(four), Image.fromarray(four)).tobytes() == wanted.tobytes()
    tensor = as_tensor(four)
    assert torch.equal(chosen(tensor, tensor), as_tensor(wanted))
    for picture in (four, Image.fromarray(four), tensor):
        with pytest.raises(ImageError, match=r"4 bands found.*infrared_bands=4 and visible_bands='1,2,3'"):
            fuser()(picture, picture)


def test_a_folder_of_such_pictures_is_given_twice(tmp_path: Path) -> None:
    # Three bands will do, and every format has them.
    write_image(tmp_path / "both" / "1.png", COLOURS)
    chosen = fuser(infrared_bands="1", visible_bands="2")
    assert chosen.folder(tmp_path / "both", tmp_path / "both", tmp_path / "fused").written == ("1",)
    np.testing.assert_array_equal(read_image(tmp_path / "fused" / "1.png"), chosen(COLOURS, COLOURS))
    assert chosen.files(tmp_path / "both" / "1.png", tmp_path / "both" / "1.png", tmp_path / "one.png")


def test_aspect_ratios() -> None:
    wide = cv2.resize(COLOURS, (192, 96))
    with pytest.raises(PairError, match=r"128x96.*192x96.*another aspect ratio.*resize='pad'"):
        fuser(resize="same")(GRAY, wide)
    with pytest.warns(ImfuseWarning, match="another aspect ratio: the infrared picture is stretched"):
        told = fuser(resize=True)(GRAY, wide)
    np.testing.assert_array_equal(fuser(resize="stretch")(GRAY, wide), told)
    padded = fuser(resize="pad")(GRAY, wide)
    # Beside the infrared picture the visible one stands alone, but for what the levels of a pyramid reach.
    assert np.abs(padded[:, :8].astype(int) - wide[:, :8]).mean() < 3
    assert np.abs(padded[:, 64:128].astype(int) - wide[:, 64:128]).mean() > 10
    middle = cv2.resize(GRAY[16:80], (192, 96))
    assert np.abs(fuser(resize="crop")(GRAY, wide).astype(int) - fuser()(middle, wide)).mean() < 1


def test_what_decides_a_result_is_in_its_fingerprint() -> None:
    settings: list[dict[str, Any]] = [
        *({"resize": how} for how in (False, True, "same", "stretch", "crop", "pad")),
        *({"infrared_palette": name} for name in ("none", "jet")),
        *({"infrared_bands": 4}, {"visible_bands": (1, 2, 3)}, {"align": True}),
    ]
    assert len({fuser(**chosen).fingerprint() for chosen in settings}) == len(settings)
    assert fuser(order="given").fingerprint() == fuser().fingerprint(), "it decides whether, not what"
    assert fuser(visible_bands="1,2,3").fingerprint() == fuser(visible_bands=[1, 2, 3]).fingerprint()


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"order": "swap"}, ModelError, "order='swap': check or given"),
        ({"resize": "zoom"}, ModelError, "resize='zoom': True, False or one of same, stretch, crop, pad"),
        ({"infrared_palette": "heat"}, ImageError, "infrared_palette='heat': auto, none, or one of ironbow"),
        ({"infrared_bands": "4,5"}, ImageError, "infrared_bands='4,5': one band or three"),
        ({"visible_bands": 0}, ImageError, "visible_bands=0: one band or three"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fuser(**settings)


def test_one_call_has_the_same_settings() -> None:
    fused = imfuse.fuse(COLOURS, COLOURS, MODEL, infrared_bands=1, visible_bands=[2], resize="same", order="given")
    np.testing.assert_array_equal(fused, fuser()(COLOURS[..., 0].copy(), COLOURS[..., 1].copy()))
    assert imfuse.fuse(JET, COLOURS, MODEL, infrared_palette="none").shape == COLOURS.shape


def test_the_colours_of_scans_are_no_palette_of_heat(tmp_path: Path) -> None:
    write_image(tmp_path / "pet" / "1.png", JET)
    write_image(tmp_path / "mri" / "1.png", 255 - GRAY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fused = fuser()(tmp_path / "pet" / "1.png", tmp_path / "mri" / "1.png")
    np.testing.assert_array_equal(fused, fuser(infrared_palette="none")(JET, 255 - GRAY))
