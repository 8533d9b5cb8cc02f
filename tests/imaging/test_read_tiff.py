"""TIFF files: codecs, samples, invalid pixels, and directories that lie."""

from __future__ import annotations

import contextlib
import gc
import io
import lzma
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from imfuse.core.errors import ImageError
from imfuse.imaging import _tiff_codecs, image_size, read_image, read_metadata
from picture_files import gray_tags, saved, tiff, with_shorter_strips

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (17, 23), dtype=np.uint8)
SMOOTH = np.add.outer(np.arange(61) * 3, np.arange(83) * 2).astype(np.uint8)
COUNTS = RNG.integers(0, 4096, (17, 23), dtype=np.uint16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tif"


def refused(path: Path, *words: str, **limits: int) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(path, **limits)
    for word in words:
        assert word in str(caught.value)


def reads(path: Path, expected: np.ndarray[Any, Any]) -> None:
    pixels = read_image(path)
    assert type(pixels) is np.ndarray
    assert pixels.dtype == expected.dtype
    assert np.array_equal(pixels, expected)
    assert image_size(path) == expected.shape[:2]


def without_imagecodecs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)


CODECS = {6: "old-style JPEG", 9: "JBIG", 33003: "JPEG 2000 (Aperio)", 50002: "JPEG XL", 12345: "number 12345"}


@pytest.mark.parametrize("code", CODECS)
def test_other_codecs_are_refused_by_name(path: Path, code: int) -> None:
    path.write_bytes(tiff(gray_tags(17, 23, GRAY.size, compression=code), GRAY.tobytes()))
    refused(path, f"TIFF compression {CODECS[code]} is not read", "save it uncompressed or with deflate")
    assert image_size(path) == (17, 23)


@pytest.mark.parametrize(("code", "name"), [(34712, "JPEG 2000"), (34887, "LERC"), (50001, "WebP")])
def test_rare_codecs_name_the_extra(path: Path, code: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_imagecodecs(monkeypatch)
    path.write_bytes(tiff(gray_tags(17, 23, GRAY.size, compression=code), GRAY.tobytes()))
    refused(path, f"TIFF compression {name} needs the package imagecodecs", "pip install 'imfuse[codecs]'")


def jpeg_2000_head(height: int, width: int, tile: int = 1 << 16, channels: int = 1) -> bytes:
    return b"\xff\x4f\xff\x51" + struct.pack(">HH8IH", 41, 0, width, height, 0, 0, tile, tile, 0, 0, channels)


def lerc_head(height: int, width: int, version: int = 4) -> bytes:
    return (
        b"Lerc2 " + struct.pack("<I", version) + b"\0" * (4 if version > 2 else 0) + struct.pack("<II", height, width)
    )


@pytest.mark.parametrize(("code", "head"), [(34712, jpeg_2000_head), (34887, lerc_head)])
def test_the_package_gets_only_data_of_the_right_size(path: Path, code: int, head: Any, monkeypatch: Any) -> None:
    seen = []

    def decode(data: bytes) -> np.ndarray[Any, Any]:
        seen.append(data)
        return GRAY

    monkeypatch.setitem(sys.modules, "imagecodecs", SimpleNamespace(jpeg2k_decode=decode, lerc_decode=decode))
    path.write_bytes(tiff(gray_tags(17, 23, 100, compression=code), head(17, 23).ljust(100, b"\0")))
    reads(path, GRAY)
    assert len(seen) == 1
    path.write_bytes(tiff(gray_tags(17, 23, 100, compression=code), head(60_000, 60_000).ljust(100, b"\0")))
    refused(path, "damaged", "of another size than its header says")
    for odd in (jpeg_2000_head(17, 23, tile=0), jpeg_2000_head(17, 23, channels=9)):
        path.write_bytes(tiff(gray_tags(17, 23, 100, compression=34712), odd.ljust(100, b"\0")))
        refused(path, "of another size than its header says")
    path.write_bytes(tiff(gray_tags(17, 23, 100, compression=code, bits=16), head(17, 23).ljust(100, b"\0")))
    refused(path, "damaged", "uint8 samples in it, where its header says uint16")
    assert len(seen) == 2


@pytest.mark.parametrize("options", [{"tile": (32, 32)}, {}], ids=["tiles", "strips"])
@pytest.mark.parametrize("codec", ["zstd", "lerc", "lzma", "webp", "jpeg2000"])
def test_the_package_itself(path: Path, codec: str, options: dict[str, Any]) -> None:
    pytest.importorskip("imagecodecs", reason="imagecodecs comes with the extra 'codecs'")
    rgb = np.stack([SMOOTH, SMOOTH.T[:61, :61].repeat(2, 1)[:, :83], 255 - SMOOTH], -1)
    arguments = {"lossless": True} if codec == "webp" else None
    tifffile.imwrite(path, rgb, photometric="rgb", compression=codec, compressionargs=arguments, **options)
    reads(path, rgb)
    path.write_bytes(with_shorter_strips(path.read_bytes(), 0.5))
    refused(path, "damaged")


PACKINGS = [
    "raw",
    "tiff_lzw",
    "packbits",
    "tiff_adobe_deflate",
    "jpeg",
    "group3",
    "group4",
    "tiff_ccitt",
    "lzma",
    "zstd",
]


@pytest.mark.parametrize("keep", [0.5, 0.9])
@pytest.mark.parametrize("width", [53, 54])
@pytest.mark.parametrize("packing", PACKINGS)
def test_strips_that_are_cut_off(
    path: Path, packing: str, width: int, keep: float, capfd: Any, monkeypatch: Any
) -> None:
    without_imagecodecs(monkeypatch)
    pixels: Any = RNG.integers(0, 256, (37, width), dtype=np.uint8)
    pixels = pixels > 127 if packing in ("group3", "group4", "tiff_ccitt") else pixels
    try:
        data = saved(pixels, "TIFF", compression=packing)
    except OSError:
        pytest.skip(f"this Pillow cannot write {packing}")
    path.write_bytes(data)
    expected = np.where(pixels, 255, 0).astype(np.uint8) if pixels.dtype == bool else pixels
    assert np.abs(read_image(path).astype(int) - expected).max() <= (150 if packing == "jpeg" else 0)
    path.write_bytes(with_shorter_strips(data, keep))
    refused(path, "damaged", "(truncated)")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [(1, 1), (1, 8), (3, 130), (7, 7), (64, 129)])
@pytest.mark.parametrize("packing", ["tiff_lzw", "packbits"])
def test_packed_bytes_of_any_number(path: Path, packing: str, size: tuple[int, int]) -> None:
    pixels = RNG.integers(0, 4, size, dtype=np.uint8)
    path.write_bytes(saved(pixels, "TIFF", compression=packing))
    reads(path, pixels)


def test_a_jpeg_strip_with_an_end_marker_too_early(path: Path) -> None:
    jpeg = saved(RNG.integers(0, 256, (64, 64), dtype=np.uint8), "JPEG")
    for scan in (jpeg[:-2], jpeg[: len(jpeg) // 2]):
        path.write_bytes(tiff(gray_tags(64, 64, len(scan) + 2, compression=7), scan + b"\xff\xd9"))
        if scan == jpeg[:-2]:
            assert read_image(path).shape == (64, 64)
        else:
            refused(path, "JPEG data ends early")


def test_reversed_bits(path: Path) -> None:
    table = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
    path.write_bytes(tiff(gray_tags(17, 23, GRAY.size) | {266: 2}, GRAY.tobytes().translate(table)))
    reads(path, GRAY)
    bits = saved(GRAY > 127, "TIFF", compression="group4")
    start, size = (struct.unpack_from("<I", bits, bits.index(struct.pack("<HH", tag, 4)) + 8)[0] for tag in (273, 279))
    tags = gray_tags(17, 23, size, compression=4, bits=1) | {266: 2}
    path.write_bytes(tiff(tags, bits[start : start + size].translate(table)))
    assert np.array_equal(read_image(path) > 127, GRAY > 127)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_samples(path: Path, bits: int) -> None:
    counts = COUNTS % (1 << bits)
    rows = [np.packbits((row[:, None] >> np.arange(bits - 1, -1, -1)) & 1).tobytes() for row in counts]
    path.write_bytes(tiff(gray_tags(17, 23, len(b"".join(rows)), bits=bits), b"".join(rows)))
    reads(path, counts)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_floating_predictor(path: Path, dtype: str, order: str) -> None:
    pixels = RNG.normal(size=(17, 23)).astype(dtype)
    planes = pixels.astype(pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(17, 23, -1).transpose(0, 2, 1)
    levels = planes.reshape(17, -1)
    steps = np.diff(levels, axis=1, prepend=np.zeros((17, 1), np.uint8))
    data = zlib.compress(steps.tobytes())
    tags = gray_tags(17, 23, len(data), bits=8 * pixels.itemsize, compression=8, predictor=3, kind=3)
    path.write_bytes(tiff(tags, data, order))
    reads(path, pixels.astype(np.float32))


def test_lzma(path: Path) -> None:
    data = lzma.compress(GRAY.tobytes())
    path.write_bytes(tiff(gray_tags(17, 23, len(data), compression=34925), data))
    reads(path, GRAY)


def test_subsampled_colours(path: Path) -> None:
    groups = RNG.integers(0, 256, (2, 3, 6), dtype=np.uint8)
    full = np.zeros((4, 6, 3), np.uint8)
    for row in range(4):
        for column in range(6):
            group = groups[row // 2, column // 2]
            full[row, column] = group[2 * (row % 2) + column % 2], group[4], group[5]
    tags = gray_tags(3, 5, groups.size, photometric=6, channels=3) | {530: (3, [2, 2])}
    path.write_bytes(tiff(tags, groups.tobytes()))
    reads(path, np.asarray(Image.fromarray(full, "YCbCr").convert("RGB"))[:3, :5])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32"])
def test_wide_and_signed_counts_as_stored(path: Path, dtype: str, compression: str | None) -> None:
    limits = np.iinfo(dtype)
    pixels = RNG.integers(limits.min, limits.max, (17, 23), dtype=dtype, endpoint=True)
    for order in "<>":
        tifffile.imwrite(path, pixels, compression=compression, predictor=compression is not None, byteorder=order)
        reads(path, pixels)


NODATA = [
    ("float32", "-9999", -9999),
    ("float32", "0", 0),
    ("float32", "-3.4e38", -3.4e38),
    ("float32", "-3.39999999999999996e+38", -3.4e38),
    ("float32", "nan", np.nan),
    ("float64", "-1.7976931348623157e+308", -np.finfo(np.float64).max),
    ("int16", "-32768", -32768),
    ("uint16", "65535.0 ", 65535),
    ("uint8", "0", 0),
]


@pytest.mark.parametrize(("dtype", "text", "value"), NODATA, ids=[f"{dtype} {text}" for dtype, text, _ in NODATA])
def test_nodata_is_masked(path: Path, dtype: str, text: str, value: float) -> None:
    pixels = RNG.integers(1, 100, (17, 23)).astype(dtype)
    pixels[2:5, 3:9] = value
    tifffile.imwrite(path, pixels, extratags=[(42113, "s", 0, text, True), (274, "H", 1, 6, True)])
    found = read_image(path)
    assert isinstance(found, np.ma.MaskedArray)
    invalid = np.zeros((17, 23), bool)
    invalid[2:5, 3:9] = True
    assert np.array_equal(found.mask, np.rot90(invalid, -1))
    stored = np.rot90(pixels, -1)[~found.mask]
    assert np.array_equal(found.compressed(), stored)
    assert found.flags.c_contiguous
    assert found.flags.writeable


@pytest.mark.parametrize("text", ["-9999", "300", "0.5", "none", "", "1e999", "inf"])
def test_nodata_that_no_pixel_has(path: Path, text: str) -> None:
    pixels = GRAY // 2
    tifffile.imwrite(path, pixels, extratags=[(42113, "s", 0, text, True)])
    reads(path, pixels)


def test_nodata_of_colours_is_that_of_all_bands(path: Path) -> None:
    pixels = RNG.integers(1, 255, (17, 23, 3), dtype=np.uint8)
    pixels[0], pixels[1, :, 1] = 0, 0
    tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(42113, "s", 0, "0", True)])
    found = read_image(path)
    assert isinstance(found, np.ma.MaskedArray)
    assert found.mask.shape == (17, 23, 3)
    assert found.mask[0].all()
    assert not found.mask[1:].any()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_not_finite_is_masked(path: Path, dtype: str, odd: float) -> None:
    pixels = RNG.random((17, 23)).astype(dtype)
    pixels[:, :4] = odd
    tifffile.imwrite(path, pixels)
    found = read_image(path)
    assert isinstance(found, np.ma.MaskedArray)
    assert found.dtype == np.float32
    assert found.mask[:, :4].all()
    assert not found.mask[:, 4:].any()


def test_a_picture_without_a_valid_pixel(path: Path) -> None:
    tifffile.imwrite(path, np.full((17, 23), -9999, np.int16), extratags=[(42113, "s", 0, "-9999", True)])
    refused(path, "all pixels are NaN, infinite or marked as nodata")


def hostile_directories() -> dict[str, tuple[bytes, str]]:
    """Small files whose entries claim, or make a reader keep, much more than there is."""
    tags = gray_tags(10, 10, 100)
    million = 1 << 20
    strips = {273: (4, [8] * million), 279: (4, [1] * million)}
    return {
        "entries twice": (tiff(tags, bytes(100), repeat=2), "has entry 256 twice"),
        "90 descriptions": (tiff(tags | {270: b"x" * million}, bytes(100), repeat=90), "has entry 256 twice"),
        "a million strips": (tiff(tags | strips | {278: 1}, bytes(100)), "1048576 strips or tiles named, 10 make up"),
        "too few strips": (tiff(tags | {278: 1}, bytes(100)), "1 strips or tiles named, 10 make up"),
        "a strip for each row": (tiff(tags | {257: 10**8 // 10, 278: 1}, bytes(100)), "at most 100000 are read"),
        "huge tiles": (tiff(tags | {322: 60_000, 323: 60_000, 324: 8, 325: 100}, bytes(100)), "use max_bytes="),
        "65535 channels": (tiff(tags | {277: 65_535}, bytes(100)), "65535 channels"),
        "values behind the end": (
            tiff(tags, bytes(100)).replace(struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 273, 4, 1 << 31)),
            "2147483648 strips or tiles named, 1 make up",
        ),
        "a circle": (tiff(tags, bytes(100))[:-4] + struct.pack("<I", 108), "go round in a circle"),
        "many entries": (b"II*\0\x08\0\0\0" + b"\xff\xff" + bytes(12 * 65_535 + 4), "65535 entries, at most 1000"),
        "too few bytes": (tiff(tags | {256: 9999, 257: 9999, 278: 9999, 259: 5}, bytes(100)), "cannot hold its pixels"),
    }  # fmt: skip


@pytest.mark.parametrize("name", hostile_directories())
def test_directories_that_lie(path: Path, name: str) -> None:
    data, words = hostile_directories()[name]
    path.write_bytes(data)
    tracemalloc.start()
    try:
        refused(path, words)
        beside = len(data) + (2 << 20)
        assert tracemalloc.get_traced_memory()[1] < beside
        gc.collect()
        tracemalloc.reset_peak()
        with contextlib.suppress(ImageError):
            image_size(path)
        read_metadata(path)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_memory_of_the_process(tmp_path: Path) -> None:
    """What the decoders take is theirs, so the process is looked at, not Python's own count."""
    resource = pytest.importorskip("resource", reason="no peak of memory on this system")
    names = []
    for number, (data, _) in enumerate(hostile_directories().values()):
        (tmp_path / f"{number}.tif").write_bytes(data)
        names.append(str(tmp_path / f"{number}.tif"))
    code = (
        "import resource, sys\nfrom imfuse.imaging import image_size, read_image, read_metadata\n"
        "from imfuse.core.errors import ImageError\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for name in sys.argv[1:]:\n    for function in (image_size, read_image, read_metadata):\n        try:\n"
        "            function(name)\n        except ImageError:\n            pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert resource
    assert int(done.stdout) * unit < 64 << 20


def test_surplus_in_the_last_strip_is_no_damage(path: Path) -> None:
    data = zlib.compress(GRAY.tobytes() + bytes(GRAY.size // 2))
    path.write_bytes(tiff(gray_tags(17, 23, len(data), compression=8), data))
    reads(path, GRAY)
    data = zlib.compress(GRAY.tobytes() + bytes(GRAY.size + 1))
    path.write_bytes(tiff(gray_tags(17, 23, len(data), compression=8), data))
    refused(path, "inflates to more than twice as many")


def test_uncompressed_strips_without_lengths(path: Path) -> None:
    tags = gray_tags(17, 23, 0) | {273: (4, [8, 8 + 23 * 10]), 278: 10}
    del tags[279]
    path.write_bytes(tiff(tags, GRAY.tobytes()))
    reads(path, GRAY)


def test_palettes_of_the_wrong_length(path: Path) -> None:
    path.write_bytes(tiff(gray_tags(17, 23, GRAY.size, photometric=3) | {320: (3, [0] * 100)}, GRAY.tobytes()))
    refused(path, "its palette has another number of colours")


def test_every_codec_that_is_read_has_a_name() -> None:
    assert set(_tiff_codecs._READ) <= _tiff_codecs._NAMES.keys()


def test_metadata_come_from_the_description(path: Path) -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, GRAY, description='{"model": "x"}', metadata=None)
    path.write_bytes(stream.getvalue())
    assert read_metadata(path) == {"model": "x"}


def test_tiles_that_are_left_out_have_no_measurement(path: Path) -> None:
    tags = gray_tags(32, 32, 0) | {322: 16, 323: 16, 324: (4, [0, 8, 8, 8]), 325: (4, [0, 256, 256, 256])}
    data = bytes(range(1, 256)) + b"\1"
    path.write_bytes(tiff(tags | {42113: b"0\0"}, data))
    found = read_image(path)
    assert isinstance(found, np.ma.MaskedArray)
    assert found.mask[:16, :16].all()
    assert not found.mask[16:].any()
    assert not found.mask[:, 16:].any()
    # Without a value for them they would be black.
    path.write_bytes(tiff(tags, data))
    refused(path, "damaged")


def test_strips_that_share_their_bytes(path: Path) -> None:
    """Each would be copied, however little of it is needed."""
    tags = gray_tags(1000, 10, 0, compression=8) | {278: 1, 273: (4, [8] * 1000), 279: (4, [1 << 20] * 1000)}
    path.write_bytes(tiff(tags, zlib.compress(bytes(10)).ljust(1 << 20, b"\0")))
    refused(path, "said to have 1048576000 bytes together")


def test_a_tall_picture_of_bits(path: Path) -> None:
    path.write_bytes(tiff(gray_tags(3_000_000, 1, 3_000_000, bits=1), b"\x80" * 3_000_000))
    start = time.process_time()
    assert read_image(path).min() == 255
    assert time.process_time() - start < 1


def test_many_scans_in_a_strip(path: Path) -> None:
    jpeg = saved(RNG.integers(0, 256, (64, 64), dtype=np.uint8), "JPEG", progressive=True)
    many = jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") : -2] * 200 + b"\xff\xd9"
    path.write_bytes(tiff(gray_tags(64, 64, len(many), compression=7), many))
    refused(path, "more than 100 scans")


@pytest.mark.parametrize("bits", [24, 128])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_samples_of_odd_widths(path: Path, bits: int, kind: int) -> None:
    path.write_bytes(tiff(gray_tags(4, 4, 16 * bits // 8, bits=bits, kind=kind), bytes(16 * bits // 8)))
    refused(path, "samples found; save it as")
