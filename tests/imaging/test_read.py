"""Every format and mode goes through a real file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from imfuse.core.errors import ImageError
from imfuse.imaging import image_size, read_image, write_image
from imfuse.imaging.read import image_hash

H, W = 17, 24
RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (H, W), dtype=np.uint8)
RGB = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
GRAY16 = RNG.integers(0, 65536, (H, W), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (H, W, 3), dtype=np.uint16)
SMOOTH = np.stack(np.broadcast_arrays(np.arange(H)[:, None] * 10, np.arange(W) * 8, 90), -1).astype(np.uint8)
# Row 0 at the top and column 0 on the left become these corners, see the EXIF standard.
TURN = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, 1),
}


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(depth: int, colour: int, rows: list[bytes], width: int, extra: bytes = b"", end: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    data = png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + extra + data + end + png_chunk(b"IEND", b"")


def png16(pixels: np.ndarray, extra: bytes = b"", end: bytes = b"") -> bytes:
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]]
    return png(16, colour, [row.astype(">u2").tobytes() for row in pixels], pixels.shape[1], extra, end)


def check(path: Path, expected: np.ndarray, tolerance: int = 0) -> None:
    pixels = read_image(path)
    assert pixels.dtype == expected.dtype
    assert pixels.shape == expected.shape
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert pixels.dtype.isnative
    assert np.abs(pixels.astype(np.float64) - expected).max() <= tolerance
    assert image_size(path) == expected.shape[:2]


def fails(path: Path, *words: str, **limits: int) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(path, **limits)
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text
    for word in words:
        assert word in text
    return text


@pytest.mark.parametrize("pixels", [GRAY, RGB], ids=["gray", "rgb"])
@pytest.mark.parametrize("extension", ["png", "bmp", "tif", "webp"])
def test_lossless_8_bit(tmp_path: Path, extension: str, pixels: np.ndarray) -> None:
    path = tmp_path / f"a.{extension}"
    Image.fromarray(pixels).save(path, **({"lossless": True} if extension == "webp" else {}))
    # WebP has no gray pictures.
    check(path, np.stack([pixels] * 3, -1) if extension == "webp" and pixels.ndim == 2 else pixels)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(tmp_path: Path, mode: str, progressive: bool) -> None:
    path = tmp_path / "a.jpg"
    image = Image.fromarray(SMOOTH).convert(mode)
    image.save(path, quality=98, subsampling=0, progressive=progressive)
    check(path, np.asarray(image if mode == "L" else image.convert("RGB")), tolerance=6)


@pytest.mark.parametrize("extension", ["png", "tif", "webp"])
def test_alpha_is_dropped(tmp_path: Path, extension: str) -> None:
    alpha = RNG.integers(1, 256, (H, W, 1), dtype=np.uint8)
    path = tmp_path / f"a.{extension}"
    options = {"lossless": True, "exact": True} if extension == "webp" else {}
    Image.fromarray(np.concatenate([RGB, alpha], 2)).save(path, **options)
    check(path, RGB)
    if extension != "webp":
        Image.fromarray(np.concatenate([GRAY[..., None], alpha], 2), "LA").save(path)
        check(path, GRAY)


@pytest.mark.parametrize("extension", ["png", "bmp", "tif"])
def test_palettes(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    for colours, gray in ((RNG.integers(0, 256, (256, 3), dtype=np.uint8), False), (np.arange(255, -1, -1), True)):
        table = np.repeat(colours[:, None], 3, 1).astype(np.uint8) if gray else colours
        image = Image.fromarray(GRAY)
        image = image.copy()
        image.putpalette(table.tobytes())
        image.save(path)
        check(path, table[GRAY][..., 0] if gray else table[GRAY])


@pytest.mark.parametrize("extension", ["png", "bmp", "tif"])
def test_one_bit(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    Image.fromarray(GRAY > 127).save(path)
    check(path, np.where(GRAY > 127, 255, 0).astype(np.uint8))


@pytest.mark.parametrize("depth", [2, 4])
def test_small_depths_fill_the_8_bit_range(tmp_path: Path, depth: int) -> None:
    levels = RNG.integers(0, 2**depth, (H, W), dtype=np.uint8)
    bits = np.unpackbits(levels[..., None], axis=2)[..., -depth:].reshape(H, -1)
    path = tmp_path / "a.png"
    path.write_bytes(png(depth, 0, [np.packbits(row).tobytes() for row in bits], W))
    check(path, levels * np.uint8(255 // (2**depth - 1)))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_keeps_16_bits(tmp_path: Path, channels: int) -> None:
    pixels = RNG.integers(0, 65536, (H, W, channels), dtype=np.uint16)
    path = tmp_path / "a.png"
    noise = png_chunk(b"gAMA", struct.pack(">I", 20000)) + png_chunk(b"sBIT", b"\x0a" * channels)
    path.write_bytes(png16(pixels[..., 0] if channels == 1 else pixels, noise))
    check(path, pixels[..., 0] if channels < 3 else pixels[..., :3])


def test_16_bit_png_with_transparent_colour_and_interlace(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png16(RGB16, png_chunk(b"tRNS", RGB16[0, 0].astype(">u2").tobytes())))
    check(path, RGB16)
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    for height, width in ((H, W), (3, 2), (1, 1)):
        part = RGB16[:height, :width]
        rows = [
            b"\0" + row.astype(">u2").tobytes() for t, x, dy, dx in passes for row in part[t::dy, x::dx] if row.size
        ]
        head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 1)
        data = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(b"".join(rows))) + png_chunk(b"IEND", b"")
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
        check(path, part)


def test_pillow_and_opencv_16_bit_files(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(GRAY16).save(path)
    check(path, GRAY16)
    path.write_bytes(cv2.imencode(".png", RGB16[..., ::-1])[1].tobytes())
    check(path, RGB16)
    Image.fromarray(GRAY16).save(tmp_path / "a.tif")
    check(tmp_path / "a.tif", GRAY16)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("shape", [(H, W), (H, W, 3)], ids=["gray", "rgb"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64", "int16", "uint32", "int32"])
def test_scientific_tiff(tmp_path: Path, dtype: str, shape: tuple[int, ...], byteorder: str, compression: str) -> None:
    pixels = (RNG.random(shape) * 200).astype(dtype)
    path = tmp_path / "a.tif"
    photometric = "minisblack" if len(shape) == 2 else "rgb"
    tifffile.imwrite(path, pixels, photometric=photometric, byteorder=byteorder, compression=compression)
    check(path, pixels.astype(np.float32) if dtype.startswith("float") else pixels)


def test_tiff_layouts(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(RGB16, -1, 0), photometric="rgb", planarconfig="separate")
    check(path, RGB16)
    tifffile.imwrite(path, np.pad(GRAY16, ((0, 40), (0, 50))), tile=(32, 32))
    check(path, np.pad(GRAY16, ((0, 40), (0, 50))))
    tifffile.imwrite(path, GRAY, photometric="miniswhite")
    check(path, 255 - GRAY)
    tifffile.imwrite(path, GRAY16, bigtiff=True, predictor=2, compression="zlib")
    check(path, GRAY16)
    tifffile.imwrite(path, RGB.astype(np.float32), photometric="minisblack", planarconfig="contig")
    check(path, RGB.astype(np.float32))
    alpha = np.concatenate([RGB16, GRAY16[..., None]], 2)
    tifffile.imwrite(path, alpha, photometric="rgb", extrasamples=["unassalpha"])
    check(path, RGB16)
    tifffile.imwrite(path, alpha[..., 2:], photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    check(path, alpha[..., 2])


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "jpeg", "tiff_adobe_deflate", "raw"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "YCbCr", "CMYK", "I;16", "F"])
def test_tiff_compressions(tmp_path: Path, mode: str, compression: str) -> None:
    if compression == "jpeg" and mode in ("1", "P", "I;16", "F"):
        pytest.skip("JPEG holds 8-bit gray and colour only")
    if (mode, compression) == ("CMYK", "jpeg"):
        pytest.skip("refused, see test_tiff_refusals")
    image = Image.fromarray(GRAY16) if mode == "I;16" else Image.fromarray(SMOOTH).convert(mode)
    path = tmp_path / "a.tif"
    image.save(path, compression=compression)
    if mode in ("I;16", "F"):
        expected = np.asarray(image)
    else:
        expected = np.asarray(image.convert("L" if mode in ("1", "L", "LA") else "RGB"))
    check(path, expected, tolerance=10 if compression == "jpeg" else 1 if mode == "YCbCr" else 0)


def test_lzw_16_bit_colour(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    done, buffer = cv2.imencode(".tif", RGB16[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    assert done
    path.write_bytes(buffer.tobytes())
    check(path, RGB16)


def test_fax_tiff(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(GRAY > 127).save(path, compression="group4")
    check(path, np.where(GRAY > 127, 255, 0).astype(np.uint8))


def test_tiff_refusals(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GRAY] * 5), photometric="minisblack")
    fails(path, "5 pages", "save the page")
    tifffile.imwrite(path, np.full((H, W), 70000, np.int64))
    fails(path, "int64 values 70000..70000", "0..65535", "float32")
    tifffile.imwrite(path, GRAY.astype(np.int8))
    fails(path, "int8")
    tifffile.imwrite(path, GRAY.astype(np.complex64))
    fails(path, "complex64")
    tifffile.imwrite(path, np.full((H, W), 1e300))
    fails(path, "infinite")
    tifffile.imwrite(path, np.full((H, W), np.nan, np.float32))
    fails(path, "NaN")
    tifffile.imwrite(path, np.stack([GRAY] * 6, -1), photometric="minisblack", planarconfig="contig")
    fails(path, "6 channels")
    tifffile.imwrite(path, np.stack([GRAY] * 32).reshape(2, 16, H, W), photometric="minisblack", volumetric=True)
    fails(path)
    Image.fromarray(SMOOTH).convert("CMYK").save(path, compression="jpeg")
    fails(path, "4 channels of 8 bits with JPEG compression", "save it uncompressed or with deflate")


def test_tiff_thumbnails_do_not_count_as_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(GRAY16, metadata=None)
        writer.write(GRAY16[::2, ::2], subfiletype=1, metadata=None)
    check(path, GRAY16)
    with tifffile.TiffWriter(path) as writer:
        writer.write(GRAY16, metadata=None, subifds=1)
        writer.write(GRAY16[::2, ::2], subfiletype=1, metadata=None)
    check(path, GRAY16)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "lzw.tif", "raw1.tif", "16.png", "16.tif"])
def test_orientation(tmp_path: Path, kind: str, turn: int) -> None:
    path = tmp_path / f"a.{kind}"
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = {"16.png": RGB16, "16.tif": RGB16, "jpg": SMOOTH}.get(kind, RGB)
    if kind == "16.png":
        path.write_bytes(png16(stored, end=png_chunk(b"eXIf", exif.tobytes()[6:])))
    elif kind == "16.tif":
        tifffile.imwrite(path, stored, photometric="rgb", extratags=[(274, "H", 1, turn, True)])
    elif kind == "lzw.tif":
        Image.fromarray(stored).save(path, compression="tiff_lzw", tiffinfo={274: turn})
    elif kind == "raw1.tif":
        stored = np.where(GRAY > 127, 255, 0).astype(np.uint8)
        Image.fromarray(stored > 0).save(path, tiffinfo={274: turn})
    elif kind == "tif":
        Image.fromarray(stored).save(path, tiffinfo={274: turn})
    else:
        options = {"lossless": True} if kind == "webp" else {"quality": 98, "subsampling": 0} if kind == "jpg" else {}
        Image.fromarray(stored).save(path, exif=exif, **options)
    check(path, TURN[turn](stored), tolerance=6 if kind == "jpg" else 0)


def test_damaged_exif_does_not_lose_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png16(GRAY16, png_chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff garbage")))
    check(path, GRAY16)
    Image.fromarray(SMOOTH).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f", quality=98, subsampling=0)
    check(tmp_path / "a.jpg", SMOOTH, tolerance=6)


def test_equal_channels_stay_three(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.stack([GRAY] * 3, -1)).save(path)
    check(path, np.stack([GRAY] * 3, -1))


def test_content_decides_not_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(RGB).save(path, "PNG")
    check(path, RGB)


@pytest.mark.parametrize("kind", ["GIF", "ICO", "SGI", "TGA", "PCX"])
def test_other_formats_are_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path, kind)
    fails(path, "not a PNG, JPEG, TIFF, BMP or WebP image")


def test_non_ascii_paths(tmp_path: Path) -> None:
    folder = tmp_path / "Wärmebild 热像 🔥"
    for name, pixels in (("夜.png", RGB16), ("ночь.tif", GRAY16), ("é.bmp", RGB), ("ü.webp", RGB)):
        write_image(folder / name, pixels)
        check(folder / name, pixels)
    assert read_image(str(folder / "é.bmp")).shape == RGB.shape


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())]
    for extension in ("png", "webp"):
        path = tmp_path / f"a.{extension}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        fails(path, "animation", "save one frame")


def test_first_picture_of_a_multi_picture_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    options = {"quality": 98, "subsampling": 0}
    Image.fromarray(SMOOTH).save(path, "MPO", save_all=True, append_images=[Image.fromarray(SMOOTH[::-1])], **options)
    check(path, SMOOTH, tolerance=6)


def test_missing_folder_empty_and_odd_paths(tmp_path: Path) -> None:
    fails(tmp_path / "none.png", "no such file")
    (tmp_path / "folder.png").mkdir()
    fails(tmp_path / "folder.png", "folder")
    (tmp_path / "zero.png").touch()
    fails(tmp_path / "zero.png", "empty", "0 bytes")
    (tmp_path / "text.png").write_text("hello, this is no image")
    fails(tmp_path / "text.png", "not a PNG")
    (tmp_path / "file").touch()
    fails(tmp_path / "file" / "a.png", "not a folder")
    fails(tmp_path / ("x" * 300 + ".png"), "too long")
    fails(tmp_path / "line\nbreak.png".replace("\n", " "), "no such file")
    for odd in (tmp_path / "nul\0.png", tmp_path / "a\nb.png", tmp_path / "\udcff.png"):
        with pytest.raises(ImageError) as caught:
            read_image(odd)
        assert "\n" not in str(caught.value)
        str(caught.value).encode()
    with pytest.raises(ImageError):
        read_image(3)  # type: ignore[arg-type]
    for function in (read_image, image_size):
        with pytest.raises(ImageError, match="no such file"):
            function(tmp_path / "none.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    fails(tmp_path / "a.png", "not a regular file")
    with pytest.raises(ImageError, match="not a regular file"):
        image_hash(tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the super-user may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    path.chmod(0)
    fails(path, "no permission")


def test_no_permission_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    fails(path, "no permission")
    for function in (image_size, image_hash):
        with pytest.raises(ImageError, match="no permission"):
            function(path)


def test_hash_is_of_any_content_and_its_errors_are_those_of_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no picture")
    assert image_hash(path) == hashlib.sha256(b"no picture").hexdigest()
    path.write_bytes(b"")
    with pytest.raises(ImageError, match="empty"):
        image_hash(path)
    with pytest.raises(ImageError, match=r"none\.png: no such file$"):
        image_hash(tmp_path / "none.png")
    with pytest.raises(ImageError, match="this is a folder"):
        image_hash(tmp_path)


def test_interrupt_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "load", interrupt)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_image(path)


@pytest.mark.parametrize("kind", ["png", "16.png", "jpg", "bmp", "tif", "lzw.tif", "zip.tif", "webp"])
def test_truncated_everywhere(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "16.png":
        path.write_bytes(png16(RGB16))
    else:
        packing = {"lzw.tif": "tiff_lzw", "zip.tif": "tiff_adobe_deflate"}.get(kind)
        Image.fromarray(RGB).save(path, **({"compression": packing} if packing else {}))
    data = path.read_bytes()
    for keep in {len(data) * part // 8 for part in range(1, 8)}:
        path.write_bytes(data[:keep])
        fails(path)


def test_wrong_checksum_is_damage(tmp_path: Path) -> None:
    for name, data in (("16.png", png16(RGB16)), ("8.png", png(8, 2, [row.tobytes() for row in RGB], W))):
        broken = bytearray(data)
        broken[len(data) // 2] ^= 4
        (tmp_path / name).write_bytes(broken)
        fails(tmp_path / name, "damaged", "checksum")


def huge_png(depth: int) -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 100000, 100000, depth, 2, 0, 0, 0))
        + (png_chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + png_chunk(b"IEND", b""))
    )


def huge_bmp() -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, 100000, 100000, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + head + bytes(100)


def huge_tiff() -> bytes:
    tags = {256: 100000, 257: 100000, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 100000, 279: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 108) + bytes(100) + struct.pack("<H", len(tags)) + entries + bytes(4)


def huge_webp() -> bytes:
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + (99999).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", len(body)) + body


def huge_jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "JPEG")
    data = bytearray(stream.getvalue())
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", 65000, 65000)
    return bytes(data)


@pytest.mark.parametrize(
    "data", [huge_png(8), huge_png(16), huge_bmp(), huge_tiff(), huge_webp(), huge_jpeg()],
    ids=["png", "png16", "bmp", "tiff", "webp", "jpeg"],
)  # fmt: skip
def test_huge_headers_are_refused_before_decoding(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(data)
    image_size(path)
    size = "65000x65000" if data[:2] == b"\xff\xd8" else "100000x100000"
    tracemalloc.start()
    start = time.perf_counter()
    fails(path, size, "at most 100000000 pixels")
    fails(path, size, "bytes", max_pixels=10**11)
    assert time.perf_counter() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()


def test_limits_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    size = path.stat().st_size
    fails(path, "24x17", "at most 407 pixels", "max_pixels", max_pixels=H * W - 1)
    assert read_image(path, max_pixels=H * W, max_bytes=max(size, RGB.nbytes)).shape == RGB.shape
    fails(path, f"{size} bytes", "max_bytes", max_bytes=size - 1)
    path.write_bytes(png16(np.zeros((400, 400, 3), np.uint16)))
    fails(path, "960000 bytes", "max_bytes", max_bytes=959_999)
    assert read_image(path, max_bytes=960_000).max() == 0


def test_deflate_bomb_in_a_tiff_segment(tmp_path: Path) -> None:
    packed = zlib.compress(bytes(64 * 2**20), 9)
    tags = {256: 10, 257: 10, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: 10, 279: len(packed)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path = tmp_path / "a.tif"
    head = b"II*\0" + struct.pack("<I", 8 + len(packed))
    path.write_bytes(head + packed + struct.pack("<H", len(tags)) + entries + bytes(4))
    tracemalloc.start()
    fails(path, "inflate", max_bytes=2**20)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()


def test_an_image_above_the_limit_of_pillow_reads_without_a_warning(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.bmp"
    Image.fromarray(RGB).save(path)
    for limit in (H * W - 1, 10):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check(path, RGB)


def test_nothing_is_printed_for_damaged_files(tmp_path: Path) -> None:
    """A fresh interpreter, because pytest captures logging and warnings in its own way."""
    names = []
    for name, data in (("a.png", png16(RGB16)), ("b.tif", None), ("c.jpg", None)):
        path = tmp_path / name
        if data is None:
            Image.fromarray(RGB).save(path, **({"compression": "tiff_lzw"} if name == "b.tif" else {}))
        else:
            path.write_bytes(data)
        whole = path.read_bytes()
        for number, at in enumerate(range(10, len(whole), max(1, len(whole) // 40))):
            damaged = bytearray(whole)
            damaged[at] ^= 0x55
            broken = tmp_path / f"{number}-{name}"
            broken.write_bytes(damaged)
            names.append(str(broken))
    code = (
        "import sys, json\nfrom imfuse.imaging import read_image\nfrom imfuse.core.errors import ImageError\n"
        "for name in json.load(sys.stdin):\n    try:\n        read_image(name)\n    except ImageError:\n        pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=json.dumps(names), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_threads_and_warning_filters(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_image(path, RGB)
    levels = getattr(cv2.utils, "logging", cv2)
    before, level = list(warnings.filters), levels.getLogLevel()
    with ThreadPoolExecutor(4) as pool:
        assert all((pixels == RGB).all() for pixels in pool.map(read_image, [path] * 100))
    assert list(warnings.filters) == before
    assert levels.getLogLevel() == level


def test_image_size_reads_only_the_header(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(huge_bmp())
    assert image_size(path) == (100000, 100000)
