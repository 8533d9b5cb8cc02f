"""All that the readers know of a file, as JSON takes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.core.notes import collected
from imfuse.core.text import printable
from imfuse.imaging._geotags import read_geotags
from imfuse.imaging._support import quiet
from imfuse.imaging.carried import facts_of, read_carried
from imfuse.imaging.read import Reading, read_picture, reading
from imfuse.imaging.sensors.celsius import celsius_of
from imfuse.imaging.sensors.sensor import ALL, Embedded, View
from imfuse.imaging.sensors.units import likely_units
from imfuse.imaging.stored import read_metadata


def describe(path: str | os.PathLike[str], view: View = ALL) -> dict[str, Any]:
    """Say what a file holds: its picture, what the sensor says, temperatures, and metadata.

    Args:
        path: any file that `read_image` reads.
        view: which frame or slice, and in which units.

    Returns:
        What is known, of types that JSON has; keys are there where something is known.

    Raises:
        ImageError: the picture cannot be read.

    Example:
        ```python
        print(describe("flir.jpg")["celsius"]["max"])
        ```
    """
    with collected() as notes:
        reading = read_picture(path, view=view)
        facts: dict[str, Any] = {"file": os.fspath(path), "format": reading.kind, **_picture(reading.pixels)}
        facts |= _sensor(reading, os.fspath(path))
        found = facts_of(read_carried(path))
        geotags = read_geotags(path)
    if found:
        facts["metadata"] = found
    if geotags is not None:
        facts["geotags"] = {str(code): _plain(value) for code, _, _, value, _ in geotags.tags}
    if own := read_metadata(path):
        facts["imfuse"] = own
    said = [note.message.removeprefix(f"{os.fspath(path)}: ") for note in notes]
    return facts | ({"notes": said} if said else {})


def _picture(pixels: npt.NDArray[Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"width": pixels.shape[1], "height": pixels.shape[0]}
    facts["channels"] = pixels.shape[2] if pixels.ndim == 3 else 1
    stored: dict[str, Any] = {"type": pixels.dtype.name, **_summary(pixels)}
    missing = int(np.ma.getmaskarray(pixels).reshape(*pixels.shape[:2], -1).any(axis=2).sum())
    return facts | {"stored": stored | ({"without_data": missing} if missing else {})}


def _summary(values: npt.NDArray[Any]) -> dict[str, float]:
    numbers = {"min": values.min(), "max": values.max(), "mean": values.mean(dtype=np.float64)}
    return {name: number.item() if number.dtype.kind in "iu" else _short(number) for name, number in numbers.items()}


def _short(number: Any) -> float:
    return float(f"{float(number):.9g}")


def _sensor(reading: Reading, name: str) -> dict[str, Any]:
    sensor = reading.sensor
    facts: dict[str, Any] = {}
    if sensor is not None:
        facts["sensor"] = {"family": sensor.family, **sensor.facts}
        if sensor.celsius is not None:
            facts["celsius"] = _summary(celsius_of(reading, name))
        if sensor.visible is not None:
            facts["sensor"]["visible"] = _embedded(sensor.visible, name)
    elif likely := likely_units(reading.pixels):
        facts["looks_like"] = likely
    return facts


def _embedded(read: Callable[[], Embedded], name: str) -> dict[str, Any]:
    try:
        with reading(Path(name)), quiet():
            visible = read()
    except ImageError as error:
        # The thermal plane is readable without it.
        return {"problem": error.message.removeprefix(f"{printable(name)}: ")}
    facts: dict[str, Any] = {"width": visible.pixels.shape[1], "height": visible.pixels.shape[0]}
    if visible.field is not None:
        rows, columns = visible.field.visible
        facts["thermal_field"] = {"left": columns.start, "right": columns.stop, "top": rows.start, "bottom": rows.stop}
    return facts


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
