"""Where one picture holds no data the result shows the other one alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imfuse import Fuser, ImageError
from imfuse.imaging import read_image, write_image
from imfuse.imaging.read import Reading
from imfuse.scenes import render_scene

IR, VI = (slice(None), slice(0, 12)), (slice(50, None), slice(None))
"""Where the infrared and where the visible picture of these tests has no data; the two overlap."""


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    scene = render_scene(64, 80, 3)
    return scene.infrared, scene.visible


@pytest.fixture(scope="module")
def fuser() -> Fuser:
    return Fuser("laplacian_pyramid")


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def holes(pixels: np.ndarray, where: Any) -> Any:
    mask = np.zeros(pixels.shape, bool)
    mask[where] = True
    return np.ma.masked_array(np.where(mask, 0, pixels).astype(pixels.dtype), mask)


def nan(pixels: np.ndarray, where: Any) -> np.ndarray:
    pixels = pixels.astype(np.float32)
    pixels[where] = np.nan
    return pixels


def test_each_side_alone_and_black_without_both(fuser: Fuser, pair: tuple[np.ndarray, np.ndarray]) -> None:
    infrared, visible = pair
    fused = fuser(holes(infrared, IR), holes(visible, VI))
    assert type(fused) is np.ndarray
    assert fused.dtype == np.uint8
    np.testing.assert_array_equal(fused[:50, :12], visible[:50, :12])
    np.testing.assert_array_equal(fused[50:, 12:], np.repeat(infrared[50:, 12:, None], 3, axis=2))
    assert not fused[50:, :12].any()
    # Away from the holes, and from what the network sees of them, the result is as ever.
    whole = fuser(infrared, visible)
    assert np.abs(fused[:30, 40:].astype(int) - whole[:30, 40:]).mean() < 3
    gray = Fuser("laplacian_pyramid", gray=True)(holes(infrared, IR), holes(visible, VI))
    assert gray.shape == (64, 80)
    assert not gray[50:, :12].any()
    np.testing.assert_array_equal(gray[50:, 12:], infrared[50:, 12:])


@pytest.mark.parametrize("rule", ["auto", "-20,40"])
def test_temperatures_with_a_border_of_nan(fuser: Fuser, pair: tuple[np.ndarray, np.ndarray], rule: str) -> None:
    degrees = pair[0] / 255 * 60 - 20
    fused = Fuser("laplacian_pyramid", range=rule)(nan(degrees, IR), pair[1])
    np.testing.assert_array_equal(fused[:, :12], pair[1][:, :12])
    whole = Fuser("laplacian_pyramid", range=rule)(degrees, pair[1])
    assert np.abs(fused[:, 40:].astype(int) - whole[:, 40:]).mean() < 3


def test_tensors_with_nan(fuser: Fuser, pair: tuple[np.ndarray, np.ndarray]) -> None:
    infrared = torch.from_numpy(nan(pair[0], IR) / 255)
    visible = torch.from_numpy(pair[1].astype(np.float32) / 255).permute(2, 0, 1)
    fused = fuser(infrared, visible)
    assert torch.isfinite(fused).all()
    torch.testing.assert_close(fused[:, :, :12], visible[:, :, :12])


@pytest.mark.parametrize("size", [(32, 40), (128, 160), (64, 40)])
def test_resized_holes(pair: tuple[np.ndarray, np.ndarray], size: tuple[int, int]) -> None:
    """The mask follows the picture; what is interpolated from a pixel without data has none."""
    other = render_scene(*size, 3).infrared
    width = 12 * size[1] // 80
    fuser = Fuser("laplacian_pyramid", resize="stretch")
    fused = fuser(holes(other, (slice(None), slice(0, width))), pair[1])
    np.testing.assert_array_equal(fused[:, :12], pair[1][:, :12])
    assert (fused[:, 14:] != pair[1][:, 14:]).mean() > 0.5


@pytest.mark.parametrize("fit", ["zero", "resize"])
def test_fits_of_released_programs(pair: tuple[np.ndarray, np.ndarray], fit: Any) -> None:
    infrared, visible = (np.pad(side, ((0, 5), (0, 3), *([(0, 0)] * (side.ndim - 2))), "edge") for side in pair)
    fuser = Fuser("psfusion_compact", None, fit=fit)
    fused = fuser(holes(infrared, IR), visible)
    assert fused.shape == visible.shape
    shown = np.abs(fused[:, :11].astype(int) - visible[:, :11])
    assert shown.mean() < (1 if fit == "zero" else 6)


def test_normalised_output_is_of_the_scene_alone(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """LRRNet spreads its result over all grays: what is missing must not take any of them."""
    infrared, visible = pair[0], pair[1][..., 0]
    lrrnet = Fuser("lrrnet")
    whole, fused = lrrnet(infrared, visible), lrrnet(holes(infrared, (slice(0, 9), slice(0, 9))), visible)
    assert np.abs(fused[20:, 20:].astype(int) - whole[20:, 20:]).mean() < 4
    np.testing.assert_array_equal(fused[:9, :9], visible[:9, :9])


def test_files_and_folders(fuser: Fuser, pair: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    """Readers give masked pictures; here one of them stands in for a file."""
    write_image(tmp_path / "ir" / "1.png", pair[0])
    write_image(tmp_path / "vi" / "1.png", pair[1])
    with pytest.MonkeyPatch.context() as patch:
        read = read_image
        patch.setattr(
            "imfuse.imaging.inputs.read_picture",
            lambda path, **limits: Reading(holes(read(path), IR) if "ir" in str(path.parent.name) else read(path)),
        )
        fuser.folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out")
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "1.png")[:, :12], pair[1][:, :12])


@pytest.mark.parametrize("fit", ["mirror", "resize"])
def test_nothing_at_all_is_refused(pair: tuple[np.ndarray, np.ndarray], fit: Any) -> None:
    fuser = Fuser("psfusion_compact", None, fit=fit)
    with pytest.raises(ImageError, match="infrared: no pixel holds data"):
        fuser(np.ma.masked_all((64, 80), np.uint8), pair[1])
