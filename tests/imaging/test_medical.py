"""DICOM and NIfTI: rescaled values, windows, frames and slices, and results that name nobody unless asked to."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imfuse
from imfuse.core.errors import ImageError
from imfuse.core.notes import collected
from imfuse.imaging import View, describe, image_size, parse_range, read_image, write_image
from imfuse.imaging.carried import read_carried
from imfuse.imaging.palette import painted
from imfuse.imaging.read import read_picture
from imfuse.imaging.sensors.display import Limits, shown
from imfuse.imaging.sensors.windows import parse_window, window_limits

pydicom = pytest.importorskip("pydicom", reason="pydicom comes with the extra 'medical'")
nibabel = pytest.importorskip("nibabel", reason="nibabel comes with the extra 'medical'")

STORED = (np.add.outer(np.arange(20) * 40, np.arange(30) * 10) + 100).astype(np.int16)
EXPLICIT = "1.2.840.10008.1.2.1"


def dicom(path: Path, pixels: Any = STORED, **tags: Any) -> Path:
    """A file with these pixels: (H, W), (frames, H, W), or (H, W, 3) where a photometric interpretation says so."""
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = EXPLICIT
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = pydicom.uid.generate_uid()
    colour = tags.get("PhotometricInterpretation", "") in ("RGB", "YBR_FULL")
    data.PatientName, data.PatientID, data.StudyInstanceUID = "Doe^Jane", "12345", "1.2.3.4"
    data.Modality, data.PhotometricInterpretation, data.SamplesPerPixel = "CT", "MONOCHROME2", 3 if colour else 1
    if colour:
        data.PlanarConfiguration = 0
    data.Rows, data.Columns = pixels.shape[:2] if colour or pixels.ndim == 2 else pixels.shape[1:]
    if pixels.ndim == 3 and not colour:
        data.NumberOfFrames = len(pixels)
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    data.add_new(0x7FE00010, "OW", pixels.tobytes())
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def unit_of(path: Path, range_: str = "auto", **view: Any) -> tuple[Any, Limits]:
    found = read_picture(path, view=View(**view))
    return shown(found.pixels, found.sensor, parse_range(range_), "a").to_unit()


def test_values_are_rescaled(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a", RescaleSlope="2.5", RescaleIntercept="-1024")
    pixels = read_image(path)
    assert pixels.dtype == np.float32
    assert np.allclose(pixels, STORED * 2.5 - 1024)
    assert image_size(path) == (20, 30)
    # Nothing is said of other values.
    assert np.array_equal(read_image(dicom(tmp_path / "b")), STORED)


def test_the_window_of_the_file_is_black_and_white(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a", WindowCenter=["300", "40"], WindowWidth=["201", "80"])
    unit, limits = unit_of(path)
    # PS3.3 C.11.2.1.2, by hand: (x - (c - 0.5)) / (w - 1) + 0.5.
    assert np.allclose(unit, ((STORED - 299.5) / 200 + 0.5).clip(0, 1), atol=1e-6)
    assert limits == Limits(199.5, 399.5)
    exact = dicom(tmp_path / "b", WindowCenter="300", WindowWidth="200", VOILUTFunction="LINEAR_EXACT")
    assert unit_of(exact)[1] == Limits(200, 400)
    assert unit_of(path, "0,1000")[1] == Limits(0, 1000)


def test_windows_that_are_named(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a", WindowCenter="300", WindowWidth="200")
    assert unit_of(path, window="lung")[1] == Limits(*window_limits(-600, 1500))
    assert unit_of(path, window="35,80")[1] == Limits(*window_limits(35, 80))
    # Without any, CT is shown as soft tissue, PET and MR by percentiles.
    assert unit_of(dicom(tmp_path / "b"))[1] == Limits(*window_limits(40, 400))
    assert unit_of(dicom(tmp_path / "c", Modality="PT"))[1].low == 100
    assert 100 < unit_of(dicom(tmp_path / "d", Modality="MR"))[1].low < 150
    for wrong in ("teeth", "1,2,3", "40,0", "nan,5"):
        with pytest.raises(ImageError, match="window="):
            parse_window(wrong)


def test_monochrome1_is_white_where_values_are_low(tmp_path: Path) -> None:
    plain, inverted = (
        unit_of(dicom(tmp_path / name, PhotometricInterpretation=name))[0] for name in ("MONOCHROME2", "MONOCHROME1")
    )
    assert np.allclose(plain, 1 - inverted)


def test_padding_holds_no_data(tmp_path: Path) -> None:
    pixels = STORED.copy()
    pixels[0, :5] = -2000
    found = read_image(dicom(tmp_path / "a", pixels, PixelPaddingValue=-2000))
    assert np.ma.count_masked(found) == 5
    assert found[0, 5] == 150


def test_frames(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a", np.stack([STORED + i for i in range(5)]).astype(np.int16))
    assert read_image(path)[0, 0] == 102
    assert read_image(path, view=View(frame=4))[0, 0] == 104
    with pytest.raises(ImageError, match=r"frame 5 is asked for, the frames are 0 to 4.*frame=\.\.\."):
        read_image(path, view=View(frame=5))


def test_frames_have_scales_of_their_own(tmp_path: Path) -> None:
    frames = []
    for i in range(2):
        scale, group = pydicom.Dataset(), pydicom.Dataset()
        scale.RescaleSlope, scale.RescaleIntercept = str(i + 1), "0"
        group.PixelValueTransformationSequence = [scale]
        frames.append(group)
    measures, common = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing = ["2", "3"]
    common.PixelMeasuresSequence = [measures]
    path = dicom(
        tmp_path / "a",
        np.stack([STORED, STORED]),
        PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[common],
    )
    assert read_image(path, view=View(frame=1))[0, 0] == 2 * read_image(path, view=View(frame=0))[0, 0] == 200
    facts = describe(path)["sensor"]
    assert facts["pixel_spacing_mm"] == [2, 3]
    assert "remark" not in facts
    assert "Doe" not in json.dumps(describe(path))


def test_colours(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(read_image(dicom(tmp_path / "a", rgb, PhotometricInterpretation="RGB")), rgb)
    table = {f"{name}PaletteColorLookupTable{part}": value for name in ("Red", "Green", "Blue") for part, value in
             (("Descriptor", [256, 0, 16]), ("Data", (np.arange(256, dtype="<u2") * 257).tobytes()))}  # fmt: skip
    gray = rgb[..., 0].copy()
    found = read_image(dicom(tmp_path / "b", gray, PhotometricInterpretation="PALETTE COLOR", **table))
    assert np.array_equal(found, np.stack([gray] * 3, axis=-1))


def test_files_that_are_refused(tmp_path: Path) -> None:
    whole = dicom(tmp_path / "a").read_bytes()
    refused = {
        "is damaged": whole[:-100],
        "without a picture": whole.replace(
            b"\x28\x00\x10\x00US\x02\x00\x14\x00", b"\x28\x00\x10\x00US\x02\x00\x00\x00"
        ),
        "a deflated DICOM file": whole[:200] + b"1.2.840.10008.1.2.1.99" + whole[200:],
    }
    for problem, data in refused.items():
        (tmp_path / "b").write_bytes(data)
        with pytest.raises(ImageError, match=problem) as caught:
            read_image(tmp_path / "b")
        assert "\n" not in str(caught.value)
    with pytest.raises(ImageError, match="at most 100 pixels"):
        read_image(tmp_path / "a", max_pixels=100)


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dicom(tmp_path / "a")
    nifti(tmp_path / "b.nii")
    for name, package in (("a", "pydicom"), ("b.nii", "nibabel")):
        with monkeypatch.context() as patch:
            patch.setitem(__import__("sys").modules, package, None)
            with pytest.raises(ImageError, match=r"pip install imfuse\[medical\]"):
                read_image(tmp_path / name)


VOLUME = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
"""Left to right, back to front, below to above."""


def nifti(path: Path, volume: Any = VOLUME, affine: Any = None, slope: float | None = None) -> Path:
    image = nibabel.Nifti1Image(volume, np.diag([2.0, 3, 4, 1]) if affine is None else affine)
    if slope is not None:
        image.header.set_slope_inter(slope, 100)
    path.write_bytes(gzip.compress(image.to_bytes()) if path.suffix == ".gz" else image.to_bytes())
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_slices_of_a_volume(tmp_path: Path, name: str) -> None:
    path = nifti(tmp_path / name)
    # The front and the patient's right are where rows and columns begin.
    assert np.array_equal(read_image(path, view=View(slice="axial:2")), VOLUME[::-1, ::-1, 2].T)
    assert np.array_equal(read_image(path, view=View(slice="coronal:1")), VOLUME[::-1, 1, ::-1].T)
    assert np.array_equal(read_image(path, view=View(slice="sagittal:3")), VOLUME[3, ::-1, ::-1].T)
    assert np.array_equal(read_image(path), read_image(path, view=View(slice="3")))
    assert image_size(path, view=View(slice="sagittal")) == (6, 5)
    facts = describe(path)["sensor"]
    assert facts["axes"] == "RAS"
    assert facts["slice"] == "axial:3"
    assert facts["pixel_spacing_mm"] == [3, 2]
    assert facts["left_of_the_picture"] == "the patient's right"


def test_the_direction_of_the_axes_is_that_of_the_affine(tmp_path: Path) -> None:
    # The same volume with its axes turned round and in another order.
    turned = np.flip(VOLUME, 0).transpose(2, 0, 1).copy()
    affine = np.array([[0, -2.0, 0, 6], [0, 0, 3, 0], [4, 0, 0, 0], [0, 0, 0, 1]])
    first, second = nifti(tmp_path / "a.nii"), nifti(tmp_path / "b.nii", turned, affine)
    for text in ("axial:2", "coronal:1", "sagittal:0"):
        assert np.array_equal(*(read_image(path, view=View(slice=text)) for path in (first, second)))
    assert describe(second)["sensor"]["axes"] == "SLA"


def test_true_values_of_a_volume(tmp_path: Path) -> None:
    found = read_image(nifti(tmp_path / "a.nii", slope=0.5), view=View(slice="axial:0"))
    assert found[-1, -1] == 100
    assert found.dtype == np.float32


def test_times_of_a_volume(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", np.stack([VOLUME, VOLUME + 1, VOLUME + 2], axis=-1))
    assert read_image(path, view=View(frame=2, slice="axial:0"))[-1, -1] == 2
    assert describe(path)["sensor"]["frame"] == 1
    with pytest.raises(ImageError, match="frame 3 is asked for, they are 0 to 2"):
        read_image(path, view=View(frame=3))


@pytest.mark.parametrize("text", ["oblique", "axial:-1", "axial:x", "axial:6", "²"])
def test_slices_that_are_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(ImageError, match="slice"):
        read_image(nifti(tmp_path / "a.nii"), view=View(slice=text))


def test_volumes_that_are_refused(tmp_path: Path) -> None:
    whole = nifti(tmp_path / "a.nii").read_bytes()
    wide = bytearray(whole)
    wide[42:44] = (32_000).to_bytes(2, "little")
    for problem, data in {
        "another file": whole[:344] + b"ni1\0" + whole[348:],
        r"cannot hold 4 x 5 x 6 values \(truncated\)": whole[:-10],
        "cannot hold 32000 x 5 x 6": bytes(wide),
        "is damaged": gzip.compress(whole)[:-20],
    }.items():
        (tmp_path / "b.nii").write_bytes(data)
        with pytest.raises(ImageError, match=problem):
            read_image(tmp_path / "b.nii")
    # A small file that unpacks to more than is allowed.
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(whole + bytes(10**6)))
    with pytest.raises(ImageError, match="unpacks to more than 100000 bytes"):
        read_image(tmp_path / "c.nii.gz", max_bytes=10**5)


def test_a_scan_in_colours_fused_with_another(tmp_path: Path) -> None:
    mri, pet = (
        dicom(tmp_path / "mri.dcm", Modality="MR"),
        dicom(tmp_path / "pet.dcm", STORED[::-1].copy(), Modality="PT"),
    )
    fused = imfuse.fuse(mri, pet, "laplacian_pyramid", visible_palette="hot")
    assert fused.shape == (20, 30, 3)
    assert imfuse.fuse(mri, pet, "laplacian_pyramid").ndim == 2
    with pytest.raises(ImageError, match="visible_palette='heat'"):
        imfuse.Fuser("laplacian_pyramid", visible_palette="heat")
    assert painted(np.float32([[0.5]]), "hot").shape == (1, 1, 3)


@pytest.mark.parametrize("gray", [True, False])
def test_results_as_secondary_capture(tmp_path: Path, gray: bool) -> None:
    mri, pet = dicom(tmp_path / "mri.dcm", Modality="MR"), dicom(tmp_path / "pet.dcm", Modality="PT")
    settings: dict[str, Any] = {"visible_palette": "none" if gray else "hot"}
    out = tmp_path / "fused.dcm"
    imfuse.Fuser("laplacian_pyramid", **settings).files(mri, pet, out)
    expected = imfuse.fuse(mri, pet, "laplacian_pyramid", bits=8, **settings)
    data = pydicom.dcmread(out)
    assert data.SOPClassUID.name == "Secondary Capture Image Storage"
    assert np.array_equal(data.pixel_array, expected)
    assert np.array_equal(read_image(out), expected)
    # Nobody is named unless that is asked for.
    assert str(data.PatientName) == ""
    assert data.PatientIdentityRemoved == "YES"
    assert b"Doe" not in out.read_bytes()
    assert data.StudyInstanceUID != "1.2.3.4"
    imfuse.Fuser("laplacian_pyramid", deidentify=False, **settings).files(mri, pet, out, overwrite=True)
    data = pydicom.dcmread(out)
    assert (str(data.PatientName), data.PatientID, data.StudyInstanceUID) == ("Doe^Jane", "12345", "1.2.3.4")
    assert "PatientIdentityRemoved" not in data


def test_a_picture_tells_of_no_patient(tmp_path: Path) -> None:
    mri = dicom(tmp_path / "mri.dcm", Modality="MR")
    for name in ("a.png", "a.tif", "a.jpg"):
        imfuse.Fuser("laplacian_pyramid", deidentify=False).files(mri, dicom(tmp_path / "pet.dcm"), tmp_path / name)
        assert b"Doe" not in (tmp_path / name).read_bytes()


def test_16_bits_as_secondary_capture(tmp_path: Path) -> None:
    gray = np.random.default_rng(0).integers(0, 65536, (7, 9), dtype=np.uint16)
    write_image(tmp_path / "a.dcm", gray)
    assert np.array_equal(read_image(tmp_path / "a.dcm"), gray)
    with pytest.raises(ImageError, match="colours of 8 bits"):
        write_image(tmp_path / "a.dcm", np.dstack([gray] * 3))


def test_a_head_of_tiff_before_the_mark_of_dicom(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a")
    path.write_bytes(b"II*\0" + path.read_bytes()[4:])
    with collected() as notes:
        assert describe(path)["format"] == "DICOM"
        assert not read_carried(path).main
    assert not notes


def truth_of(shared: Path, name: str) -> tuple[dict[str, Any], Path]:
    path = shared / "data" / "sensors" / name
    if not path.is_file():
        pytest.skip(f"no files of sensors at {path.parent}")
    return json.loads((path.parent / "truth.json").read_text())[name], path


def test_a_real_ct(shared: Path) -> None:
    truth, path = truth_of(shared, "ct_small.dcm")
    pixels = read_image(path)
    stored = (pixels + 1024).astype("<i2")
    assert hashlib.sha256(stored.tobytes()).hexdigest() == truth["stored"]["sha256_i16le"]
    for i, j, value in truth["hounsfield"]["pixels_row_col"]:
        assert pixels[i, j] == value
    facts = describe(path)
    assert facts["stored"]["mean"] == pytest.approx(truth["hounsfield"]["mean"], abs=1e-4)
    assert facts["sensor"]["pixel_spacing_mm"] == truth["pixel_spacing_row_col"]
    assert facts["sensor"]["orientation"] == truth["orientation"]
    assert facts["sensor"]["position_mm"] == truth["position"]
    assert "notes" not in facts


def test_a_real_mr_of_ten_frames(shared: Path) -> None:
    truth, path = truth_of(shared, "mr_multiframe.dcm")
    frames = [read_image(path, view=View(frame=i)) for i in range(10)]
    assert hashlib.sha256(np.stack(frames).astype("<u2").tobytes()).hexdigest() == truth["sha256_u16le"]
    assert [frame.mean() for frame in frames] == pytest.approx(truth["frame_means"], abs=1e-4)
    facts = describe(path)["sensor"]
    assert facts["pixel_spacing_mm"] is facts["orientation"] is facts["rescale"] is None
    assert "spacing of its pixels is unknown" in facts["remark"]


def test_a_real_volume(shared: Path) -> None:
    truth, path = truth_of(shared, "functional.nii")
    for (i, j, k, t), value in truth["canonical_RAS_voxels"]:
        pixels = read_image(path, view=View(frame=t, slice=f"axial:{k}"))
        assert pixels[20 - j, 16 - i] == pytest.approx(value, abs=1e-3)
    facts = describe(path)["sensor"]
    assert facts["axes"] == truth["axes"]
    assert facts["affine"] == truth["affine"]
    assert facts["shape"] == truth["shape"]
    assert (facts["slope"], facts["intercept"]) == (truth["slope"], truth["intercept"])


def test_dicom_of_the_package_of_its_reader(tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file

    path = get_testdata_file("MR_small.dcm", download=False)
    if path is None:
        pytest.skip("this pydicom has no test files")
    pixels = read_image(path)
    assert (pixels[0, 0], pixels[32, 32], pixels[63, 63]) == (905, 182, 862)
    for name in ("MR_small_bigendian.dcm", "MR_small_RLE.dcm"):
        assert np.array_equal(read_image(get_testdata_file(name, download=False)), pixels)
    with pytest.raises(ImageError, match="8130"):
        read_image(get_testdata_file("MR_truncated.dcm", download=False))


def test_odd_headers_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(nifti(tmp_path / "a.nii").read_bytes())
    data[0:4] = (77).to_bytes(4, "little")
    (tmp_path / "a.nii").write_bytes(data)
    assert read_image(tmp_path / "a.nii").shape == (5, 4)
    assert capfd.readouterr().err == ""
