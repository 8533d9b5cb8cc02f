"""NIfTI files: one slice of a volume, in its true values, shown as scans are looked at.

Axes of the array have no fixed direction; a slice is taken along the axis that is closest to the one named. Slices are
counted from the patient's left, from behind and from below; the patient's right is on the left of the picture.
"""

from __future__ import annotations

import zlib
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from imfuse.core.text import printable
from imfuse.imaging._support import DamagedError, Decoded, Header, LayoutError
from imfuse.imaging.sensors.sensor import Sensor, View
from imfuse.imaging.sensors.windows import parse_window, percentile_window, window_limits

Axis = Literal["sagittal", "coronal", "axial"]
AXES: tuple[Axis, ...] = ("sagittal", "coronal", "axial")
"""What slices are across: left to right, back to front, and below to above."""
_GZIP = b"\x1f\x8b\x08"
_MAGIC_1, _MAGIC_2, _APART = b"n+1\0", b"n+2\0\r\n\x1a\n", b"ni1\0"
_HEAD, _START = 540, 1 << 16
_MAX_SIDE = 32_767


def nibabel() -> Any:
    """The package that reads NIfTI; ``LayoutError`` names the extra where it is missing."""
    try:
        import nibabel
    except ImportError as error:
        raise LayoutError("a NIfTI file; reading it needs the extra: pip install imfuse[medical]") from error
    return nibabel


def is_nifti(stream: BinaryIO) -> bool:
    """Whether a file, packed or not, begins as NIfTI does; the stream is at its start again."""
    start = stream.read(_HEAD)
    stream.seek(0)
    if start.startswith(_GZIP):
        try:
            start = zlib.decompressobj(31).decompress(start, _HEAD)
        except zlib.error:
            return False
    return start[344:348] in (_MAGIC_1, _APART) or start[4:12] == _MAGIC_2


def header(stream: BinaryIO, view: View) -> Header:
    """Read the size of one slice."""
    image = _image(_unpacked(stream.read(_START), _HEAD)[:_HEAD], whole=False)
    rows, columns = _picture_axes(image, _axis(view)[0])
    return Header("NIfTI", image.shape[columns], image.shape[rows], 32)


def decode(data: bytes, view: View, max_bytes: int) -> Decoded:
    """Read one slice of one time."""
    image = _image(_unpacked(data, max_bytes), whole=True)
    axis, wanted = _axis(view)
    along, (rows, columns) = _array_axis(image, AXES.index(axis)), _picture_axes(image, axis)
    times = image.shape[3] if len(image.shape) > 3 else 1
    number, frame = _checked(axis, wanted, image.shape[along]), _checked("frame", view.frame, times)
    place: list[Any] = [slice(None)] * 3 + ([frame] if len(image.shape) > 3 else [])
    place[along] = image.shape[along] - 1 - number if _is_flipped(image, along) else number
    try:
        taken = np.asarray(image.dataobj[tuple(place)])
    except Exception as error:  # the reader raises anything on damaged files
        raise DamagedError(str(error)[:120]) from error
    values = _plain(taken)
    # Rows of the array are the smaller of the two axes that are left.
    upright = values if rows < columns else values.swapaxes(0, 1)
    for picture_axis, array_axis in ((0, rows), (1, columns)):
        # Above, front and the patient's right are where the canonical axes end.
        if not _is_flipped(image, array_axis):
            upright = np.flip(upright, picture_axis)
    facts = _facts(image, axis, number, frame, times, (rows, columns))
    window = parse_window(view.window)
    limits = window_limits(*window) if window else None
    if upright.ndim == 2 and limits is None:
        limits = percentile_window(upright, 1, 99)
    return Decoded(np.ascontiguousarray(upright), sensor=Sensor("NIfTI", window=limits, facts=facts))


def _unpacked(data: bytes, most: int) -> bytes:
    """A file without its packing, at most so many bytes of it."""
    if not data.startswith(_GZIP):
        return data
    unpacker = zlib.decompressobj(31)
    unpacked = unpacker.decompress(data, most)
    if most > _HEAD and unpacker.unconsumed_tail:
        raise LayoutError(
            f"it unpacks to more than {most} bytes, which are the most that are read", "use a larger max_bytes=..."
        )
    if most > _HEAD and not unpacker.eof:
        raise DamagedError("it ends too early (truncated)")
    return unpacked


def _image(data: bytes, *, whole: bool) -> Any:
    """The file, or what its header says of it."""
    library = nibabel()
    if data[344:348] == _APART:
        raise LayoutError("a NIfTI header whose pixels are in another file; save both as one .nii file")
    kind = library.Nifti2Image if data[4:12] == _MAGIC_2 else library.Nifti1Image
    try:
        image = kind.from_bytes(data.ljust(_HEAD, b"\0"))
        shape, dtype = image.shape, image.get_data_dtype()
    except Exception as error:  # the parser raises anything on damaged files
        raise DamagedError(str(error)[:120]) from error
    if len(shape) < 3 or any(side != 1 for side in shape[4:]):
        raise LayoutError(f"an array of shape {shape}; a volume, or volumes of several times, are expected")
    if min(shape) < 1 or max(shape[:3]) > _MAX_SIDE:
        raise DamagedError(f"an impossible shape, {shape}")
    if dtype.kind == "c":
        raise LayoutError(f"{dtype} values; save their magnitude")
    if whole and image.dataobj.offset + np.prod(shape, dtype=object) * dtype.itemsize > len(data):
        raise DamagedError(f"{len(data)} bytes cannot hold {' x '.join(map(str, shape))} values (truncated)")
    return image


def _axis(view: View) -> tuple[Axis, int | None]:
    """The axis across a slice and its number, of `axial`, `axial:40` or `40`."""
    text = view.slice or "axial"
    name, _, number = text.partition(":") if not text.isdigit() else ("axial", "", text)
    if name not in AXES or not (not number or (number.isascii() and number.isdigit())):
        raise LayoutError(
            f"slice={printable(text)!r}: {', '.join(AXES)}, alone or with a number as in axial:40, is expected"
        )
    return name, int(number) if number else None


def _checked(what: str, wanted: int | None, count: int) -> int:
    if wanted is not None and not 0 <= wanted < count:
        name = "frame" if what == "frame" else "slice"
        raise LayoutError(f"{what} {wanted} is asked for, they are 0 to {count - 1}", f"choose another {name}=...")
    return count // 2 if wanted is None else wanted


def _orientation(image: Any) -> npt.NDArray[Any]:
    """For each axis of the array the canonical one that it is closest to, and its sign."""
    try:
        found = nibabel().io_orientation(image.affine)
    except Exception:
        found = np.full((3, 2), np.nan)
    if found.shape != (3, 2) or not np.isfinite(found).all():
        return np.array([[0, 1], [1, 1], [2, 1]])
    return np.asarray(found)


def _array_axis(image: Any, canonical: int) -> int:
    return int(np.flatnonzero(_orientation(image)[:, 0] == canonical)[0])


def _is_flipped(image: Any, array_axis: int) -> bool:
    return bool(_orientation(image)[array_axis, 1] < 0)


def _picture_axes(image: Any, axis: Axis) -> tuple[int, int]:
    """The axes of the array that are rows and columns of a picture."""
    rows, columns = {"axial": (1, 0), "coronal": (2, 0), "sagittal": (2, 1)}[axis]
    return _array_axis(image, rows), _array_axis(image, columns)


def _plain(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Numbers as float32, colours as RGB of 8 bits."""
    if values.dtype.names:
        return np.stack([values[name] for name in values.dtype.names[:3]], axis=-1)
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _facts(image: Any, axis: Axis, number: int, frame: int, times: int, picture: tuple[int, int]) -> dict[str, Any]:
    zooms = [float(f"{float(zoom):.9g}") if np.isfinite(zoom) else None for zoom in image.header.get_zooms()]
    slope, intercept = (None if value is None or not np.isfinite(value) else float(value)
                        for value in (image.dataobj.slope, image.dataobj.inter))  # fmt: skip
    codes = nibabel().aff2axcodes(image.affine) if np.isfinite(image.affine).all() else None
    return {
        "shape": list(image.shape),
        "type": str(image.get_data_dtype()),
        "slope": slope,
        "intercept": intercept,
        "axes": "".join(code or "?" for code in codes) if codes else None,
        "affine": [[float(value) if np.isfinite(value) else None for value in row] for row in image.affine],
        "zooms": zooms,
        "units": list(image.header.get_xyzt_units()),
        "slice": f"{axis}:{number}",
        "frames": times,
        "frame": frame,
        "pixel_spacing_mm": [zooms[place] for place in picture],
        "left_of_the_picture": "front" if axis == "sagittal" else "the patient's right",
    }
