"""Pictures in false colours: recognised, and mapped back to heat."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from imfuse.core.errors import ImageError
from imfuse.imaging import read_image
from imfuse.imaging.palette import PALETTES, find_palette, heat_of, is_painted, palette_colours
from imfuse.scenes import render_scene

SCENE = render_scene(120, 160)
# Cameras stretch what they paint over the whole palette.
HEAT = cv2.normalize(SCENE.infrared, None, 0, 255, cv2.NORM_MINMAX)
RECOGNISED = PALETTES[: PALETTES.index("cividis")]


def painted(name: str, quality: int | None = None) -> np.ndarray[Any, Any]:
    """The scene in the colours of a palette, as a camera would store it."""
    picture = palette_colours(name)[HEAT].round().astype(np.uint8)
    if quality is None:
        return picture
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


@pytest.mark.parametrize("name", RECOGNISED)
@pytest.mark.parametrize("quality", [None, 75])
def test_a_palette_is_recognised_and_mapped_back(name: str, quality: int | None) -> None:
    picture = painted(name, quality)
    assert find_palette(picture) == name
    apart = np.abs(heat_of(picture, name).astype(int) - HEAT)
    assert apart.max() <= 1 if quality is None else apart.mean() < 8, "two colours of some palettes are equal"


@pytest.mark.parametrize("name", ["cool", "jet", "viridis"])
def test_other_types_of_pixels(name: str) -> None:
    picture = painted(name)
    for other in (picture.astype(np.uint16) * 257, picture.astype(np.float32) / 255):
        assert find_palette(other) == name
        assert np.abs(heat_of(other, name).astype(int) - HEAT).max() <= 1


def test_brightness_is_not_heat() -> None:
    """What the whole matter is about: the hottest and the coldest of jet are the darkest."""
    jet = palette_colours("jet") @ np.float32([0.299, 0.587, 0.114])
    assert jet[[0, 255]].max() < jet[128]
    assert np.corrcoef(jet, np.arange(256))[0, 1] < 0.5


def test_an_ironbow_of_others_is_recognised_by_its_order() -> None:
    """Black, blue, violet, red, orange, yellow, white, as another program has it."""
    points = np.array([(0, 0, 0, 0), (26, 32, 0, 140), (64, 120, 0, 160), (102, 204, 40, 110), (153, 235, 90, 20),
                       (191, 248, 160, 5), (230, 252, 225, 80), (255, 255, 255, 246)])  # fmt: skip
    table = np.stack([np.interp(np.arange(256), points[:, 0], points[:, i]) for i in (1, 2, 3)], axis=1)
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    picture = table[ramp].round().astype(np.uint8)
    assert find_palette(picture) == "ironbow"
    assert np.abs(heat_of(picture, "ironbow").astype(int) - ramp).mean() < 12


@pytest.mark.parametrize("name", ["bone", "pink", "cividis", "hsv"])
def test_what_looks_like_nature_or_has_two_equal_ends_is_mapped_on_request_alone(name: str) -> None:
    assert find_palette(painted(name)) is None
    if name != "hsv":
        assert np.abs(heat_of(painted(name), name).astype(int) - HEAT).max() <= 1


def test_natural_colours_are_no_palette() -> None:
    for visible in (SCENE.visible, render_scene(120, 160, 1).visible, np.repeat(HEAT[..., None], 3, 2)):
        assert not is_painted(visible)
        assert find_palette(visible) is None


def test_unknown_palettes_are_painted_all_the_same() -> None:
    picture = palette_colours("jet")[:, [1, 2, 0]][HEAT].astype(np.uint8)
    assert is_painted(picture)
    assert find_palette(picture) is None


def test_a_short_part_of_a_palette_tells_nothing() -> None:
    yellow = palette_colours("rainbow")[HEAT // 8 + 80].round().astype(np.uint8)
    assert is_painted(yellow)
    assert find_palette(yellow) is None


@pytest.mark.parametrize("name", ["flir_e40bx.jpg", "flir_i7_be.jpg", "flir_one.jpg"])
def test_pictures_of_cameras_with_an_iron_palette(shared: Path, name: str) -> None:
    """Each with text and a scale drawn into it."""
    assert find_palette(read_image(shared / "data" / "sensors" / name)) == "ironbow"


@pytest.mark.parametrize("folder", ["llvip_sample", "m3fd_sample", "msrs_sample", "roadscene/test"])
def test_no_natural_picture_is_taken_for_a_painted_one(shared: Path, folder: str) -> None:
    pictures = [read_image(path) for path in sorted((shared / "data" / folder / "vi").iterdir())[:8]]
    assert not any(is_painted(picture) for picture in pictures)


def test_palettes_are_those_of_opencv() -> None:
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    np.testing.assert_array_equal(palette_colours("turbo"), cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO)[:, 0, ::-1])
    with pytest.raises(ImageError, match="infrared_palette='heat': auto, none, or one of ironbow, jet"):
        palette_colours("heat")
