"""Results as DICOM secondary capture, with or without the identifiers of the source."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from imfuse.imaging.sensors.dicom import MAGIC, OFFSET, pydicom

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
# Patient and study: what ties a picture to a person, and what a viewer files it by.
IDENTIFIERS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


def is_dicom(stream: BinaryIO) -> bool:
    """Whether a file is one; the stream is at its start again. Before the mark may stand the head of a TIFF file."""
    start = stream.read(OFFSET + len(MAGIC))
    stream.seek(0)
    return start[OFFSET:] == MAGIC


def read_identifiers(stream: BinaryIO) -> dict[str, str]:
    """Patient and study of a file, as text."""
    dataset = pydicom().dcmread(stream, stop_before_pixels=True)
    return {name: str(dataset.get(name)) for name in IDENTIFIERS if dataset.get(name) not in (None, "")}


def encode(pixels: npt.NDArray[Any], metadata: Mapping[str, str], identifiers: Mapping[str, str]) -> bytes:
    """A file of secondary capture.

    Args:
        pixels: (H, W) gray or (H, W, 3) RGB; uint8, or uint16 where gray.
        metadata: said in the description of the derivation.
        identifiers: patient and study; none for a file that tells of nobody.
    """
    library = pydicom()
    dataset = library.Dataset()
    dataset.file_meta = library.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = _EXPLICIT_LITTLE
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = _SECONDARY_CAPTURE
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = library.uid.generate_uid()
    for name in IDENTIFIERS:
        setattr(dataset, name, identifiers.get(name, ""))
    if not identifiers:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = "no identifiers were copied"
    dataset.StudyInstanceUID = identifiers.get("StudyInstanceUID") or library.uid.generate_uid()
    dataset.SeriesInstanceUID = library.uid.generate_uid()
    dataset.Modality, dataset.ConversionType, dataset.ImageType = "OT", "WSD", ["DERIVED", "SECONDARY"]
    dataset.SeriesNumber, dataset.InstanceNumber = "1", "1"
    dataset.SeriesDescription = "fused"
    dataset.DerivationDescription = "; ".join(f"{key}: {value}" for key, value in metadata.items())[:1024]
    dataset.SoftwareVersions = metadata.get("Software", "imfuse")[:64]
    now = datetime.now()
    dataset.ContentDate, dataset.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    _set_pixels(dataset, pixels)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _set_pixels(dataset: Any, pixels: npt.NDArray[Any]) -> None:
    gray, bits = pixels.ndim == 2, 8 * pixels.dtype.itemsize
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if gray else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if gray else "RGB"
    if not gray:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    data = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).tobytes()
    # The value of an element has an even number of bytes.
    dataset.add_new(0x7FE00010, "OB" if bits == 8 else "OW", data + b"\0" * (len(data) % 2))
