"""PGM, PPM, JPEG 2000, AVIF and HEIC: the stored values, or one line that names the extra."""

from __future__ import annotations

import base64
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from imfuse.core.errors import ImageError
from imfuse.imaging import describe, image_size, read_image

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (7, 9), dtype=np.uint8)
DEEP = RNG.integers(0, 16384, (7, 9), dtype=np.uint16)
SMOOTH = np.dstack([np.add.outer(np.arange(48) * 2, np.arange(64)).astype(np.uint8)] * 3)


def test_pgm_and_ppm(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    for head, pixels in (
        (b"P5 9 7 255\n", GRAY),
        (b"P5\n# of a camera\n9 7\n16383\n", DEEP),
        (b"P6\n3 7\n255\n", GRAY.reshape(7, 3, 3)),
    ):
        path.write_bytes(head + pixels.astype(pixels.dtype.newbyteorder(">")).tobytes())
        found = read_image(path)
        assert found.dtype == pixels.dtype
        # Values of 14 bits stay what they are.
        assert np.array_equal(found, pixels)
        assert image_size(path) == pixels.shape[:2]
    assert describe(path)["format"] == "PNM"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"P5 9 7 255\n" + bytes(10), "truncated"),
        (b"P5 0 7 255\n" + bytes(10), "impossible values"),
        (b"P5 9 seven 255\n" + bytes(10), "makes no sense"),
        (b"P5 99999 99999 255\n", "at most 100000000 pixels"),
    ],
)
def test_pgm_that_is_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "a.pgm").write_bytes(data)
    with pytest.raises(ImageError, match=problem):
        read_image(tmp_path / "a.pgm")


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow has no JPEG 2000")
def test_jpeg_2000(tmp_path: Path) -> None:
    path = tmp_path / "a.jp2"
    for pixels in (GRAY, SMOOTH, DEEP):
        Image.fromarray(pixels).save(path, irreversible=False)
        found = read_image(path)
        assert found.dtype == pixels.dtype
        assert np.array_equal(found, pixels)
        assert image_size(path) == pixels.shape[:2]
    whole = path.read_bytes()
    at = whole.index(b"\xff\x4f\xff\x51")
    path.write_bytes(whole[: at + 8] + struct.pack(">II", 2**31, 2**31) + whole[at + 16 :])
    with pytest.raises(ImageError, match="at most 100000000 pixels"):
        read_image(path)
    path.write_bytes(whole[: at + 50])
    with pytest.raises(ImageError, match="damaged"):
        read_image(path)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(SMOOTH).save(path, quality=90, exif=exif.tobytes())
    found = read_image(path)
    assert found.shape == (64, 48, 3)
    assert np.abs(found.astype(int) - np.rot90(SMOOTH, -1)).mean() < 3
    assert image_size(path) == (64, 48)


def test_heic_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    path = tmp_path / "a.heic"
    size = b"ispe\0\0\0\0" + struct.pack(">II", 640, 480)
    path.write_bytes(struct.pack(">I", 24) + b"ftypheic" + bytes(12) + size)
    assert image_size(path) == (480, 640)
    with pytest.raises(ImageError, match=r"HEIC; reading it needs the extra: pip install imfuse\[heif\]"):
        read_image(path)
    path.write_bytes(path.read_bytes().replace(size, b"ispe\0\0\0\0" + b"\xff" * 8))
    with pytest.raises(ImageError, match="at most 100000000 pixels"):
        read_image(path)


def test_heic(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pi_heif", reason="pi-heif comes with the extra 'heif'")
    path = tmp_path / "a.heic"
    path.write_bytes(TURNED)
    upright = np.dstack([np.add.outer(np.zeros(16), np.arange(24) * 8), np.add.outer(np.arange(16) * 8, np.zeros(24)),
                         np.full((16, 24), 60)])  # fmt: skip
    found = read_image(path)
    assert (found.dtype, image_size(path)) == (np.uint8, (24, 16))
    assert np.abs(found - np.rot90(upright, -1)).mean() < 6
    for damaged in (TURNED[:500], TURNED[:300] + bytes(60) + TURNED[360:], TURNED[:40] + bytes(20) + TURNED[60:]):
        path.write_bytes(damaged)
        with pytest.raises(ImageError, match="damaged"):
            read_image(path)
    assert capfd.readouterr() == ("", "")


TURNED = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAcdtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRpbG9jAA"
    "AAAERAAAIAAQAAAAAB6wABAAAAAAAAAFYAAgAAAAACQQABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVp"
    "bmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABBmlwcnAAAADlaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGE"
    "ABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAA"
    "ABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAGAAAAAEAAAAQAAAAAf///9gAAAAC////0AAAAAIAAAAQcG"
    "l4aQAAAAADCAgIAAAACWlyb3QDAAAAGWlwbWEAAAAAAAAAAQABBoECAwWEhgAAABppcmVmAAAAAAAAAA5jZHNjAAIAAQABAAAAgm1kYXQAAABS"
    "KAGvEyGjXHj1L/5mXnve9+xulFVrXyGm8pjw0j5Y9c84Cgd3mkCdZS2m4nTOTvVDvWOjOpoQdpQ3X2+x3HZyMWwcwCDLwCcBiFPSoKWCvsCGRg"
    "AAAAZFeGlmAABNTQAqAAAACAABARIAAwAAAAEABgAAAAAAAA=="
)
"""A picture of 24 x 16 pixels that is to be turned by 90 degrees."""
