"""Radiometric JPEG files: the thermal plane is what is read, and files that lie end in a note."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imfuse.core.errors import ImageError
from imfuse.core.notes import collected
from imfuse.imaging import image_size, read_image
from picture_files import flir_file, flir_record, flir_segments, jpeg_segment, png, saved, with_segments

RNG = np.random.default_rng(0)
COUNTS = (7000 + np.add.outer(np.arange(24) * 30, np.arange(32) * 20) + RNG.integers(0, 9, (24, 32))).astype(np.uint16)
PAINTED = saved(
    RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8),
    "JPEG",
    exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0",
)
FILES = ["flir_e40bx.jpg", "flir_b60.jpg", "flir_one.jpg", "flir_ax8.jpg", "flir_i7_be.jpg"]


def read(path: Path, *segments: bytes) -> tuple[np.ndarray[Any, Any], str]:
    path.write_bytes(with_segments(PAINTED, *segments))
    with collected() as notes:
        pixels = read_image(path)
    assert image_size(path) == pixels.shape[:2]
    assert len(notes) <= 1
    return pixels, "".join(str(note).split(": ", 1)[1] for note in notes)


FORMS = {
    "little": flir_record(COUNTS, "<"),
    "big": flir_record(COUNTS, ">"),
    "PNG, swapped": flir_record(COUNTS, "<", png(COUNTS.byteswap())),
    "PNG": flir_record(COUNTS, ">", png(COUNTS)),
}


@pytest.mark.parametrize("directory", "<>")
@pytest.mark.parametrize("name", FORMS)
def test_forms_of_the_plane(tmp_path: Path, name: str, directory: str) -> None:
    pixels, note = read(tmp_path / "a.jpg", *flir_segments(flir_file(FORMS[name], order=directory), 500))
    assert pixels.dtype == np.uint16
    assert np.array_equal(pixels, COUNTS)
    assert note == "the thermal plane is read, in counts of the sensor and not in degrees"


def test_a_byte_order_that_the_file_states_wrongly(tmp_path: Path) -> None:
    pixels, note = read(tmp_path / "a.jpg", *flir_segments(flir_file(flir_record(COUNTS, "<", png(COUNTS)))))
    assert np.array_equal(pixels, COUNTS)
    assert note.endswith("; their byte order is other than the file says")


def test_order_of_the_parts(tmp_path: Path) -> None:
    parts = flir_segments(flir_file(FORMS["little"]), 500)
    assert np.array_equal(read(tmp_path / "a.jpg", *parts[::-1])[0], COUNTS)
    # Some programs write zeros for all numbers.
    zeros = [part[:10] + b"\0\0" + part[12:] for part in parts]
    assert np.array_equal(read(tmp_path / "a.jpg", *zeros)[0], COUNTS)


def test_samples_without_records(tmp_path: Path) -> None:
    counts = np.add.outer(np.arange(48) * 30, np.arange(64) * 20).astype(np.uint16)
    for order in "<>":
        part = jpeg_segment(0xE1, b"FLIR\0\1\0\0FFF\0" + counts.astype(order + "u2").tobytes())
        assert np.array_equal(read(tmp_path / "a.jpg", part)[0], counts)


def damaged_files() -> dict[str, list[bytes]]:
    whole = flir_file(FORMS["little"])
    parts = flir_segments(whole, 500)
    wide = FORMS["little"][:2] + struct.pack("<HH", 9000, 24) + FORMS["little"][6:]
    bytewise = struct.pack("<H", 1) + FORMS["little"][2:]
    return {
        "a missing part": [*parts[:1], *parts[2:]],
        "parts that count differently": [parts[0], parts[1][:11] + b"\x09" + parts[1][12:]],
        "a cut file": flir_segments(whole[:-100]),
        "no records": flir_segments(whole[:40]),
        "another layout": flir_segments(b"AFF" + whole[3:]),
        "an unknown version": flir_segments(flir_file(FORMS["little"], version=99)),
        "a directory outside": flir_segments(whole[:24] + b"\x7f" + whole[25:]),
        "1,100 records": flir_segments(flir_file(FORMS["little"], count=550)),
        "no thermal plane": flir_segments(flir_file(FORMS["little"], kind=0x0E)),
        "an empty record": flir_segments(flir_file(b"")),
        "a wide plane": flir_segments(flir_file(wide)),
        "bytes": flir_segments(flir_file(bytewise)),
        "a short plane": flir_segments(flir_file(FORMS["little"][:-2])),
        "a PNG of another size": flir_segments(flir_file(flir_record(COUNTS, "<", png(COUNTS[:8, :8])))),
        "a PNG of 8 bits": flir_segments(flir_file(flir_record(COUNTS, "<", png(COUNTS.astype(np.uint8))))),
        "a colour PNG": flir_segments(flir_file(flir_record(COUNTS, "<", png(np.dstack([COUNTS] * 3))))),
        "a cut PNG": flir_segments(flir_file(flir_record(COUNTS, "<", png(COUNTS)[:-40]))),
    }


@pytest.mark.parametrize("name", damaged_files())
def test_damaged_thermal_data_leave_the_painted_picture(tmp_path: Path, name: str) -> None:
    whole, nothing = read(tmp_path / "a.jpg")
    assert nothing == ""
    pixels, note = read(tmp_path / "a.jpg", *damaged_files()[name])
    assert np.array_equal(pixels, whole)
    assert pixels.shape == (64, 48, 3)
    assert note.startswith("its thermal data cannot be read (")
    assert note.endswith("this is the painted picture, no measurement")


def test_the_plane_is_read_where_the_painted_picture_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(with_segments(PAINTED, *flir_segments(flir_file(FORMS["little"])))[:-200])
    with collected():
        assert np.array_equal(read_image(path), COUNTS)


def test_limits_hold_for_the_plane(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(with_segments(PAINTED, *flir_segments(flir_file(FORMS["little"]))))
    with pytest.raises(ImageError, match=r"32x24 pixels found.*max_pixels=768"):
        read_image(path, max_pixels=767)


@pytest.mark.parametrize("name", FILES)
def test_files_of_cameras(shared: Path, name: str) -> None:
    path = shared / "data" / "sensors" / name
    if not path.is_file():
        pytest.skip(f"no files of cameras at {path.parent}")
    truth = json.loads((path.parent / "truth.json").read_text())[name]
    with collected() as notes:
        pixels = read_image(path)
    assert pixels.shape == tuple(truth["thermal_size_wh"][::-1]) == image_size(path)
    assert hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest() == truth["raw"]["sha256_u16le"]
    assert "in counts of the sensor and not in degrees" in str(notes[0])


@pytest.mark.parametrize("name", FILES[:4])
def test_damaged_files_of_cameras(shared: Path, tmp_path: Path, name: str) -> None:
    source, path = shared / "data" / "sensors" / name, tmp_path / "a.jpg"
    if not source.is_file():
        pytest.skip(f"no files of cameras at {source.parent}")
    chance, whole = np.random.default_rng(0), source.read_bytes()
    start = whole.index(b"FLIR\0")
    for _ in range(50):
        data = bytearray(whole)
        for _ in range(chance.integers(1, 5)):
            at = int(start + chance.integers(0, chance.choice([120, 4000])))
            data[at] = chance.integers(256)
        path.write_bytes(data)
        began = time.process_time()
        with collected(), contextlib.suppress(ImageError):
            assert read_image(path).shape[:2] == image_size(path)
        assert time.process_time() - began < 1
