from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from imfuse.core.errors import ImageError
from imfuse.core.notes import ImfuseWarning
from imfuse.imaging import inputs, write_image
from imfuse.imaging.bands import parse_bands


def test_the_limit_of_bytes_is_raised_by_that_of_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_image(path, np.zeros((20, 30), np.uint8))
    monkeypatch.setattr(inputs, "MAX_BYTES", 500)
    monkeypatch.setattr(inputs, "MAX_PIXELS", 600)
    with pytest.raises(ImageError, match="600 bytes, at most 500 are decoded; use a smaller picture") as caught:
        inputs.read(path, 600)
    assert "max_bytes" not in str(caught.value)
    assert caught.value.advice[-1].startswith("use a larger max_pixels=...")
    assert inputs.read(path, 720).pixels.shape == (20, 30)
    with pytest.raises(ImageError) as caught:
        inputs.read(path, 599)
    assert caught.value.advice == ("use a smaller picture", "use max_pixels=600 to allow it")


H, W = 17, 24
RANDOM = np.random.default_rng(0)
GRAY = RANDOM.integers(0, 256, (H, W), np.uint8)
RGB = RANDOM.integers(0, 256, (H, W, 3), np.uint8)


def opened(path: Path) -> Any:
    """What PIL's image of a file counts as."""
    return inputs.load(Image.open(path), "visible", 10**6).pictures[0].pixels


def images() -> Iterator[tuple[str, Image.Image, dict[str, Any]]]:
    """Files of every mode that formats store: name, image, and how it is saved."""
    gray, rgb = Image.fromarray(GRAY), Image.fromarray(RGB)
    palette = rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    for kind, modes in {
        "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
        "tif": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"),
        "bmp": ("1", "L", "P", "RGB"),
        "jpg": ("L", "RGB", "CMYK"),
        "webp": ("RGB", "RGBA"),
    }.items():
        for mode in modes:
            image = (gray if mode in ("1", "L", "I;16", "I", "F") else rgb).convert(mode)
            yield f"{mode}.{kind}".replace(";", ""), image, {}
    yield "colours.png", palette, {}
    yield "one clear colour.png", palette, {"transparency": 3}
    yield "clear colours.png", palette, {"transparency": bytes(range(16))}
    yield "clear gray.png", gray, {"transparency": 40}
    yield "clear rgb.png", rgb, {"transparency": (1, 2, 3)}
    yield "deep.png", Image.fromarray(np.uint16(GRAY) * 200 + 7), {}
    yield "deep.tif", Image.fromarray(np.uint16(GRAY) * 200 + 7), {}
    yield "celsius.tif", Image.fromarray(np.float32(GRAY) / 7 - 20), {}
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        for kind in ("jpg", "png", "webp", "tif"):
            yield f"turned {turn}.{kind}", rgb, {"exif": exif}


@pytest.mark.parametrize(("name", "image", "how"), [pytest.param(*one, id=one[0]) for one in images()])
def test_an_image_that_pil_opened_is_that_of_its_path(
    tmp_path: Path, name: str, image: Image.Image, how: dict[str, Any]
) -> None:
    image.save(tmp_path / name, **how)
    wanted, got = inputs.read(tmp_path / name, 10**6).pixels, opened(tmp_path / name)
    # A gray file that is stored in colours is gray, an image of PIL keeps its mode.
    wanted = wanted if wanted.ndim == got.ndim else np.repeat(wanted[..., None], 3, 2)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


def test_a_copy_of_an_image_is_turned_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
    copy = Image.open(tmp_path / "a.jpg").convert("L")
    assert inputs.load(copy, "visible", 10**6).pictures[0].pixels.shape == (W, H)
    upright = ImageOps.exif_transpose(copy)
    assert inputs.load(upright, "visible", 10**6).pictures[0].pixels.shape == (W, H)


def test_what_pil_has_cut_to_8_bits_is_told(tmp_path: Path) -> None:
    write_image(tmp_path / "deep.png", np.uint16(RGB) * 256)
    with pytest.warns(ImfuseWarning, match="visible: PIL has cut the 16 bits of this file to 8; give the path"):
        assert opened(tmp_path / "deep.png").dtype == np.uint8


def test_a_file_that_pil_cannot_decode_is_an_error_of_ours(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-400])
    with pytest.raises(ImageError, match="visible: PIL cannot decode this image"):
        opened(tmp_path / "a.png")


RGBT = np.dstack([RGB, GRAY])


@pytest.mark.parametrize("picture", [RGBT, Image.fromarray(RGBT), torch.from_numpy(RGBT).permute(2, 0, 1)], ids=type)
def test_four_bands_are_not_guessed_at(picture: Any) -> None:
    with pytest.raises(ImageError, match=r"infrared: 4 bands found.*infrared_bands=4 and visible_bands='1,2,3'"):
        inputs.load(picture, "infrared", 10**6)


def test_bands_are_chosen_of_every_kind_of_picture(tmp_path: Path) -> None:
    for picture in (RGBT, Image.fromarray(RGBT), torch.from_numpy(RGBT).permute(2, 0, 1)):
        for bands, wanted in (((4,), GRAY), ((1, 2, 3), RGB), ((3, 2, 1), RGB[..., ::-1])):
            loaded = inputs.load(picture, "infrared", 10**6, bands)
            np.testing.assert_array_equal(loaded.pictures[0].pixels, wanted)
    for two in (RGBT[..., 2:], torch.from_numpy(RGBT[..., 2:]).permute(2, 0, 1)):
        np.testing.assert_array_equal(inputs.load(two, "infrared", 10**6, (2,)).pictures[0].pixels, GRAY)
    write_image(tmp_path / "rgb.png", RGB)
    np.testing.assert_array_equal(inputs.read(tmp_path / "rgb.png", 10**6, "visible", (2,)).pixels, RGB[..., 1])
    with pytest.raises(ImageError, match=r"rgb.png: visible band 4 is asked for, the picture has 3"):
        inputs.read(tmp_path / "rgb.png", 10**6, "visible", (4,))


def test_transparency_is_no_band() -> None:
    soft = np.full((H, W), 255, np.uint8)
    soft[:6], soft[6:9] = 0, np.uint8([[60], [120], [200]])
    for alpha in (np.zeros_like(GRAY), np.full_like(GRAY, 255), soft):
        pixels = inputs.load(Image.fromarray(np.dstack([RGB, alpha])), "visible", 10**6).pictures[0].pixels
        np.testing.assert_array_equal(pixels, RGB)


@pytest.mark.parametrize("bands", ["", "x", "1,2", (0,), (1, 2, 3, 4), [None], 1.5])
def test_bands_are_one_or_three(bands: Any) -> None:
    with pytest.raises(ImageError, match=r"visible_bands=.*: one band or three are expected"):
        parse_bands(bands, "visible_bands")
