"""Temperatures of a thermal file: read as degrees Celsius, and written as a TIFF file that declares them."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import numpy.typing as npt
import tifffile

from imfuse.core.errors import ImageError
from imfuse.core.text import printable
from imfuse.imaging._support import as_path, image_error, quiet
from imfuse.imaging.read import Reading, read_picture
from imfuse.imaging.sensors.conditions import AS_RECORDED, Conditions
from imfuse.imaging.sensors.display import in_degrees
from imfuse.imaging.sensors.sensor import View
from imfuse.imaging.sensors.units import OWN_UNIT, likely_units
from imfuse.imaging.write import write_file


def read_celsius(
    path: str | os.PathLike[str], *, units: str = "auto", conditions: Conditions = AS_RECORDED
) -> npt.NDArray[np.float32]:
    """Read the temperatures of a thermal file.

    Args:
        path: a radiometric JPEG of a FLIR camera, or a thermal picture whose file declares its scale, or any with
            ``units``.
        units: what its stored values are, where the file does not say so: a name of ``imfuse.imaging.UNITS``, or
            ``SCALE,OFFSET`` to degrees Celsius.
        conditions: of a radiometric file, where they are others than recorded.

    Returns:
        (H, W) degrees Celsius, masked where there is no measurement.

    Raises:
        ImageError: the file cannot be read, or nothing says which temperatures its values are.

    Example:
        ```python
        degrees = read_celsius("flir.jpg")
        print(degrees.max())
        ```
    """
    return celsius_of(read_picture(path, view=View(units=units, conditions=conditions)), os.fspath(path))


def celsius_of(reading: Reading, name: str) -> npt.NDArray[np.float32]:
    """The temperatures of a picture that was read. Raises ``ImageError`` where they are not known."""
    if reading.sensor is None or reading.sensor.celsius is None:
        likely = likely_units(reading.pixels)
        problem = reading.sensor.facts.get("temperature_problem") if reading.sensor is not None else None
        raise ImageError(
            f"{printable(name)}: nothing in the file says which temperatures its values are"
            + (f" ({problem})" if problem else f"; they look like {likely}" if likely else ""),
            f"say so by units={likely!r}" if likely else "say what they are by units=...",
        )
    degrees = in_degrees(reading.pixels, reading.sensor)
    missing = np.ma.getmaskarray(degrees) | np.isnan(np.ma.getdata(degrees))
    return np.ma.MaskedArray(degrees, missing) if missing.any() else np.ma.getdata(degrees)


def write_celsius(path: str | os.PathLike[str], degrees: npt.NDArray[np.float32]) -> None:
    """Write temperatures as a TIFF file of float32 that says what they are, NaN where there is no measurement.

    Args:
        path: the file; it ends in .tif or .tiff.
        degrees: (H, W), masked or not.

    Raises:
        ImageError: another extension, or the disk refuses.

    Example:
        ```python
        write_celsius("degrees.tif", read_celsius("flir.jpg"))
        ```
    """
    target = as_path(path)
    if target.suffix.lower() not in (".tif", ".tiff"):
        raise image_error(target, "temperatures are written as TIFF; a name that ends in .tif is expected")
    buffer = io.BytesIO()
    with quiet():
        tifffile.imwrite(
            buffer,
            np.ma.filled(degrees.astype(np.float32), np.nan),
            photometric="minisblack",
            description=json.dumps({OWN_UNIT: "celsius"}),
            metadata=None,
            software=False,
        )
    write_file(target, buffer.getvalue())
