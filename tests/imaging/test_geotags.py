"""A result on the grid of a GeoTIFF lies where that lies; damaged or unfit tags are left out with a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from imfuse import Fuser
from imfuse.core.errors import ImageError
from imfuse.core.notes import ImfuseWarning, collected
from imfuse.imaging import read_image, write_image
from imfuse.imaging._geotags import read_geotags

SCALE = (33550, "d", 3, (0.5, 0.5, 0.0), True)
TIE = (33922, "d", 6, (0, 0, 0, 5e5, 46e5, 0.0), True)
MATRIX = (34264, "d", 16, tuple(map(float, range(16))), True)
KEYS = (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True)
DOUBLES = (34736, "d", 1, (7.5,), True)
TEXT = (34737, "s", 0, "WGS 84|", True)
NODATA = (42113, "s", 0, "-9999", True)
ALL = (SCALE, TIE, MATRIX, KEYS, DOUBLES, TEXT)
H, W = 20, 28


@pytest.fixture(scope="module")
def fuser() -> Fuser:
    return Fuser("laplacian_pyramid")


def pair(folder: Path, *tags: Any, **options: Any) -> tuple[Path, Path]:
    random = np.random.default_rng(0)
    for side in ("ir", "vi"):
        (folder / side).mkdir(exist_ok=True)
    write_image(folder / "ir" / "1.tif", random.integers(0, 256, (H, W), np.uint8))
    pixels = random.integers(0, 256, (H, W, 3), np.uint8)
    tifffile.imwrite(folder / "vi" / "1.tif", pixels, photometric="rgb", extratags=tags, **options)
    return folder / "ir" / "1.tif", folder / "vi" / "1.tif"


def stored(path: Path) -> dict[int, Any]:
    with tifffile.TiffFile(path) as tiff:
        return {tag.code: tag.value for tag in tiff.pages.first.tags if tag.code > 33000}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}], ids=str)
def test_a_tiff_result_keeps_them(tmp_path: Path, bits: Any, options: dict[str, Any]) -> None:
    files = pair(tmp_path, *ALL, NODATA, **options)
    fuser = Fuser("laplacian_pyramid", bits=bits)
    fuser.files(*files, tmp_path / "o.tif")
    assert stored(tmp_path / "o.tif") == {tag[0]: tag[3] for tag in ALL}
    np.testing.assert_array_equal(read_image(tmp_path / "o.tif"), fuser(*files))
    assert not fuser.files(*files, tmp_path / "o.tif"), "the result is recognised"


def test_a_picture_without_them_gets_none(fuser: Fuser, tmp_path: Path) -> None:
    files = pair(tmp_path, NODATA)
    fuser.files(*files, tmp_path / "o.tif")
    assert stored(tmp_path / "o.tif") == {}
    assert read_geotags(files[0]) is None
    write_image(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    assert read_geotags(tmp_path / "a.png") is None


def test_another_format_or_grid_says_so_once(fuser: Fuser, tmp_path: Path) -> None:
    files = pair(tmp_path, *ALL)
    with pytest.warns(ImfuseWarning, match=r"geotags are not kept.*\.tif") as caught:
        fuser.files(*files, tmp_path / "o.png")
    assert len(caught) == 1
    files = pair(tmp_path, *ALL, (274, "H", 1, 6, True))
    write_image(files[0], np.zeros((W, H), np.uint8))
    with pytest.warns(ImfuseWarning, match="geotags are not kept"):
        fuser.files(*files, tmp_path / "turned.tif")
    assert stored(tmp_path / "turned.tif") == {}


def test_a_folder_says_so_once_for_all_pairs(fuser: Fuser, tmp_path: Path) -> None:
    pair(tmp_path, *ALL)
    for side in ("ir", "vi"):
        for name in "23":
            (tmp_path / side / f"{name}.tif").write_bytes((tmp_path / side / "1.tif").read_bytes())
    report = fuser.folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out")
    [(name, text)] = report.warnings
    assert name == "1"
    assert "geotags are not kept" in text
    assert "3 in all" in text


@pytest.mark.parametrize(
    "tag",
    [
        (33550, "d", 2, (0.5, 0.5), True),
        (33550, "f", 3, (0.5, 0.5, 0.0), True),
        (33550, "d", 3, (float("nan"), 0.5, 0.0), True),
        (33922, "d", 6006, (0.0,) * 6006, True),
        (34735, "H", 4004, (1,) * 4004, True),
        (34735, "H", 7, (1,) * 7, True),
        (34736, "d", 4001, (0.0,) * 4001, True),
        (34737, "s", 0, "x" * 70000, True),
        (34737, "H", 2, (1, 2), True),
    ],
    ids=lambda tag: f"{tag[0]} {tag[1]}{tag[2]}",
)
def test_damaged_tags_are_left_out_together(fuser: Fuser, tmp_path: Path, tag: Any) -> None:
    others = [one for one in ALL if one[0] != tag[0]]
    files = pair(tmp_path, *others, tag)
    with collected() as notes:
        assert read_geotags(files[1]) is None
    assert ["geotags are damaged" in str(one) for one in notes] == [True]
    with pytest.warns(ImfuseWarning, match="geotags are damaged"):
        fuser.files(*files, tmp_path / "o.tif")
    assert stored(tmp_path / "o.tif") == {}


def test_pixels_without_data_in_either_are_nodata_again(tmp_path: Path) -> None:
    infrared, visible = pair(tmp_path, *ALL, NODATA)
    values = np.random.default_rng(1).integers(0, 3, (H, W)).astype(np.float32) / 2
    for path, tags, rows in ((infrared, (NODATA,), 6), (visible, (*ALL, NODATA), 4)):
        holes = values.copy()
        holes[:rows] = -9999
        tifffile.imwrite(path, holes, photometric="minisblack", extratags=tags)
    Fuser("laplacian_pyramid").files(infrared, visible, tmp_path / "o.tif")
    assert stored(tmp_path / "o.tif")[42113] == "0"
    fused = read_image(tmp_path / "o.tif")
    # The visible picture is alone in rows 4 and 5; black there is data.
    assert np.ma.getmaskarray(fused)[:4].all()
    assert not np.ma.getmaskarray(fused)[4:].any()
    assert fused[4:].min() == 1


def test_bands_of_a_picture_with_eight(tmp_path: Path) -> None:
    bands = np.random.default_rng(0).integers(0, 256, (H, W, 8), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", bands, photometric="minisblack", planarconfig="contig", extratags=ALL)
    with pytest.raises(ImageError, match=r"8 channels found.*visible_bands="):
        read_image(tmp_path / "a.tif")
    fuser = Fuser("laplacian_pyramid", infrared_bands=8, visible_bands=(5, 3, 2))
    fuser.files(tmp_path / "a.tif", tmp_path / "a.tif", tmp_path / "o.tif")
    expected = Fuser("laplacian_pyramid")(bands[..., 7], bands[..., [4, 2, 1]])
    np.testing.assert_array_equal(read_image(tmp_path / "o.tif"), expected)
    assert stored(tmp_path / "o.tif") == {tag[0]: tag[3] for tag in ALL}


def test_a_real_geotiff(shared: Path, tmp_path: Path) -> None:
    path = shared / "data" / "sensors" / "geo_float_nodata.tif"
    if not path.is_file():
        pytest.skip(f"no files of sensors at {path.parent}")
    truth = json.loads((path.parent / "truth.json").read_text())[path.name]
    pixels = read_image(path)
    assert np.ma.count_masked(pixels) == truth["nodata_count"]
    assert (pixels.min(), pixels.max()) == (truth["valid"]["min"], truth["valid"]["max"])
    assert pixels.mean() == pytest.approx(truth["valid"]["mean"], abs=1e-6)
    Fuser("laplacian_pyramid", infrared_bands=1, visible_bands=1).files(path, path, tmp_path / "o.tif")
    tags = stored(tmp_path / "o.tif")
    assert list(tags[33550]) == truth["ModelPixelScale_33550"]
    assert list(tags[33922]) == truth["ModelTiepoint_33922"]
    assert list(tags[34735]) == truth["GeoKeyDirectory_34735"]
    assert np.ma.count_masked(read_image(tmp_path / "o.tif")) == truth["nodata_count"]
