"""Pictures of other formats that are odd but readable, and ones that would take long or much memory."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from imfuse.core.errors import ImageError
from imfuse.core.notes import ImfuseWarning, collected
from imfuse.imaging import image_size, read_image
from imfuse.imaging.read import image_hash
from picture_files import jpeg_segment, png, png_chunk, run_lengths, saved, with_segments

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (17, 23), dtype=np.uint8)
RGB = RNG.integers(0, 256, (64, 96, 3), dtype=np.uint8)
ORIENTED = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.img"


def read_with_notes(path: Path, data: bytes) -> tuple[np.ndarray[Any, Any], list[str]]:
    path.write_bytes(data)
    with collected() as notes:
        pixels = read_image(path)
    return pixels, [str(note) for note in notes]


def refused(path: Path, data: bytes, *words: str) -> None:
    path.write_bytes(data)
    start = time.process_time()
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert time.process_time() - start < 1
    for word in words:
        assert word in str(caught.value)


def small(path: Path, data: bytes, shape: tuple[int, ...]) -> None:
    """The picture is read, and little memory is taken beside its file."""
    path.write_bytes(data)
    tracemalloc.start()
    try:
        assert read_image(path).shape == shape
        assert tracemalloc.get_traced_memory()[1] < 3 * len(data) + (2 << 20)
        tracemalloc.reset_peak()
        assert image_size(path) == shape[:2]
    finally:
        tracemalloc.stop()


# Files that are none.


@pytest.mark.parametrize("function", [read_image, image_size, image_hash])
def test_what_is_no_file_ends_at_once(tmp_path: Path, function: Any) -> None:
    odd: list[Path | str] = ["/dev/zero"] if Path("/dev/zero").exists() else []
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        odd.append(tmp_path / "pipe.png")
    start = time.process_time()
    for name in odd:
        with pytest.raises(ImageError, match="not a regular file, an image file is expected"):
            function(name)
    assert time.process_time() - start < 1


@pytest.mark.skipif(os.name == "nt", reason="sparse files need a call of their own")
def test_a_sparse_file_ends_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    with path.open("wb") as stream:
        stream.write(png(GRAY))
        stream.truncate(40 << 30)
    start = time.process_time()
    for function in (read_image, image_hash):
        with pytest.raises(ImageError, match="the file has 42949672960 bytes, at most 536870912 are read"):
            function(path)
    assert image_size(path) == (17, 23)
    assert time.process_time() - start < 1


def test_hashing_goes_as_far_as_its_limit(path: Path) -> None:
    path.write_bytes(b"x" * 100)
    assert len(image_hash(path, max_bytes=100)) == 64
    with pytest.raises(ImageError, match="use max_bytes=100"):
        image_hash(path, max_bytes=99)


# JPEG.


@pytest.mark.parametrize("keep", [0.5, 0.9])
@pytest.mark.parametrize("progressive", [False, True], ids=["sequential", "progressive"])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_that_ends_early(path: Path, mode: str, progressive: bool, keep: float) -> None:
    data = saved(Image.fromarray(RGB).convert(mode), "JPEG", progressive=progressive)
    pixels, notes = read_with_notes(path, data)
    assert notes == []
    cut, notes = read_with_notes(path, data[: int(len(data) * keep)] + b"\xff\xd9")
    assert cut.shape == pixels.shape
    assert [note.split(": ")[1][:26] for note in notes] == ["its pixel data end early, "]
    with pytest.warns(ImfuseWarning, match="end early"):
        read_image(path)
    refused(path, data[: int(len(data) * keep)], "damaged", "truncated")


@pytest.mark.parametrize("progressive", [False, True], ids=["sequential", "progressive"])
def test_a_jpeg_that_lacks_its_end_marker_alone(path: Path, progressive: bool) -> None:
    data = saved(RGB, "JPEG", progressive=progressive)
    whole, _ = read_with_notes(path, data)
    pixels, notes = read_with_notes(path, data[:-2])
    assert np.array_equal(pixels, whole)
    assert [note.split(": ")[1] for note in notes] == ["it has no end marker; all pixels are there"]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 3}])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_jpeg_is_whole(path: Path, level: int, options: dict[str, Any]) -> None:
    """The level of what is missing can be that of the picture."""
    for shape in ((50, 70), (50, 70, 3)):
        assert read_with_notes(path, saved(np.full(shape, level, np.uint8), "JPEG", **options))[1] == []


def test_a_progressive_jpeg_without_its_last_scans(path: Path) -> None:
    data = saved(RGB, "JPEG", progressive=True)
    assert read_with_notes(path, data[: data.rindex(b"\xff\xda")] + b"\xff\xd9")[1] != []


def test_many_scans_are_refused(path: Path) -> None:
    data = bytearray(saved(RGB[..., 0], "JPEG", progressive=True))
    frame = data.index(b"\xff\xc2")
    struct.pack_into(">HH", data, frame + 5, 2000, 2000)
    scan = bytes(data[data.rindex(b"\xff\xda") : -2])
    refused(path, bytes(data[:-2]) + scan * 2000 + b"\xff\xd9", "more than 100 scans of 2000x2000 pixels", "plain JPEG")
    struct.pack_into(">HH", data, frame + 5, 9900, 9900)
    refused(path, bytes(data[:-2]) + scan * 30 + b"\xff\xd9", "scans of 9900x9900 pixels")


def test_a_jpeg_that_cannot_hold_its_pixels(path: Path) -> None:
    data = bytearray(saved(RGB, "JPEG"))
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 10_000, 10_000)
    refused(path, bytes(data), "cannot hold 10000x10000 pixels (truncated)")


def exif_bomb(entries: int, size: int) -> bytes:
    """Each entry names the same bytes, so that who reads all of them keeps them as often."""
    table = b"".join(struct.pack(">HHII", 1000 + number, 7, size, 0) for number in range(entries))
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", entries) + table + bytes(4)


ODD_SEGMENTS = {
    "exif bomb": jpeg_segment(0xE1, b"Exif\0\0" + exif_bomb(900, 40_000)),
    "exif circle": jpeg_segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08"),
    "damaged exif": jpeg_segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xffabcd"),
    "part of a profile": jpeg_segment(0xE2, b"ICC_PROFILE\0\x05\x02" + b"x" * 14),
    "damaged resources": jpeg_segment(0xED, b"Photoshop 3.0\x008BIM\xff\xff\xff\xff123456"),
    "damaged index of pictures": jpeg_segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff" + b"a" * 14),
    "short JFIF": jpeg_segment(0xE0, b"JFIF\0"),
    "filling": b"\xff" * 100,
}


@pytest.mark.parametrize("name", ODD_SEGMENTS)
def test_odd_segments_do_not_lose_the_picture(path: Path, name: str) -> None:
    whole, _ = read_with_notes(path, saved(RGB, "JPEG"))
    odd = with_segments(saved(RGB, "JPEG"), ODD_SEGMENTS[name])
    pixels, notes = read_with_notes(path, odd)
    assert np.array_equal(pixels, whole)
    assert notes == []
    small(path, odd, RGB.shape)


def test_many_segments(path: Path) -> None:
    refused(path, with_segments(saved(RGB, "JPEG"), jpeg_segment(0xE1, b"x") * 20_000), "more than 10000 segments")


def slow_jpegs() -> dict[str, bytes]:
    """Files that keep a reader busy whose work grows with more than their length."""
    jpeg = saved(RGB, "JPEG")
    exif = jpeg_segment(0xE1, b"Exif\0\0" + exif_bomb(900, 4))
    middle = len(jpeg) - 100
    return {
        "bytes that fill": jpeg[:middle] + b"\xff" * (2 << 20) + jpeg[middle:],
        "bytes that fill, and no marker": jpeg[:middle] + b"\xff" * (2 << 20) + b"\0" + jpeg[middle:],
        "empty tables": jpeg[:-2] + b"\xff\xc4\0\2" * 500_000 + jpeg[-2:],
        "much EXIF": with_segments(jpeg, exif * 1000),
    }


@pytest.mark.parametrize("name", slow_jpegs())
def test_work_grows_with_the_file(path: Path, name: str) -> None:
    path.write_bytes(slow_jpegs()[name])
    start = time.process_time()
    with collected(), contextlib.suppress(ImageError):
        read_image(path)
    assert time.process_time() - start < 1


# PNG.


def with_wrong_checksum(chunk: bytes) -> bytes:
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


DEFLATED_MIB = zlib.compress(bytes(1 << 20))
ODD_CHUNKS = {
    "zTXt bomb": png_chunk(b"zTXt", b"a\0\0" + DEFLATED_MIB * 2),
    "zTXt method": png_chunk(b"zTXt", b"a\0\7garbage"),
    "zTXt damaged": png_chunk(b"zTXt", b"a\0\0garbage"),
    "iTXt": png_chunk(b"iTXt", b"a\0\1\0\0\0garbage"),
    "iCCP method": png_chunk(b"iCCP", b"a\0\7garbage"),
    "iCCP damaged": png_chunk(b"iCCP", b"a\0\0garbage"),
    "gAMA": png_chunk(b"gAMA", b""),
    "cHRM": png_chunk(b"cHRM", b"abc"),
    "pHYs": png_chunk(b"pHYs", b"a"),
    "tRNS": png_chunk(b"tRNS", b"abcdefgh"),
    "sBIT": png_chunk(b"sBIT", b"\xff" * 9),
    "acTL": with_wrong_checksum(png_chunk(b"acTL", struct.pack(">II", 7, 0))),
    "tEXt checksum": with_wrong_checksum(png_chunk(b"tEXt", b"a\0b")),
    "long eXIf": png_chunk(b"eXIf", ORIENTED + bytes(1 << 20)),
    "eXIf bomb": png_chunk(b"eXIf", exif_bomb(900, 48_000)),
    "eXIf checksum": with_wrong_checksum(png_chunk(b"eXIf", ORIENTED)),
}


@pytest.mark.parametrize("pixels", [GRAY, RGB, RGB.astype(np.uint16) * 200], ids=["gray", "rgb", "16 bits"])
@pytest.mark.parametrize("name", ODD_CHUNKS)
def test_odd_chunks_do_not_lose_the_picture(path: Path, name: str, pixels: np.ndarray[Any, Any], capfd: Any) -> None:
    odd = png(pixels, ODD_CHUNKS[name])
    found, notes = read_with_notes(path, odd)
    assert np.array_equal(found, pixels)
    assert notes == []
    assert capfd.readouterr() == ("", "")


def test_long_ancillary_chunks_take_no_memory(path: Path) -> None:
    for extra in (
        ODD_CHUNKS["eXIf bomb"],
        png_chunk(b"eXIf", bytes(20 << 20)),
        png_chunk(b"tEXt", b"a\0" + bytes(20 << 20)),
    ):
        small(path, png(GRAY, extra), GRAY.shape)


def test_orientation_still_comes_from_the_picture(path: Path) -> None:
    path.write_bytes(png(GRAY, ODD_CHUNKS["gAMA"] + png_chunk(b"eXIf", ORIENTED)))
    assert np.array_equal(read_image(path), np.rot90(GRAY, -1))


@pytest.mark.parametrize("pixels", [GRAY, GRAY.astype(np.uint16) * 200], ids=["8 bits", "16 bits"])
def test_surplus_pixel_data(path: Path, pixels: np.ndarray[Any, Any], capfd: Any) -> None:
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    for data in (png(pixels, behind=bytes(10 << 20)), png(pixels, packed=zlib.compress(rows) + b"abc")):
        found, notes = read_with_notes(path, data)
        assert np.array_equal(found, pixels)
        assert [note.split(": ")[1] for note in notes] == ["it holds more pixel data than its size asks for"]
    for packed in (zlib.compress(rows[:-1]), zlib.compress(rows)[:-4]):
        refused(path, png(pixels, packed=packed), "do not fill the picture")
    assert capfd.readouterr() == ("", "")


def test_a_png_that_cannot_hold_its_pixels(path: Path) -> None:
    data = bytearray(png(GRAY))
    struct.pack_into(">II", data, 16, 9999, 9999)
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    refused(path, bytes(data), "do not fill the picture (truncated)")


# BMP.


def colours(levels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What the palette of `run_lengths` makes of indices."""
    return np.stack([levels // 2, 255 - levels, levels], -1)


def test_run_lengths(path: Path) -> None:
    rows = bytes([3, 9, 0, 3, 1, 2, 3, 0, 0, 0]) + bytes([6, 200, 0, 0]) + b"\0\1"
    pixels, notes = read_with_notes(path, run_lengths(6, 2, 8, rows))
    assert notes == []
    assert np.array_equal(pixels, colours(np.uint8([[200] * 6, [9, 9, 9, 1, 2, 3]])))
    rows = bytes([3, 0x12, 0, 3, 0x45, 0x60, 0, 0]) + bytes([6, 0xF0, 0, 0]) + b"\0\1"
    pixels, notes = read_with_notes(path, run_lengths(6, 2, 4, rows))
    assert notes == []
    assert np.array_equal(pixels, colours(np.uint8([[15, 0, 15, 0, 15, 0], [1, 2, 1, 4, 5, 6]])))


def test_run_lengths_that_leave_their_rows(path: Path) -> None:
    pixels, notes = read_with_notes(path, run_lengths(4, 2, 8, bytes([9, 7, 0, 0, 4, 5, 0, 1])))
    assert np.array_equal(pixels, colours(np.uint8([[5] * 4, [7] * 4])))
    assert "were cut" in notes[0]
    # Pillow would need minutes.
    refused(path, run_lengths(10_000, 9_000, 8, b"\xff\7" * 100_000), "run lengths")


@pytest.mark.parametrize("size", [(100_000_000, 1), (10_000_000, 10)])
def test_wide_run_lengths(path: Path, size: tuple[int, int]) -> None:
    refused(path, run_lengths(*size, 8, b"\1\1\0\0" * size[1]), "run lengths for", "save it uncompressed")


def test_a_bmp_that_cannot_hold_its_pixels(path: Path) -> None:
    data = bytearray(saved(RGB, "BMP"))
    struct.pack_into("<ii", data, 18, 9999, 9999)
    refused(path, bytes(data), "ends before its pixels do (truncated)")


# WebP.


def test_metadata_of_webp_are_left_behind(path: Path) -> None:
    data = saved(RGB, "WEBP", lossless=True, exif=b"Exif\0\0" + ORIENTED, icc_profile=b"x" * (5 << 20))
    path.write_bytes(data)
    assert np.array_equal(read_image(path), np.rot90(RGB, -1))
    small(path, data, (96, 64, 3))


def test_a_webp_that_ends_early(path: Path) -> None:
    data = saved(RGB, "WEBP", quality=80)
    for keep in (0.2, 0.5, 0.9):
        refused(path, data[: int(len(data) * keep)], "damaged")


# Channels.


def blob(height: int = 61, width: int = 83) -> np.ndarray[Any, Any]:
    """A smooth picture of 8 bits."""
    down, across = np.mgrid[0:height, 0:width]
    return (90 + 60 * np.sin(down / 9) * np.cos(across / 7) + RNG.normal(0, 3, (height, width))).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "16"])
def test_a_fourth_channel_that_is_a_picture_stays(path: Path, kind: str) -> None:
    four = np.dstack([blob(), 255 - blob(), blob(), blob()])
    if kind == "16":
        wide = four.astype(np.uint16) * 257
        path.write_bytes(cv2.imencode(".png", wide[..., [2, 1, 0, 3]])[1].tobytes())
        assert np.array_equal(read_image(path), wide)
        return
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    path.write_bytes(saved(four, kind, **options))
    assert np.array_equal(read_image(path), four)


def alphas() -> dict[str, np.ndarray[Any, Any]]:
    """Channels that are transparency."""
    opaque = np.full((61, 83), 255, np.uint8)
    edge = opaque.copy()
    edge[:, :20], edge[:, 20:25] = 0, np.arange(50, 250, 40)
    noise = RNG.integers(0, 256, (61, 83), dtype=np.uint8)
    return {"opaque": opaque, "clear": opaque * 0, "half": opaque // 2, "soft edge": edge, "noise": noise}


@pytest.mark.parametrize("name", alphas())
def test_transparency_is_dropped(path: Path, name: str) -> None:
    rgb = np.dstack([blob(), blob(), 255 - blob()])
    path.write_bytes(saved(np.dstack([rgb, alphas()[name]]), "PNG"))
    assert np.array_equal(read_image(path), rgb)


def test_four_bands_without_a_meaning(path: Path) -> None:
    four = np.dstack([blob(), 255 - blob(), blob(), blob()])
    stream = io.BytesIO()
    tifffile.imwrite(stream, four, photometric="minisblack", planarconfig="contig")
    path.write_bytes(stream.getvalue())
    assert np.array_equal(read_image(path), four)
