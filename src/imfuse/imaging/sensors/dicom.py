"""DICOM files: one frame, rescaled to what it measures, with the window by which it is shown.

The order is that of the standard: decoded, rescaled, padding marked as no data; the window and the inversion of
MONOCHROME1 follow where the picture becomes black and white (`imfuse.imaging.sensors.display`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from imfuse.imaging._support import DamagedError, Decoded, Header, LayoutError
from imfuse.imaging.sensors.sensor import Sensor, View
from imfuse.imaging.sensors.windows import WINDOWS, parse_window, percentile_window, window_limits

OFFSET, MAGIC = 128, b"DICM"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_START = 4096
_MAX_SIDE, _MAX_FRAMES = 65_535, 100_000
_PACKAGES = "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"
# Where values stand in objects of several frames, in which the top level may hold none of them.
_GROUPS = {
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "WindowCenter": "FrameVOILUTSequence",
    "WindowWidth": "FrameVOILUTSequence",
    "VOILUTFunction": "FrameVOILUTSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "ImagePositionPatient": "PlanePositionSequence",
}
_SPACINGS = ("PixelSpacing", "NominalScannedPixelSpacing", "ImagerPixelSpacing")


def pydicom() -> Any:
    """The package that reads DICOM; ``LayoutError`` names the extra where it is missing."""
    try:
        import pydicom
        import pydicom.pixels
    except ImportError as error:
        raise LayoutError("a DICOM file; reading it needs the extra: pip install imfuse[medical]") from error
    return pydicom


def header(stream: BinaryIO) -> Header:
    """Read the size of one frame."""
    data = _dataset(stream, pixels=False)
    rows, columns, samples, bits = (
        _whole(data, name, default)
        for name, default in (("Rows", 0), ("Columns", 0), ("SamplesPerPixel", 1), ("BitsAllocated", 16))
    )
    if not rows or not columns:
        raise LayoutError("a DICOM file without a picture; one with rows and columns is expected")
    if not (rows <= _MAX_SIDE and columns <= _MAX_SIDE and samples in (1, 3, 4) and bits in (1, 8, 16, 32, 64)):
        raise DamagedError("its header holds impossible values")
    # Rescaled values are float32.
    return Header("DICOM", columns, rows, samples * max(bits, 32))


def decode(data: bytes, view: View) -> Decoded:
    """Decode one frame, the middle one where none is named."""
    dataset = _dataset(io.BytesIO(data), pixels=True)
    frame, frames = _frame(dataset, view.frame)
    stored = _stored(dataset, frame, frames)
    invalid = _padding(dataset, stored)
    values = _rescaled(dataset, frame, stored)
    facts = _facts(dataset, frame, frames)
    window = None
    if values.ndim == 2:
        window = _window(dataset, frame, values if invalid is None else np.ma.MaskedArray(values, invalid), view, facts)
    sensor = Sensor("DICOM", window=window, inverted=_is_inverted(dataset), facts=facts)
    return Decoded(values, invalid=invalid, sensor=sensor)


def _dataset(stream: BinaryIO, *, pixels: bool) -> Any:
    library = pydicom()
    if _DEFLATED in stream.read(_START):
        raise LayoutError("a deflated DICOM file; save it without compression of the whole file")
    stream.seek(0)
    try:
        dataset = library.dcmread(stream, stop_before_pixels=not pixels)
    except Exception as error:  # the parser raises anything on damaged files
        raise DamagedError(str(error)[:120]) from error
    if "DirectoryRecordSequence" in dataset:
        raise LayoutError("a DICOMDIR, which holds no picture; give one of the files that it lists")
    return dataset


def _whole(dataset: Any, name: str, default: int) -> int:
    try:
        return int(dataset.get(name, default) or default)
    except (TypeError, ValueError) as error:
        raise DamagedError(f"its {name} is no number") from error


def _frame(dataset: Any, wanted: int | None) -> tuple[int, int]:
    frames = _whole(dataset, "NumberOfFrames", 1)
    if not 0 < frames <= _MAX_FRAMES:
        raise DamagedError(f"{frames} frames")
    if wanted is not None and not 0 <= wanted < frames:
        raise LayoutError(f"frame {wanted} is asked for, the frames are 0 to {frames - 1}", "choose another frame=...")
    return (frames // 2 if wanted is None else wanted), frames


def _stored(dataset: Any, frame: int, frames: int) -> npt.NDArray[Any]:
    """The frame as it is stored; colours as RGB."""
    library = pydicom()
    try:
        stored = library.pixels.pixel_array(dataset, index=frame if frames > 1 else None)
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            stored = library.pixels.apply_color_lut(stored, dataset)
            stored = (stored >> 8).astype(np.uint8) if stored.dtype == np.uint16 else stored
    except (RuntimeError, NotImplementedError) as error:
        raise LayoutError(
            f"its pixels are compressed as {dataset.file_meta.TransferSyntaxUID.name}, which needs other packages: "
            f"{_PACKAGES}"
        ) from error
    except Exception as error:  # decoders raise anything on damaged files
        raise DamagedError(str(error)[:120]) from error
    if stored.ndim not in (2, 3) or (stored.ndim == 3 and stored.shape[2] != 3) or stored.dtype.kind == "f":
        raise LayoutError(f"pixels of shape {stored.shape} and type {stored.dtype}; gray or RGB is expected")
    if stored.ndim == 3 and stored.dtype != np.uint8:
        raise LayoutError(f"RGB of type {stored.dtype}; 8 bits are expected")
    return np.asarray(stored)


def _padding(dataset: Any, stored: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Where a scanner filled its frame up."""
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int) or stored.ndim != 2:
        return None
    limit = dataset.get("PixelPaddingRangeLimit", value)
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    padded = (stored >= low) & (stored <= high)
    return padded if padded.any() else None


def _rescaled(dataset: Any, frame: int, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values that mean something, such as Hounsfield units; the stored ones where nothing is said of others."""
    if stored.ndim == 3:
        return stored
    if "ModalityLUTSequence" in dataset:
        try:
            return np.asarray(pydicom().pixels.apply_modality_lut(stored, dataset), np.float32)
        except Exception as error:
            raise DamagedError("its table of values makes no sense") from error
    slope, intercept = (_number(_value(dataset, frame, name)) for name in ("RescaleSlope", "RescaleIntercept"))
    if slope is None and "DoseGridScaling" in dataset:
        slope = _number(dataset.DoseGridScaling)
    if slope is None and intercept is None:
        return stored if stored.dtype.itemsize <= 2 and stored.dtype != np.int8 else stored.astype(np.float32)
    values: npt.NDArray[np.float64] = np.multiply(stored, 1.0 if slope is None else slope, dtype=np.float64)
    return (values + (intercept or 0.0)).astype(np.float32)


def _window(
    dataset: Any, frame: int, values: npt.NDArray[Any], view: View, facts: dict[str, Any]
) -> tuple[float, float] | None:
    given = parse_window(view.window)
    if given is not None:
        facts["window"] = list(given)
        return window_limits(*given)
    centre, width = (_number(_first(_value(dataset, frame, name))) for name in ("WindowCenter", "WindowWidth"))
    if centre is not None and width is not None and width > 0:
        facts["window"] = [centre, width]
        return window_limits(centre, width, str(_value(dataset, frame, "VOILUTFunction") or "LINEAR") != "LINEAR")
    modality = facts["modality"]
    if modality == "CT":
        facts["window"] = list(WINDOWS["soft"])
        return window_limits(*WINDOWS["soft"])
    facts["window"] = None
    if values.dtype == np.uint8 and modality not in ("PT", "NM", "MR"):
        return 0.0, 255.0
    return percentile_window(values, 0 if modality in ("PT", "NM") else 1, 99.5 if modality in ("PT", "NM") else 99)


def _is_inverted(dataset: Any) -> bool:
    shape = dataset.get("PresentationLUTShape", "")
    return bool(dataset.get("PhotometricInterpretation") == "MONOCHROME1" or shape == "INVERSE")


def _facts(dataset: Any, frame: int, frames: int) -> dict[str, Any]:
    """What is known of the picture, and nothing of the patient."""
    spacing = next((found for name in _SPACINGS if (found := _numbers(_value(dataset, frame, name), 2))), None)
    facts: dict[str, Any] = {
        "modality": str(dataset.get("Modality", "")),
        "photometric": str(dataset.get("PhotometricInterpretation", "")),
        "frames": frames,
        "frame": frame,
        "bits_stored": _whole(dataset, "BitsStored", 0),
        "rescale": [_number(_value(dataset, frame, name)) for name in ("RescaleSlope", "RescaleIntercept")],
        "units": str(dataset.get("Units", "")) or ("HU" if dataset.get("Modality") == "CT" else None),
        "pixel_spacing_mm": spacing,
        "slice_thickness_mm": _number(_value(dataset, frame, "SliceThickness")),
        "orientation": _numbers(_value(dataset, frame, "ImageOrientationPatient"), 6),
        "position_mm": _numbers(_value(dataset, frame, "ImagePositionPatient"), 3),
        "burned_in_annotation": dataset.get("BurnedInAnnotation") == "YES",
    }
    if facts["rescale"] == [None, None]:
        facts["rescale"] = None
    if spacing is None:
        facts["remark"] = "the spacing of its pixels is unknown; they are taken for squares"
    return facts


def _value(dataset: Any, frame: int, name: str) -> Any:
    """A value of the frame, of all frames, or of the file as a whole."""
    for group in _functional_groups(dataset, frame):
        for one in group.get(_GROUPS.get(name, name), None) or ():
            if name in one:
                return one.get(name)
    return dataset.get(name)


def _functional_groups(dataset: Any, frame: int) -> Iterator[Any]:
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if frame < len(frames):
        yield frames[frame]
    yield from dataset.get("SharedFunctionalGroupsSequence") or ()


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) or (hasattr(value, "__getitem__") and len(value)) else value


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _numbers(value: Any, count: int) -> list[float] | None:
    try:
        numbers = [float(one) for one in value]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None
