"""``imfuse info`` prints JSON; ``imfuse fuse`` takes one radiometric file, ranges in degrees and stripped metadata."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imfuse.cli.main import main
from imfuse.imaging import parse_range, read_celsius, read_metadata, write_image
from imfuse.imaging.carried import read_carried
from picture_files import (
    exif_of,
    flir_alignment,
    flir_camera,
    flir_record,
    flir_records,
    flir_segments,
    flir_visible,
    saved,
    with_segments,
)

COUNTS = (15000 + np.add.outer(np.arange(24) * 100, np.arange(32) * 20)).astype(np.uint16)
COLOURS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture
def flir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    records = {1: flir_record(COUNTS), 0x20: flir_camera(), 0x2A: flir_alignment(1, 0, 0)}
    records[0x0E] = flir_visible(saved(COLOURS, "JPEG"), 64, 48)
    painted = saved(COLOURS, "JPEG", exif=exif_of({271: b"Maker"}, gps=True))
    path = tmp_path / "a.jpg"
    path.write_bytes(with_segments(painted, *flir_segments(flir_records(records))))
    return path


def test_info(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "a.jpg", "--celsius", "a.tif"]) == 0
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert facts["celsius"]["max"] == pytest.approx(float(read_celsius(flir).max()), rel=1e-6)
    assert facts["sensor"]["visible"]["thermal_field"] == {"left": 0, "right": 64, "top": 0, "bottom": 48}
    assert facts["metadata"]["position"]["latitude"] == pytest.approx(53.4476028)
    assert said.err == "imfuse: a.tif: degrees Celsius written\n"
    assert np.array_equal(read_celsius("a.tif"), read_celsius(flir))


def test_what_has_no_temperatures(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("b.tif", np.uint16([[29315, 30315]]))
    assert main(["info", "b.tif", "--celsius", "c.tif"]) == 2
    assert capsys.readouterr().err.endswith("they look like centikelvin; say so by --units centikelvin\n")
    assert main(["info", "b.tif", "--celsius", "c.tif", "--units", "centikelvin"]) == 0
    assert read_celsius("c.tif").tolist() == [pytest.approx([20, 30], abs=1e-4)]


def test_conditions(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "a.jpg", "--emissivity", "0.8", "--reflected", "68F", "--celsius", "b.tif"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["sensor"]["parameters"]["emissivity"] == 0.8
    assert facts["sensor"]["parameters"]["reflected_C"] == pytest.approx(20)
    assert facts["celsius"]["max"] == pytest.approx(float(read_celsius("b.tif").max()), rel=1e-6)
    assert abs(facts["celsius"]["max"] - read_celsius("a.jpg").max()) > 0.1
    command = ["fuse", "a.jpg", "-o", "out.png", "--model", "laplacian_pyramid", "--range", "minmax"]
    assert main([*command, "--emissivity", "0.8", "--reflected", "20C"]) == 0
    assert parse_range(read_metadata("out.png")["imfuse:infrared-range"]).high == read_celsius("b.tif").max()
    assert main([*command, "--emissivity", "8"]) == 2
    assert "--emissivity 8: 0.001 to 1 is expected" in capsys.readouterr().err
    assert main([*command, "--ambient", "20"]) == 2
    assert "--ambient 20: a temperature such as 20C, 68F or 293K is expected" in capsys.readouterr().err


def test_units_are_those_of_the_infrared_picture(flir: Path) -> None:
    write_image("ir.tif", (29315 + np.add.outer(np.arange(48) * 20, np.arange(64) * 10)).astype(np.uint16))
    write_image("vis.png", COLOURS)
    command = ["fuse", "ir.tif", "vis.png", "--model", "laplacian_pyramid", "--units", "centikelvin"]
    assert main([*command, "-o", "out.png", "--range", "20C,30C"]) == 0
    assert read_metadata("out.png")["imfuse:visible-range"] == "0,255"
    assert main(["fuse", "a.jpg", "vis.png", "--resize", "-o", "b.png", "--emissivity", "0.8"]) == 0


def test_one_file_is_fused(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["fuse", "a.jpg", "-o", "out.png", "--model", "laplacian_pyramid"]
    assert main([*command, "--range", "10C,20C"]) == 0
    assert capsys.readouterr().out == "out.png: 64x48, infrared 10C..20C shown as black..white\n"
    assert read_metadata("out.png")["imfuse:infrared-range"] == "10C,20C"
    assert read_carried("out.png").gps
    assert main([*command, "--metadata", "strip"]) == 0
    assert not read_carried("out.png").gps
    assert main([*command, "--metadata", "some"]) == 2
    assert "--metadata some: keep or strip is expected" in capsys.readouterr().err


def test_a_folder_of_files_is_fused(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = flir.parent / "cameras"
    folder.mkdir()
    flir.rename(folder / "a.jpg")
    assert main(["fuse", "cameras", "-o", "out", "--model", "laplacian_pyramid", "--strict"]) == 0
    assert Path("out/a.png").is_file()
    assert capsys.readouterr().err.count("warning") == 0


def test_a_folder_without_visible_pictures_is_refused(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("ir/1.png", COLOURS)
    assert main(["fuse", "ir", "-o", "out", "--model", "laplacian_pyramid"]) == 2
    said = "ir: its files hold no visible picture beside the infrared one; give INFRARED and VISIBLE, or --pairs"
    assert said in capsys.readouterr().err
    assert not Path("out").exists()
