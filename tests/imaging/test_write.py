"""Quantisation, formats, metadata, and writing that survives full disks and killed processes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from imfuse.core.errors import ImageError
from imfuse.imaging import parse_range, quantise, read_image, read_metadata, remove_leftovers, to_unit, write_image

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (17, 24), dtype=np.uint8)
RGB = RNG.integers(0, 256, (17, 24, 3), dtype=np.uint8)
SMOOTH = np.stack(np.broadcast_arrays(np.arange(17)[:, None] * 10, np.arange(24) * 8, 90), -1).astype(np.uint8)
WRITER = """
import sys, numpy as np, pathlib
from imfuse.imaging import write_image
print("ready", flush=True)
while True:
    write_image(sys.argv[1], np.zeros((3000, 3000, 3), np.uint16))
"""


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=6), elements=st.floats(-2, 2)),
    st.sampled_from([8, 16]),
)
def test_quantise_is_clip_and_round_half_to_even(unit: np.ndarray, bits: int) -> None:
    top = 2**bits - 1
    levels = quantise(unit, bits)
    assert levels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert (levels == np.rint(np.clip(unit * top, 0, top))).all()


def test_quantise_undoes_to_unit_exactly() -> None:
    for dtype, bits in ((np.uint8, 8), (np.uint16, 16)):
        levels = np.arange(2**bits, dtype=dtype)[None]
        unit, _, _ = to_unit(levels, parse_range("full"))
        assert (quantise(unit, bits) == levels).all()


def test_quantise_halves_edges_and_refusals() -> None:
    assert quantise(np.array([0.5, 1.5, 2.5]) / 255, 8).tolist() == [0, 2, 2]
    assert quantise(np.array([-np.inf, -1, 0, 1, 7, np.inf], np.float32), 16).tolist() == [0, 0, 0, 65535, 65535, 65535]
    unit = np.ones((2, 2), np.float32)
    quantise(unit, 8)
    assert (unit == 1).all()
    assert quantise(np.empty((0, 3), np.float32), 8).shape == (0, 3)
    with pytest.raises(ImageError, match="NaN"):
        quantise(np.array([0.2, np.nan]), 8)
    with pytest.raises(ImageError, match="8 or 16"):
        quantise(unit, 12)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="uint8"):
        quantise(GRAY, 8)


@pytest.mark.parametrize("pixels", [GRAY, RGB], ids=["gray", "rgb"])
@pytest.mark.parametrize("extension", [".png", ".PNG", ".tif", ".tiff", ".bmp"])
def test_lossless_round_trip(tmp_path: Path, extension: str, pixels: np.ndarray) -> None:
    path = tmp_path / f"a{extension}"
    types = [np.uint8, np.uint16, np.float32] if "tif" in extension else [np.uint8, np.uint16]
    for dtype in types if extension != ".bmp" else [np.uint8]:
        stored = pixels.astype(dtype) * dtype(257 if dtype == np.uint16 else 1)
        write_image(path, stored)
        back = read_image(path)
        assert back.dtype == dtype
        assert np.array_equal(back, stored)


def test_webp_is_lossless_and_jpeg_is_fine(tmp_path: Path) -> None:
    write_image(tmp_path / "a.webp", RGB)
    assert np.array_equal(read_image(tmp_path / "a.webp"), RGB)
    for name in ("a.jpg", "b.JPEG"):
        write_image(tmp_path / name, SMOOTH)
        assert np.abs(read_image(tmp_path / name).astype(int) - SMOOTH).max() <= 6
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.layer[0][1:3] == image.layer[1][1:3] == (1, 1)


def test_strided_and_foreign_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, RGB[::-1, ::2, ::-1])
    assert np.array_equal(read_image(path), RGB[::-1, ::2, ::-1])
    for name in ("b.png", "b.tif"):
        write_image(tmp_path / name, GRAY.astype(">u2"))
        assert np.array_equal(read_image(tmp_path / name), GRAY.astype(np.uint16))


@pytest.mark.parametrize(
    ("name", "pixels", "words"),
    [
        ("a.jpg", GRAY.astype(np.uint16), "uint16 pixels need one of .png .tif .tiff .dcm, found the extension '.jpg'"),
        ("a.png", GRAY.astype(np.float32), "float32 pixels need one of .tif .tiff"),
        ("a.gif", GRAY, "uint8 pixels need one of .png .jpg"),
        ("a", GRAY, "found no extension"),
        ("a.png", GRAY.astype(np.int32), "int32"),
        ("a.png", GRAY > 3, "bool"),
        ("a.png", RGB[..., :2], "(17, 24, 2)"),
        ("a.png", RGB[:0], "(0, 24, 3)"),
        ("a.png", RGB[0, 0], "(3,)"),
        ("a.tif", np.full((2, 2), np.nan, np.float32), "NaN"),
        ("a.webp", np.zeros((1, 20000), np.uint8), "20000x1 pixels cannot be stored as .webp"),
        ("a.jpg", np.zeros((1, 70000), np.uint8), "70000x1 pixels cannot be stored as .jpg"),
    ],
)
def test_refusals(tmp_path: Path, name: str, pixels: np.ndarray, words: str) -> None:
    with pytest.raises(ImageError) as caught:
        write_image(tmp_path / name, pixels)
    text = str(caught.value)
    assert words in text
    assert str(tmp_path / name) in text
    assert "\n" not in text
    assert only(tmp_path) == []


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_metadata_round_trip(tmp_path: Path, name: str) -> None:
    entries = {"model": "refinefuse", "Käse": "½ é", "note": "热像 🔥\nsecond line", "empty": "", "x y": "a" * 5000}
    write_image(tmp_path / name, RGB, metadata=entries)
    assert read_metadata(tmp_path / name) == entries
    assert np.array_equal(read_image(tmp_path / name), RGB)
    write_image(tmp_path / name, RGB)
    assert read_metadata(tmp_path / name) == {}


def test_metadata_other_readers_see(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", RGB, metadata={"model": "x", "note": "热"})
    with Image.open(tmp_path / "a.png") as image:
        assert image.text == {"model": "x", "note": "热"}
    write_image(tmp_path / "a.tif", RGB, metadata={"model": "x"})
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages[0].description == '{"model": "x"}'


def test_metadata_is_not_stored_elsewhere(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.bmp", "a.webp"):
        write_image(tmp_path / name, RGB, metadata={"model": "x"})
        assert read_metadata(tmp_path / name) == {}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"": "x"}, "key ''"),
        ({"k" * 80: "x"}, "1 to 79"),
        ({" k": "x"}, "key ' k'"),
        ({"热": "x"}, "Latin-1"),
        ({"a\nb": "x"}, "printable"),
        ({"k": "a\0b"}, "NUL"),
        ({"k": "\ud800"}, "Unicode"),
        ({"k": "x" * 2**20}, "at most 1048576"),
    ],
)
def test_metadata_refusals(tmp_path: Path, entries: dict[str, str], words: str) -> None:
    for name in ("a.png", "a.tif", "a.jpg"):
        with pytest.raises(ImageError) as caught:
            write_image(tmp_path / name, RGB, metadata=entries)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    assert only(tmp_path) == []


def test_damaged_metadata_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    assert read_metadata(path) == {}
    assert read_metadata(tmp_path) == {}
    write_image(path, RGB, metadata={"model": "x"})
    data = bytearray(path.read_bytes())
    data[data.index(b"model")] ^= 1
    path.write_bytes(data)
    assert read_metadata(path) == {}
    path.write_bytes(data[:50])
    assert read_metadata(path) == {}
    for text in ("hello", "[1]", '{"a": 1}', '{"a": ', "[" * 100_000):
        tifffile.imwrite(tmp_path / "a.tif", RGB, description=text, metadata=None)
        assert read_metadata(tmp_path / "a.tif") == {}


def test_folders_are_made_and_folders_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a" / "b" / "c.png", GRAY)
    assert only(tmp_path / "a" / "b") == ["c.png"]
    (tmp_path / "d.png").mkdir()
    (tmp_path / "file").write_text("x")
    for path, words in ((tmp_path / "d.png", "folder"), (tmp_path / "file" / "e.png", "a part of the path is a file")):
        with pytest.raises(ImageError, match=words):
            write_image(path, GRAY)
    with pytest.raises(ImageError, match="too long"):
        write_image(tmp_path / ("x" * 300 + ".png"), GRAY)
    with pytest.raises(ImageError):
        write_image(tmp_path / "nul\0.png", GRAY)
    assert only(tmp_path) == ["a", "d.png", "file"]


@pytest.mark.parametrize("function", ["replace", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_failing_disk_leaves_the_old_file(tmp_path: Path, monkeypatch, function: str, number: int) -> None:
    path = tmp_path / "a.png"
    write_image(path, GRAY)

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(ImageError) as caught:
        write_image(path, RGB)
    monkeypatch.undo()
    words = {errno.ENOSPC: "disk is full", errno.EACCES: "no permission", errno.EIO: "cannot write"}[number]
    assert words in str(caught.value)
    assert only(tmp_path) == ["a.png"]
    assert np.array_equal(read_image(path), GRAY)


def test_an_interrupt_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_image(tmp_path / "a.png", RGB)
    assert only(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open
    monkeypatch.setattr(os, "open", lambda *_, **__: real("/dev/full", os.O_WRONLY))
    with pytest.raises(ImageError, match="disk is full"):
        write_image(tmp_path / "a.png", RGB)
    monkeypatch.undo()
    assert only(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the super-user may write everywhere")
def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ImageError, match="no permission"):
            write_image(tmp_path / "a.png", RGB)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_a_killed_writer_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    old = np.full((3000, 3000, 3), 7, np.uint16)
    write_image(path, old)
    left = False
    for attempt in range(4):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 10
        while not any(name.startswith(".imfuse-") for name in only(tmp_path)) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.004 * attempt)
        assert remove_leftovers(tmp_path) == 0
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert np.unique(read_image(path)).tolist() in ([7], [0])
        left = left or len(only(tmp_path)) > 1
        remove_leftovers(tmp_path)
        assert only(tmp_path) == ["a.tif"]
    assert left, "no attempt killed the writer in the middle of a file"
