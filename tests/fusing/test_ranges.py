"""Ranges through the ``Fuser`` and the command line: two numbers, wide integers, doubts, exact metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imfuse
from imfuse import Fuser, ImageError, ImfuseWarning
from imfuse.cli.main import main
from imfuse.imaging import Range, read_metadata, write_image
from imfuse.scenes import render_scene

METHOD = "laplacian_pyramid"


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    scene = render_scene(60, 80, 5)
    return 7000 + scene.infrared.astype(np.uint16) * 8, scene.visible


@pytest.mark.parametrize(
    "limits", [(7000, 9000), [7000.0, 9000.0], np.array([7000, 9000]), Range("limits", 7000, 9000)]
)
def test_two_numbers_are_a_range(pair: tuple[np.ndarray, np.ndarray], limits: Any) -> None:
    expected = Fuser(METHOD, range="7000,9000", visible_range="0,200")(*pair)
    np.testing.assert_array_equal(Fuser(METHOD, range=limits, visible_range=(0, 200))(*pair), expected)
    np.testing.assert_array_equal(imfuse.fuse(*pair, METHOD, range=limits, visible_range=(0, 200)), expected)


@pytest.mark.parametrize("limits", [(7000,), (9000, 7000), (0, float("nan")), ("low", "high"), 7000, None])
def test_what_is_no_range_is_one_line(limits: Any) -> None:
    with pytest.raises(ImageError, match="LOW") as caught:
        Fuser(METHOD, range=limits)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint32])
def test_wide_integers(pair: tuple[np.ndarray, np.ndarray], kind: Any) -> None:
    thermal, visible = pair[0], pair[1].astype(np.uint16) * 128
    fuser = Fuser(METHOD)
    expected = fuser(thermal, visible)
    fused = fuser(thermal.astype(kind), visible.astype(kind))
    assert fused.dtype == np.uint16
    np.testing.assert_array_equal(fused, expected)


def test_hundredths_of_a_degree_below_zero(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """A body of freezing cold and one of warmth are told apart, with a range and without."""
    centi = (pair[0].astype(np.int32) - 8000).astype(np.int16)
    for range_ in ("auto", "-1000,1040"):
        settings = {"range": range_} if range_ == "auto" else {"range": (7000, 9040)}
        np.testing.assert_array_equal(Fuser(METHOD, range=range_)(centi, pair[1]), Fuser(METHOD, **settings)(*pair))


def test_12_bits_in_16_are_doubted_and_shown(
    pair: tuple[np.ndarray, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = pair[1].astype(np.uint16) * 16
    with pytest.warns(
        ImfuseWarning, match=r"visible: the values 0?\d+\.\.\d+ fit into 12 bits.*visible_range='0,4095'"
    ):
        Fuser(METHOD, bits=8)(pair[0], deep)
    with pytest.raises(ImageError, match="12 bits"):
        Fuser(METHOD, bits=8, strict=True)(pair[0], deep)
    write_image(tmp_path / "ir.png", pair[0])
    write_image(tmp_path / "vi.png", deep)
    words = [
        "fuse",
        str(tmp_path / "ir.png"),
        str(tmp_path / "vi.png"),
        "-o",
        str(tmp_path / "a.png"),
        "--model",
        METHOD,
    ]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "and visible 0..65535 shown as black..white" in out
    assert "use --visible-range 0,4095" in err
    assert main([*words, "--visible-range", "0,4095"]) == 0
    out, err = capsys.readouterr()
    assert "and visible 0..4095 shown as black..white" in out
    assert err == ""


def test_metadata_are_exact(pair: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    celsius = (pair[0] / np.float32(37.7) - 170).astype(np.float32)
    write_image(tmp_path / "ir.tif", celsius)
    write_image(tmp_path / "vi.png", pair[1])
    Fuser(METHOD).files(tmp_path / "ir.tif", tmp_path / "vi.png", tmp_path / "fused.png")
    stored = read_metadata(tmp_path / "fused.png")
    limits = tuple(map(float, stored["imfuse:infrared-range"].split(",")))
    assert limits == tuple(np.percentile(celsius.astype(np.float64), (0.5, 99.5)))
    assert stored["imfuse:visible-range"] == "0,255"
