"""Damaged files: the outcome is an array or one `ImageError`, quickly and silently."""

from __future__ import annotations

import io
import logging
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from imfuse.core.errors import ImageError
from imfuse.core.notes import collected
from imfuse.imaging import image_size, read_image, read_metadata, write_image

H, W = 17, 24
RNG = np.random.default_rng(0)
SMOOTH = np.stack(np.broadcast_arrays(np.arange(H)[:, None] * 10, np.arange(W) * 8, 90), -1).astype(np.uint8)
NOISE16 = RNG.integers(0, 65536, (H, W, 3), dtype=np.uint16)
MUTATIONS = 500


def pillow(kind: str, mode: str = "RGB", **options: object) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(SMOOTH).convert(mode).save(stream, kind, **options)
        return stream.getvalue()

    return make


def ours(name: str, pixels: np.ndarray) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        write_image(folder / name, pixels, metadata={"model": "x"})
        return (folder / name).read_bytes()

    return make


def deflated(folder: Path) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, NOISE16, photometric="rgb", compression="zlib", tile=(16, 16))
    return stream.getvalue()


FILES = {
    "png8": ours("a.png", SMOOTH),
    "png16": ours("a.png", NOISE16),
    "png-palette": pillow("PNG", "P"),
    "jpeg": pillow("JPEG"),
    "jpeg-exif": pillow("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    "tiff": ours("a.tif", SMOOTH),
    "tiff-float": ours("a.tif", SMOOTH.astype(np.float32)),
    "tiff-deflate": deflated,
    "tiff-lzw": pillow("TIFF", compression="tiff_lzw"),
    "tiff-jpeg": pillow("TIFF", compression="jpeg"),
    "tiff-1bit": pillow("TIFF", "1"),
    "bmp": pillow("BMP"),
    "bmp-palette": pillow("BMP", "P"),
    "webp": pillow("WEBP", lossless=True),
    "webp-lossy": pillow("WEBP", quality=80),
}


def mutate(data: bytes, chance: np.random.Generator) -> bytes:
    out = bytearray(data)
    for _ in range(chance.integers(1, 4)):
        out = out or bytearray(b"?")
        # Headers are where decoders go wrong, so that half of the damage lands there.
        end = len(out) if chance.random() < 0.5 else min(len(out), 120)
        at, length = int(chance.integers(end)), int(chance.integers(1, 16))
        kind = chance.integers(6)
        if kind == 0:
            out[at] ^= 1 << int(chance.integers(8))
        elif kind == 1:
            out[at : at + length] = chance.bytes(len(out[at : at + length]))
        elif kind == 2:
            out[at:at] = chance.bytes(length)
        elif kind == 3 and len(out) > 2:
            del out[max(1, at) :]
        elif kind == 4:
            other = int(chance.integers(len(out)))
            first, second = bytes(out[at : at + length]), bytes(out[other : other + length])
            out[at : at + len(second)], out[other : other + len(first)] = second, first
        else:
            out[at : at + 4] = chance.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"])
    return bytes(out)


def repair_png(data: bytes) -> bytes:
    """Recompute the checksums, so that damage reaches the code behind them."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        end = at + 8 + struct.unpack(">I", out[at : at + 4])[0]
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def call(function: Callable[..., Any], *arguments: object, **options: object) -> Any:
    """Return the result or the `ImageError`; everything else is a failure of the test."""
    try:
        return function(*arguments, **options)
    except ImageError as error:
        return error


def outcome(path: Path) -> bool:
    start = time.perf_counter()
    size = call(image_size, path)
    with collected():  # what is odd about a file is said, and is no warning of a decoder
        pixels = call(read_image, path, max_pixels=4_000_000)
    assert isinstance(read_metadata(path), dict)
    assert time.perf_counter() - start < 1
    for error in (size, pixels):
        if isinstance(error, ImageError):
            assert "\n" not in str(error)
            assert str(path) in str(error)
            assert len(str(error)) < len(str(path)) + 400
    if isinstance(pixels, ImageError):
        return False
    assert pixels.dtype in (np.uint8, np.uint16, np.int16, np.int32, np.uint32, np.float32)
    assert pixels.ndim == 2 or pixels.shape[2:] in ((3,), (4,))
    assert pixels.size > 0
    assert pixels.shape[:2] == size
    return True


def hostile_files(name: str, folder: Path) -> list[bytes]:
    data = FILES[name](folder)
    chance = np.random.default_rng(list(name.encode()))
    damaged = [mutate(data, chance) for _ in range(MUTATIONS)]
    return [repair_png(item) if name.startswith("png") and number % 2 else item for number, item in enumerate(damaged)]


@pytest.mark.parametrize("name", FILES)
def test_mutations(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str], caplog, recwarn) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(FILES[name](tmp_path))
    assert outcome(path)
    caplog.set_level(logging.WARNING)
    results = []
    for data in hostile_files(name, tmp_path):
        path.write_bytes(data)
        results.append(outcome(path))
    # Damage is found, and damage in places that do not matter is tolerated.
    assert not all(results)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == ""
    assert not caplog.records
    assert not list(recwarn)


def test_random_bytes_behind_each_signature(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chance = np.random.default_rng(7)
    path = tmp_path / "a.bin"
    signatures = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"MM\0*", b"II+\0", b"BM", b"RIFF\x20\0\0\0WEBP")
    for signature in signatures:
        for length in (0, 1, 4, 13, 40, 300):
            for _ in range(8):
                path.write_bytes(signature + chance.bytes(length))
                outcome(path)
    assert capfd.readouterr() == ("", "")


def test_endless_tiff_pages(tmp_path: Path) -> None:
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in {256: 2, 257: 2, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: 4}.items()
    )
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<IIH", 12, 0, 9) + entries + struct.pack("<I", 12))
    outcome(path)


def test_png_of_many_empty_chunks(tmp_path: Path) -> None:
    empty = struct.pack(">I4sI", 0, b"teXt", zlib.crc32(b"teXt"))
    path = tmp_path / "a.png"
    write_image(path, SMOOTH)
    data = path.read_bytes()
    path.write_bytes(data[:33] + empty * 20_000 + data[33:])
    assert outcome(path)
