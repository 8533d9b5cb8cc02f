"""Which picture of a file is meant, and what its values are: of every command that reads pictures of sensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imfuse import score
from imfuse.cli.main import main
from imfuse.core.errors import ImageError
from imfuse.imaging import View, read_image, write_image
from onnx_files import write_detector

COUNTS = (29315 + np.add.outer(np.arange(48) * 20, np.arange(64) * 10)).astype(np.uint16)
COLOURS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
FUSE = ["--model", "laplacian_pyramid"]


@pytest.fixture
def thermal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A pair of which nothing says which temperatures the infrared one holds, and how it is fused."""
    monkeypatch.chdir(tmp_path)
    write_image("ir/1.tif", COUNTS)
    write_image("vis/1.png", COLOURS)
    return ["--units", "centikelvin", "--range", "20C,30C"]


def test_scores_in_units_that_are_named(thermal: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuse", "ir/1.tif", "vis/1.png", "-o", "fused/1.png", *FUSE, *thermal]) == 0
    # The range in degrees stands in the fused file.
    assert main(["score", "fused/1.png", "ir/1.tif", "vis/1.png"]) == 2
    assert "say so by --units centikelvin" in capsys.readouterr().err
    assert main(["score", "fused/1.png", "ir/1.tif", "vis/1.png", *thermal[:2]]) == 0
    assert "20C..30C" in capsys.readouterr().out
    assert main(["score", "fused", "ir", "vis", *thermal[:2]]) == 0
    values = score("fused/1.png", "ir/1.tif", "vis/1.png", metrics="MI", view=View(units="centikelvin"))
    as_counts = score("fused/1.png", "ir/1.tif", "vis/1.png", metrics="MI", range=(29315, 30315))
    assert values["MI"] == pytest.approx(as_counts["MI"], abs=0.01)
    with pytest.raises(ImageError, match="units="):
        score("fused/1.png", "ir/1.tif", "vis/1.png")


def test_segments_and_detects_in_units_that_are_named(thermal: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", "ir", "vis", "-o", "a", *thermal[2:]]) == 1
    assert main(["segment", "ir", "vis", "-o", "a", *thermal]) == 0
    assert Path("a/labels/1.png").is_file()
    pytest.importorskip("onnxruntime")
    detector = ["--detector", str(write_detector(Path("some.onnx"))), *FUSE]
    assert main(["detect", "ir", "vis", "-o", "b", *detector, *thermal]) == 0
    assert Path("b/labels/1.txt").is_file()
    capsys.readouterr()
    for command in (["segment", "--segmenter", "x.safetensors"], ["detect", *detector]):
        assert main([*command, "--fused", "vis", "-o", "c", "--units", "kelvin"]) == 2
        assert "--units kelvin: of infrared pictures in pairs" in capsys.readouterr().err


def test_scores_of_the_slice_that_was_fused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nibabel = pytest.importorskip("nibabel", reason="nibabel comes with the extra 'medical'")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("mr.nii.gz", "pet.nii.gz"):
        volume = rng.integers(0, 1000, (48, 40, 3, 2)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), name)
    place = ["--slice", "axial:2", "--frame", "1"]
    assert main(["fuse", "mr.nii.gz", "pet.nii.gz", "-o", "fused.png", *FUSE, *place]) == 0
    view = View(frame=1, slice="axial:2")
    pixels = [read_image(name, view=view) for name in ("mr.nii.gz", "pet.nii.gz")]
    scored = score(read_image("fused.png"), *pixels, metrics="MI", range="percentile", visible_range="percentile")
    here = score("fused.png", "mr.nii.gz", "pet.nii.gz", metrics="MI", view=view)
    elsewhere = score("fused.png", "mr.nii.gz", "pet.nii.gz", metrics="MI")
    assert abs(here["MI"] - scored["MI"]) < 0.2 < here["MI"] - elsewhere["MI"]
    assert main(["score", "fused.png", "mr.nii.gz", "pet.nii.gz", *place, "--metrics", "MI"]) == 0
