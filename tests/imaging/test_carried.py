"""EXIF, GPS, XMP and colour profile of a visible picture stand in its fused one, which is upright and of its size."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

import imfuse
from imfuse.core.notes import collected
from imfuse.imaging import read_image, read_metadata, write_image
from imfuse.imaging.carried import Carried, facts_of, read_carried
from imfuse.imaging.stored import is_whole
from picture_files import (
    flir_alignment,
    flir_camera,
    flir_record,
    flir_records,
    flir_segments,
    flir_visible,
    jpeg_segment,
    saved,
    with_segments,
)

XMP = '<x:xmpmeta tiff:Orientation="6">Höhe 北</x:xmpmeta>'.encode()
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
EXTENSIONS = [".png", ".jpg", ".tif", ".webp"]
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int = 6) -> Image.Exif:
    data = Image.Exif()
    data[271], data[274], data[306], data[305] = "Maker", orientation, "2026:11:30 10:00:00", "Camera 1.0"
    data[EXIF_IFD] = {0xA002: 30, 0xA003: 40, 0x829A: 0.01, 0x927C: b"private notes" * 20}
    data[GPS_IFD] = {1: "N", 2: (53.0, 26.0, 51.37), 3: "W", 4: (2.0, 48.0, 44.17)}
    return data


def xmp_segment(packet: bytes) -> bytes:
    return jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def visible(path: Path, **more: Any) -> Path:
    """A picture stored on its side, with all kinds of metadata."""
    image, options = Image.fromarray(PIXELS), {"exif": exif().tobytes(), "icc_profile": SRGB, **more}
    if path.suffix == ".png":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
        image.save(path, pnginfo=texts, **options)
    elif path.suffix == ".tif":
        image.save(path, **options)
    elif path.suffix == ".jpg":
        path.write_bytes(with_segments(saved(image, "JPEG", **options), xmp_segment(XMP)))
    else:
        image.save(path, xmp=XMP, **options)
    return path


def fused(tmp_path: Path, source: Path, extension: str, **settings: Any) -> Path:
    height, width = read_image(source).shape[:2]
    write_image(tmp_path / "ir.png", np.arange(height * width, dtype=np.uint8).reshape(height, width))
    out = tmp_path / f"fused{extension}"
    imfuse.Fuser("laplacian_pyramid", **settings).files(tmp_path / "ir.png", source, out)
    return out


@pytest.mark.parametrize("to", EXTENSIONS)
@pytest.mark.parametrize("of", EXTENSIONS)
def test_metadata_go_from_every_format_to_every_format(tmp_path: Path, of: str, to: str) -> None:
    out = fused(tmp_path, visible(tmp_path / f"vi{of}"), to)
    with Image.open(out) as image:
        assert image.size == (40, 30)
        found, profile = image.getexif(), image.info.get("icc_profile")
        position, details = found.get_ifd(GPS_IFD), found.get_ifd(EXIF_IFD)
        packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode()
    assert found[271] == "Maker"
    assert found.get(274, 1) == 1
    assert found[305].startswith("imfuse ")
    assert [float(part) for part in position[2]] == pytest.approx([53, 26, 51.37])
    assert position[3] == "W"
    assert float(details[0x829A]) == pytest.approx(0.01)
    assert (details[0xA002], details[0xA003]) == (40, 30)
    assert 0x927C not in details
    assert profile == SRGB
    if of != ".tif":
        assert "Höhe 北" in packet.decode()
        assert b'tiff:Orientation="1"' in packet
    # What imfuse says of its own result is there as before, and the file is whole.
    if to in (".png", ".tif"):
        assert "imfuse:fingerprint" in read_metadata(out)
        assert is_whole(out)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_upright_once(tmp_path: Path, extension: str) -> None:
    source = visible(tmp_path / "vi.png")
    carried = read_carried(source)
    upright = read_image(source)
    write_image(tmp_path / f"a{extension}", upright, carried=carried)
    again = read_image(tmp_path / f"a{extension}")
    assert again.shape == upright.shape == (30, 40, 3)
    # Noise is the worst that JPEG can be given; turned wrongly it would differ by 85 levels.
    assert np.abs(again.astype(int) - upright).mean() < 5


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_nothing_is_kept_where_it_is_stripped(tmp_path: Path, extension: str) -> None:
    out = fused(tmp_path, visible(tmp_path / "vi.jpg"), extension, metadata="strip")
    assert not read_carried(out).gps
    for secret in (b"Maker", b"xmpmeta", b"sRGB"):
        assert secret not in out.read_bytes()


def test_other_settings_of_metadata_redo_the_result(tmp_path: Path) -> None:
    source = visible(tmp_path / "vi.jpg")
    out = fused(tmp_path, source, ".png")
    assert not imfuse.Fuser("laplacian_pyramid").files(tmp_path / "ir.png", source, out)
    assert imfuse.Fuser("laplacian_pyramid", metadata="strip").files(tmp_path / "ir.png", source, out)
    with pytest.raises(imfuse.ModelError, match="metadata='drop': keep or strip is expected"):
        imfuse.Fuser("laplacian_pyramid", metadata="drop")  # type: ignore[arg-type]


def test_a_gray_result_has_no_profile_of_colours(tmp_path: Path) -> None:
    out = fused(tmp_path, visible(tmp_path / "vi.jpg"), ".png", gray=True)
    assert not read_carried(out).icc
    assert read_carried(out).gps


def test_a_tiff_of_16_bits(tmp_path: Path) -> None:
    out = fused(tmp_path, visible(tmp_path / "vi.jpg"), ".tif", bits=16)
    assert read_image(out).dtype == np.uint16
    with tifffile.TiffFile(out) as file:
        page = file.pages.first
        assert page.tags[GPS_IFD].value["GPSLongitudeRef"] == "W"
        assert page.tags[EXIF_IFD].value["PixelXDimension"] == 40
    assert facts_of(read_carried(out))["position"] == {"latitude": 53.4476028, "longitude": -2.8122694}


def test_damaged_metadata_leave_the_picture(tmp_path: Path) -> None:
    source = visible(tmp_path / "vi.jpg")
    data = source.read_bytes()
    at = data.index(b"MM\0*") if b"MM\0*" in data else data.index(b"II*\0")
    with collected() as notes:
        for broken in (data[: at + 8] + b"\xff\xff" * 6 + data[at + 20 :], data[:at] + b"XX" + data[at + 2 :]):
            source.write_bytes(broken)
            read_carried(source)
            assert read_image(source).size
    assert any("its EXIF data are damaged and not kept" in str(note) for note in notes)


def test_xmp_about_other_pixels_is_left_out(tmp_path: Path) -> None:
    panorama = xmp_segment(b"<x:xmpmeta GPano:ProjectionType='cylindrical'/>")
    (tmp_path / "vi.jpg").write_bytes(with_segments(saved(PIXELS, "JPEG"), panorama))
    assert not read_carried(tmp_path / "vi.jpg").xmp


def test_what_a_jpeg_cannot_hold_is_told(tmp_path: Path) -> None:
    carried = Carried(main={271: "Maker"}, xmp=b"x" * 70_000)
    with collected() as notes:
        write_image(tmp_path / "a.jpg", PIXELS, carried=carried)
    assert "XMP of the visible picture are too long for JPEG" in str(notes[0])
    assert read_carried(tmp_path / "a.jpg").main[271] == "Maker"
    write_image(tmp_path / "b.jpg", PIXELS, carried=Carried(icc=SRGB[:128] + bytes(200_000)))
    assert len(read_carried(tmp_path / "b.jpg").icc) == 200_128


def test_the_position_of_a_thermal_camera(tmp_path: Path) -> None:
    import struct

    counts = (15000 + np.add.outer(np.arange(24) * 100, np.arange(32) * 20)).astype(np.uint16)
    position = struct.pack("<I", 1).ljust(16, b"\0") + struct.pack("<ddf", -33.5, 151.25, 12.5)
    records = {1: flir_record(counts), 0x20: flir_camera(), 0x2A: flir_alignment(1, 0, 0)}
    records |= {0x0E: flir_visible(saved(PIXELS[:24, :], "JPEG"), 30, 24), 0x2B: position.ljust(128, b"\0")}
    path = tmp_path / "a.jpg"
    path.write_bytes(with_segments(saved(PIXELS, "JPEG"), *flir_segments(flir_records(records))))
    out = tmp_path / "fused.png"
    imfuse.Fuser("laplacian_pyramid").files(path, None, out)
    assert facts_of(read_carried(out))["position"] == {"latitude": -33.5, "longitude": 151.25}
    assert b"FLIR" not in out.read_bytes()


def test_metadata_of_a_real_camera(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "sensors" / "duo_pro_r_tlinear.tiff"
    if not source.is_file():
        pytest.skip(f"no files of sensors at {source.parent}")
    facts = facts_of(read_carried(source))
    assert facts["position"]["latitude"] == pytest.approx(53 + 26 / 60 + 51.37 / 3600, abs=1e-6)
    assert facts["position"]["longitude"] == pytest.approx(-(2 + 48 / 60 + 44.17 / 3600), abs=1e-6)
    assert facts["time"] == "2019:10:24 13:56:08"
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "PNG")
    write_image(tmp_path / "a.png", PIXELS, carried=read_carried(source))
    assert facts_of(read_carried(tmp_path / "a.png"))["position"] == facts["position"]


def test_a_pointer_that_leads_nowhere_is_no_position(shared: Path) -> None:
    source = shared / "data" / "sensors" / "flir_ax8.jpg"
    if not source.is_file():
        pytest.skip(f"no files of sensors at {source.parent}")
    with collected():
        assert "position" not in facts_of(read_carried(source))
