"""Thermal files: degrees by the camera's constants, the visible picture beside, ranges in degrees, units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imfuse
from imfuse.core.errors import ImageError
from imfuse.core.notes import collected
from imfuse.imaging import describe, image_size, parse_range, read_celsius, to_unit, write_celsius, write_image
from imfuse.imaging.inputs import read_both
from imfuse.imaging.read import read_picture
from imfuse.imaging.sensors.display import Limits, shown
from imfuse.imaging.sensors.flir_visible import Recorded, common_field
from imfuse.imaging.sensors.planck import Planck
from imfuse.imaging.sensors.sensor import Sensor, View
from imfuse.imaging.sensors.units import UNITS, declared, likely_units, parse_units
from picture_files import (
    dji_segments,
    flir_alignment,
    flir_camera,
    flir_record,
    flir_records,
    flir_segments,
    flir_visible,
    jpeg_segment,
    png,
    saved,
    with_segments,
)

RNG = np.random.default_rng(0)
COUNTS = (15000 + np.add.outer(np.arange(24) * 100, np.arange(32) * 20)).astype(np.uint16)
PAINTED = saved(RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8), "JPEG")
COLOURS = np.kron(RNG.integers(40, 215, (12, 16, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
FILES = ["flir_e40bx.jpg", "flir_b60.jpg", "flir_one.jpg", "flir_ax8.jpg", "flir_i7_be.jpg"]
DJI = ["dji_m3t_T.jpg", "dji_h20t_T.jpg", "dji_m30t_T.jpg"]


def flir(path: Path, **records: bytes) -> Path:
    """A file of the plane and of these records, by their kinds such as ``x20``."""
    kinds = {1: flir_record(COUNTS)} | {int(name[1:], 16): body for name, body in records.items()}
    path.write_bytes(with_segments(PAINTED, *flir_segments(flir_records(kinds))))
    return path


def sensor_of(path: Path, **view: Any) -> Sensor:
    with collected():
        sensor = read_picture(path, view=View(**view)).sensor
    assert sensor is not None
    return sensor


def camera(half_paths: bool = False, **changed: Any) -> Planck:
    constants: dict[str, Any] = {
        "r1": 14748.0449, "r2": 0.0110274088, "b": 1393.3, "f": 1.0, "o": -5790, "emissivity": 0.95, "distance": 5.0,
        "humidity": 0.5, "reflected": 280.14, "air": 293.15, "window": 293.15, "window_transmission": 1.0,
        "alpha": (0.006569, 0.01262), "beta": (-0.002276, -0.00667), "x": 1.9,
    }  # fmt: skip
    return Planck(**(constants | changed), half_paths=half_paths)


@pytest.mark.parametrize("half_paths", [False, True])
def test_degrees_give_the_counts_back(half_paths: bool) -> None:
    # The equation forwards, for a window that absorbs: what was solved for must give each count again.
    planck = camera(half_paths, window_transmission=0.8, window=300.0)
    counts = np.arange(14000, 22000, 500)
    tau, tw, e = planck._transmission(), 0.8, 0.95
    reflected, air, window = (planck._signal(kelvin) for kelvin in (280.14, 293.15, 300.0))
    for count, degrees in zip(counts, planck.celsius(counts.astype(np.uint16)).tolist(), strict=True):
        emitted = planck._signal(degrees + 273.15)
        inside = e * emitted + (1 - e) * reflected
        if half_paths:
            behind = tw * (tau * inside + (1 - tau) * air) + (1 - tw) * window
            assert tau * behind + (1 - tau) * air == pytest.approx(count, abs=0.1)
        else:
            assert tau * tw * inside + (1 - tau) * tw * air + (1 - tw) * window == pytest.approx(count, abs=0.1)


def test_a_count_that_no_temperature_gives_is_no_measurement() -> None:
    assert np.isnan(camera().celsius(np.uint16([[0]]))).all()


def test_degrees_by_the_record_of_the_camera(tmp_path: Path) -> None:
    for order in "<>":
        sensor = sensor_of(flir(tmp_path / "a.jpg", x20=flir_camera(order)))
        assert sensor.celsius is not None
        assert sensor.celsius(np.uint16([14923, 19676, 16926])).tolist() == pytest.approx(
            [5.60, 32.49, 17.80], abs=0.01
        )
        assert sensor.facts["camera"] == "Camera 1"
        assert sensor.facts["parameters"]["reflected_C"] == pytest.approx(6.99, abs=0.001)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"x58": float("nan")}, "no number"),
        ({"x30c": 0.0}, "R1, R2, B and F"),
        ({"x20": 1.5}, "an emissivity of 1.5"),
        ({"x24": -1.0}, "a distance of -1 m"),
        ({"x28": -5.0}, "absolute zero"),
        ({"x70": 1e30}, "lets nothing pass"),
    ],
)
def test_senseless_constants_leave_counts(tmp_path: Path, changed: dict[str, float], problem: str) -> None:
    path = flir(tmp_path / "a.jpg", x20=flir_camera(**changed))
    with collected() as notes:
        found = read_picture(path)
    assert found.sensor is not None
    assert found.sensor.celsius is None
    assert problem in found.sensor.facts["temperature_problem"]
    assert "in counts of the sensor and not in degrees" in str(notes[0])
    json.dumps(found.sensor.facts, allow_nan=False)


def test_known_degrees_are_no_doubt(tmp_path: Path) -> None:
    path = flir(tmp_path / "a.jpg", x20=flir_camera())
    with collected() as notes:
        read_picture(path)
    assert not notes


def test_both_pictures_of_one_file_over_their_common_field(tmp_path: Path) -> None:
    stored = flir_visible(saved(COLOURS, "JPEG", quality=95, subsampling=0), 128, 96)
    records = {"x20": flir_camera(), "x0e": stored, "x2a": flir_alignment(2.0, 8, -4)}
    infrared, visible = read_both(flir(tmp_path / "a.jpg", **records), 10**6)
    assert np.array_equal(infrared.pixels, COUNTS)
    # 64 x 48 of 128 x 96, its middle 8 to the right and 4 up.
    assert visible.pixels.shape == (48, 64, 3)
    assert np.abs(visible.pixels.astype(int) - COLOURS[20:68, 40:104]).mean() < 3


def test_a_visible_picture_in_luminance_and_colour_differences(tmp_path: Path) -> None:
    from PIL import Image

    shifted = np.asarray(Image.fromarray(COLOURS).convert("YCbCr"))
    records = {"x0e": flir_visible(png(shifted), 128, 96), "x2a": flir_alignment(1.0, 0, 0)}
    visible = sensor_of(flir(tmp_path / "a.jpg", **records)).visible
    assert visible is not None
    assert np.abs(visible().pixels.astype(int) - COLOURS).max() <= 3


def test_a_plane_that_leaves_the_visible_picture_is_cut() -> None:
    # 100 x 75 pixels of the visible one, one for each of the plane, whose first 10 columns and rows are outside.
    field = common_field(Recorded(1.0, -10, -10), (75, 100), (75, 100))
    assert field is not None
    assert field.plane == (slice(10, 75), slice(10, 100))
    assert field.visible == (slice(0, 65), slice(0, 90))
    assert common_field(Recorded(1.0, 60, 0), (75, 100), (75, 100)) is None


@pytest.mark.parametrize("records", [{}, {"x0e": flir_visible(b"neither", 8, 8), "x2a": flir_alignment(1, 0, 0)}])
def test_one_file_without_a_visible_picture(tmp_path: Path, records: dict[str, bytes]) -> None:
    with collected(), pytest.raises(ImageError, match=r"a\.jpg: .*holds no visible picture.*second file"):
        read_both(flir(tmp_path / "a.jpg", **records), 10**6)


@pytest.mark.parametrize("alignment", [{}, {"x2a": flir_alignment(float("nan"), 0, 0)}, {"x2a": b"\0" * 40}])
def test_one_file_without_an_alignment(tmp_path: Path, alignment: dict[str, bytes]) -> None:
    records = {"x0e": flir_visible(saved(COLOURS, "JPEG"), 128, 96), **alignment}
    with collected(), pytest.raises(ImageError, match="nothing usable in the file says how"):
        read_both(flir(tmp_path / "a.jpg", **records), 10**6)


def test_a_damaged_visible_picture_is_one_line(tmp_path: Path) -> None:
    records = {"x0e": flir_visible(saved(COLOURS, "JPEG")[:300], 128, 96), "x2a": flir_alignment(1, 0, 0)}
    with collected(), pytest.raises(ImageError, match=r"a\.jpg: the image file is damaged"):
        read_both(flir(tmp_path / "a.jpg", **records), 10**6)


@pytest.mark.parametrize("name", FILES)
def test_degrees_of_real_cameras(shared: Path, name: str) -> None:
    truth, path = truth_of(shared, name)
    found = read_picture(path)
    assert found.sensor is not None
    assert found.sensor.celsius is not None
    celsius, expected = found.sensor.celsius(found.pixels), truth["celsius_single_path"]
    rows = [[celsius.min(), expected["min"]], [celsius.max(), expected["max"]], [celsius.mean(), expected["mean"]]]
    rows += [[celsius[i, j], value] for i, j, value in expected["pixels_row_col"]]
    for value, wanted in rows:
        assert value == pytest.approx(wanted, abs=0.01)
    for key, ours in (("R1", "R1"), ("O", "O"), ("E", "emissivity"), ("d", "distance_m"), ("X", "X")):
        assert found.sensor.facts["parameters"][ours] == pytest.approx(truth["constants"][key], rel=1e-6)
    if "alignment" in truth:
        recorded = {key: truth["alignment"][key] for key in ("Real2IR", "OffsetX", "OffsetY")}
        assert found.sensor.facts["alignment"] == pytest.approx(recorded)
        assert found.sensor.visible is not None
        assert found.sensor.visible().pixels.shape[1::-1] == tuple(truth["visible"]["size_wh"])


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("flir_b60.jpg", (90.4, 369.6, 102.4, 381.6)),
        ("flir_one.jpg", (78.1, 533.9, 83.1, 424.9)),
        ("flir_ax8.jpg", (33.5, 446.5, 44.7, 595.3)),
    ],
)
def test_fields_of_real_cameras(shared: Path, name: str, field: tuple[float, ...]) -> None:
    _, path = truth_of(shared, name)
    sensor = read_picture(path).sensor
    assert sensor is not None
    assert sensor.visible is not None
    found = sensor.visible().field
    assert found is not None
    sides = [edge for side in found.visible for edge in (side.start, side.stop)]
    assert sides == pytest.approx(list(field), abs=0.51)


def test_half_paths_as_other_programs_compute(shared: Path) -> None:
    truth, path = truth_of(shared, "flir_e40bx.jpg")
    constants = truth["constants"]
    planck = camera(True, reflected=constants["Tr"])
    degrees, expected = planck.celsius(read_picture(path).pixels), truth["celsius_half_paths"]
    assert [degrees[i, j] for i, j, _ in expected["pixels_row_col"]] == pytest.approx(
        [value for *_, value in expected["pixels_row_col"]], abs=0.01
    )


@pytest.mark.parametrize("name", DJI)
def test_planes_of_real_dji_cameras(shared: Path, name: str) -> None:
    import hashlib

    truth, path = truth_of(shared, name)
    with collected() as notes:
        found = read_picture(path)
    assert "in counts of the sensor" in str(notes[0])
    assert image_size(path) == found.pixels.shape == tuple(truth["thermal_size_wh"][::-1])
    assert hashlib.sha256(found.pixels.astype("<u2").tobytes()).hexdigest() == truth["raw"]["sha256_u16le"]
    assert found.sensor is not None
    assert found.sensor.celsius is None
    assert found.sensor.facts["dji_family"] == truth["family"]
    assert found.sensor.facts["camera"] == truth["camera"]
    approximate = truth.get("approximate_celsius_raw_over_64")
    if approximate is None:
        with pytest.raises(ImageError, match=r"family iirp is expected .*this is DJI dirp"):
            read_picture(path, view=View(units="dji-approximation"))
        return
    celsius = sensor_of(path, units="dji-approximation").celsius
    assert celsius is not None
    degrees = celsius(found.pixels)
    assert (degrees.min(), degrees.max()) == pytest.approx((approximate["min"], approximate["max"]), abs=0.01)


def truth_of(shared: Path, name: str) -> tuple[dict[str, Any], Path]:
    path = shared / "data" / "sensors" / name
    if not path.is_file():
        pytest.skip(f"no files of sensors at {path.parent}")
    return json.loads((path.parent / "truth.json").read_text())[name], path


def test_a_file_of_dji(tmp_path: Path) -> None:
    counts = np.add.outer(np.arange(512) * 4 + 18000, np.arange(640)).astype(np.uint16)
    path = tmp_path / "DJI_0001_T.JPG"
    path.write_bytes(with_segments(PAINTED, *dji_segments(counts)))
    with collected() as notes:
        found = read_picture(path)
    assert np.array_equal(found.pixels, counts)
    assert "not in degrees" in str(notes[0])
    assert found.sensor is not None
    assert found.sensor.facts["parameters"] == {
        "ambient_C": 25, "distance_m": 5, "emissivity": 0.95, "humidity": 0.5, "reflected_C": 23
    }  # fmt: skip
    path.write_bytes(with_segments(PAINTED, *dji_segments(counts[:100])))
    with collected() as notes:
        assert read_picture(path).pixels.shape == (48, 64, 3)
    assert "128000 bytes of a plane, 655360 or 2621440 are expected" in str(notes[0])
    assert "painted picture" in str(notes[0])


def test_other_pictures_of_dji_are_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(with_segments(PAINTED, *dji_segments(COUNTS)[:1], jpeg_segment(0xE3, b"something else")))
    with collected() as notes:
        assert read_picture(path).pixels.shape == (48, 64, 3)
    assert not notes


@pytest.mark.parametrize("text", ["20C,40C", "20c, 40c", "68F,104F", "293.15K,313.15K"])
def test_ranges_in_degrees(text: str) -> None:
    parsed = parse_range(text)
    assert parsed.celsius
    assert (parsed.low, parsed.high) == pytest.approx((20, 40))
    assert parse_range(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["20C,40", "20C,40F", "40C,20C", "C,C", "20CC,40CC"])
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(ImageError, match="range"):
        parse_range(text)


def test_degrees_of_a_picture_that_has_none(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="x: the range is in degrees"):
        to_unit(COUNTS, parse_range("20C,40C"), thermal=True, name="x")
    kelvin = (29000 + COUNTS // 10).astype(np.uint16)
    with pytest.raises(ImageError) as caught:
        shown(kelvin, None, parse_range("20C,40C"), "x")
    assert "they look like centikelvin" in caught.value.message
    assert caught.value.advice[0] == "say so by units='centikelvin'"


def test_degrees_become_black_and_white(tmp_path: Path) -> None:
    path = flir(tmp_path / "a.jpg", x20=flir_camera())
    found = read_picture(path)
    assert found.sensor is not None
    assert found.sensor.celsius is not None
    degrees = found.sensor.celsius(COUNTS)
    unit, limits = shown(COUNTS, found.sensor, parse_range("10C,20C"), "a.jpg").to_unit(thermal=True)
    assert limits == Limits(10, 20, "C")
    assert np.allclose(unit, ((degrees - 10) / 10).clip(0, 1), atol=1e-6)
    unit, limits = shown(COUNTS, found.sensor, parse_range("minmax"), "a.jpg").to_unit(thermal=True)
    assert limits.unit == "C"
    assert parse_range(limits.text).low == limits.low == degrees.min()
    # Numbers without a unit are counts.
    assert shown(COUNTS, found.sensor, parse_range("15000,16000"), "a.jpg").to_unit()[1] == Limits(15000, 16000)


@pytest.mark.parametrize(
    ("units", "stored"),
    [("centikelvin", 29315), ("decikelvin", 2931.5), ("tlinear", 7328.75), ("centicelsius", 2000), ("decicelsius", 200),
     ("celsius", 20), ("kelvin", 293.15), ("0.5,10", 20)],
)  # fmt: skip
def test_units(units: str, stored: float) -> None:
    linear = parse_units(units)
    assert linear is not None
    assert linear.celsius(np.array([stored])) == pytest.approx(20, abs=1e-4)


@pytest.mark.parametrize("units", ["degrees", "0.01", "0,5", "nan,0", "1,inf"])
def test_units_that_are_none(units: str) -> None:
    with pytest.raises(ImageError, match="units="):
        parse_units(units)


def test_units_of_a_file(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.uint16([[29315, 30315]]))
    celsius = sensor_of(tmp_path / "a.png", units="centikelvin").celsius
    assert celsius is not None
    assert celsius(np.uint16([29315])) == pytest.approx([20], abs=1e-4)
    assert read_picture(tmp_path / "a.png").sensor is None


def test_units_that_a_file_declares() -> None:
    found = declared(b'<x:xmpmeta TlinearGain="0.04">', b"")
    assert found is not None
    assert found.celsius is not None
    assert found.celsius(np.uint16([6983])) == pytest.approx([6.17], abs=0.001)
    assert declared(b"<Camera:TlinearGain>0.4<", b"") is not None
    for text in (b"", b'TlinearGain="0"', b'TlinearGain="9"', b'TlinearGain="0.0.4"'):
        assert declared(text, b"") is None


def test_likely_units() -> None:
    assert likely_units(np.uint16([[28000, 31000]])) == "centikelvin"
    assert likely_units(np.uint16([[6743, 7077]])) == "tlinear"
    assert likely_units(np.uint16([[2800, 3100]])) == "decikelvin"
    assert likely_units(np.float32([[4, 37]])) == "celsius"
    assert likely_units(np.float32([[280, 310]])) == "kelvin"
    for nothing in (np.float32([[0, 1]]), np.uint8([[20, 40]]), np.uint16([[0, 65535]]), np.ones((2, 2, 3), np.uint16)):
        assert likely_units(nothing) == ""
    assert all(scale > 0 for scale, _ in UNITS.values())


def test_degrees_written_and_read_again(tmp_path: Path) -> None:
    path = flir(tmp_path / "a.jpg", x20=flir_camera())
    degrees = read_celsius(path)
    write_celsius(tmp_path / "a.tif", degrees)
    # The file says what its values are.
    assert np.array_equal(read_celsius(tmp_path / "a.tif"), degrees)
    found = describe(tmp_path / "a.tif")
    assert found["celsius"]["max"] == pytest.approx(float(degrees.max()), rel=1e-6)
    with pytest.raises(ImageError, match=r"a\.png: temperatures are written as TIFF"):
        write_celsius(tmp_path / "a.png", degrees)


def test_pixels_without_a_temperature_are_masked(tmp_path: Path) -> None:
    counts = COUNTS.copy()
    counts[0, :3] = 0
    path = tmp_path / "a.jpg"
    records = {1: flir_record(counts), 0x20: flir_camera()}
    path.write_bytes(with_segments(PAINTED, *flir_segments(flir_records(records))))
    degrees = read_celsius(path)
    assert np.ma.count_masked(degrees) == 3
    write_celsius(tmp_path / "a.tif", degrees)
    assert np.array_equal(np.ma.getmaskarray(read_celsius(tmp_path / "a.tif")), np.ma.getmaskarray(degrees))


def test_temperatures_that_nothing_tells(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", np.uint16([[29315, 30315]]))
    with pytest.raises(ImageError) as caught:
        read_celsius(tmp_path / "a.tif")
    assert "they look like centikelvin" in caught.value.message
    assert read_celsius(tmp_path / "a.tif", units="centikelvin").tolist() == [pytest.approx([20, 30], abs=1e-4)]
    assert describe(tmp_path / "a.tif")["looks_like"] == "centikelvin"


def test_real_thermal_tiff_files(shared: Path) -> None:
    truth, path = truth_of(shared, "flir_e40bx_celsius.tif")
    degrees = read_celsius(path, units="celsius")
    for i, j, value in truth["celsius"]["pixels_row_col"]:
        assert degrees[i, j] == pytest.approx(value, abs=0.001)
    assert np.abs(degrees - read_celsius(path.parent / "flir_e40bx.jpg")).max() < 0.001
    truth, path = truth_of(shared, "duo_pro_r_tlinear.tiff")
    degrees = read_celsius(path, units="tlinear")
    assert degrees.mean(dtype=np.float64) == pytest.approx(truth["celsius_if_0_04_K"]["mean"], abs=0.01)
    for i, j, value in truth["celsius_if_0_04_K"]["pixels_row_col"]:
        assert degrees[i, j] == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize("name", [*FILES, *DJI])
def test_what_is_known_is_json(shared: Path, name: str) -> None:
    truth, path = truth_of(shared, name)
    facts = json.loads(json.dumps(describe(path), allow_nan=False))
    assert facts["format"] == "JPEG"
    assert (facts["width"], facts["height"]) == tuple(truth["thermal_size_wh"])
    assert facts["stored"]["min"] == truth["raw"]["min"]
    assert ("celsius" in facts) == ("celsius_single_path" in truth)


def test_a_radiometric_file_is_the_infrared_side(tmp_path: Path) -> None:
    thermal = flir(tmp_path / "a.jpg", x20=flir_camera())
    write_image(tmp_path / "b.png", COLOURS[:24, :32])
    with pytest.raises(imfuse.PairError, match=r"look swapped: a thermal plane is in .*a\.jpg"):
        imfuse.fuse(tmp_path / "b.png", thermal, "laplacian_pyramid")
    assert imfuse.fuse(thermal, tmp_path / "b.png", "laplacian_pyramid", range="5C,30C").shape == (24, 32, 3)


def test_what_is_known_where_the_visible_picture_is_damaged(tmp_path: Path) -> None:
    records = {"x20": flir_camera(), "x0e": flir_visible(saved(COLOURS, "JPEG")[:300], 128, 96)}
    facts = describe(flir(tmp_path / "a.jpg", **records))
    assert facts["sensor"]["visible"]["problem"].startswith("the image file is damaged")
    assert "celsius" in facts
