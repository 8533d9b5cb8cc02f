"""Conditions of a radiometric picture that are others than its camera recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imfuse.core.errors import ImageError
from imfuse.core.notes import collected
from imfuse.imaging import Conditions, View, describe, read_celsius, write_image
from imfuse.imaging.inputs import read_both
from imfuse.imaging.sensors.conditions import parse_temperature
from picture_files import (
    dji_segments,
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
PAINTED = saved(np.zeros((24, 32, 3), np.uint8), "JPEG")


@pytest.fixture
def flir(tmp_path: Path) -> Path:
    return flir_file(tmp_path)


def flir_file(folder: Path, **camera: float) -> Path:
    records = {1: flir_record(COUNTS), 0x20: flir_camera(**camera), 0x2A: flir_alignment(1, 0, 0)}
    records[0x0E] = flir_visible(PAINTED, 32, 24)
    path = folder / "a.jpg"
    path.write_bytes(with_segments(PAINTED, *flir_segments(flir_records(records))))
    return path


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"emissivity": 0.8}, {"emissivity": 0.8}),
        ({"distance": 20, "humidity": 0.9}, {"distance_m": 20, "humidity": 0.9}),
        ({"reflected": 35, "ambient": -5}, {"reflected_C": 35, "air_C": -5}),
    ],
)
def test_conditions_replace_those_of_the_file(flir: Path, given: dict[str, float], shown: dict[str, float]) -> None:
    recorded, other = (describe(flir, View(conditions=one))["sensor"] for one in (Conditions(), Conditions(**given)))
    changed = {key for key, value in other["parameters"].items() if value != recorded["parameters"][key]}
    assert {key: other["parameters"][key] for key in changed} == pytest.approx(shown)
    assert other["not_as_recorded"] == list(given)
    assert "not_as_recorded" not in recorded
    assert np.abs(read_celsius(flir, conditions=Conditions(**given)) - read_celsius(flir)).max() > 0.01


def test_conditions_are_those_that_a_camera_could_have_recorded(tmp_path: Path) -> None:
    recorded = read_celsius(flir_file(tmp_path, x20=0.7, x24=12.0, x28=310.15, x2c=280.15, x3c=0.25))
    conditions = Conditions(emissivity=0.7, distance=12, reflected=37, ambient=7, humidity=0.25)
    assert np.allclose(read_celsius(flir_file(tmp_path), conditions=conditions), recorded, atol=1e-3)


def test_what_is_recorded_senselessly_can_be_said(tmp_path: Path) -> None:
    path = flir_file(tmp_path, x20=1.5)
    with pytest.raises(ImageError, match=r"an emissivity of 1\.5"), collected():
        read_celsius(path)
    said = read_celsius(path, conditions=Conditions(emissivity=0.95))
    assert np.allclose(said, read_celsius(flir_file(tmp_path, x20=0.95)), atol=1e-3)


@pytest.mark.parametrize("given", [{"emissivity": 0}, {"emissivity": 1.1}, {"distance": -1}, {"reflected": -300},
                                   {"ambient": float("nan")}, {"humidity": 50}])  # fmt: skip
def test_impossible_conditions(given: dict[str, Any]) -> None:
    with pytest.raises(ImageError, match=next(iter(given))):
        Conditions(**given)


def test_conditions_of_other_files_are_refused(tmp_path: Path, flir: Path) -> None:
    conditions = Conditions(emissivity=0.9)
    write_image(tmp_path / "a.png", COUNTS)
    with pytest.raises(ImageError, match=r"a\.png: emissivity=0\.9 is for a radiometric JPEG of FLIR .*an ordinary"):
        read_celsius(tmp_path / "a.png", conditions=conditions)
    counts = np.full((512, 640), 19000, np.uint16)
    (tmp_path / "d.jpg").write_bytes(with_segments(PAINTED, *dji_segments(counts)))
    with pytest.raises(ImageError, match="this is a file of DJI iirp"), collected():
        read_celsius(tmp_path / "d.jpg", conditions=conditions)
    with pytest.raises(ImageError, match="beside units='kelvin'"), collected():
        read_celsius(flir, conditions=conditions, units="kelvin")


def test_one_file_with_both_pictures_under_other_conditions(flir: Path) -> None:
    infrared, visible = read_both(flir, 10**6, View(conditions=Conditions(emissivity=0.9)))
    assert infrared.sensor is not None
    assert infrared.sensor.facts["parameters"]["emissivity"] == 0.9
    assert visible.pixels.shape == (24, 32, 3)


@pytest.mark.parametrize(("text", "degrees"), [("20C", 20), ("68F", 20), ("293.15k", 20), ("-5.5C", -5.5)])
def test_temperatures(text: str, degrees: float) -> None:
    assert parse_temperature(text, "ambient") == pytest.approx(degrees)


@pytest.mark.parametrize("text", ["20", "C", "warm", "1e3C", "nanC", ""])
def test_temperatures_that_are_none(text: str) -> None:
    with pytest.raises(ImageError, match="ambient="):
        parse_temperature(text, "ambient")
