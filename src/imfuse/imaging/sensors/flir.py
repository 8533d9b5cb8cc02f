"""Radiometric JPEG files of FLIR cameras: the counts of the thermal sensor, which stand beside the painted picture.

Segments APP1 that begin with FLIR hold one file of records (FFF) in parts. Its records are the thermal plane, the
constants by which its counts become degrees, a visible picture, and how the two lie over each other.
"""

from __future__ import annotations

import io
import struct
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from imfuse.imaging import _jpeg, _png
from imfuse.imaging._support import DamagedError
from imfuse.imaging.sensors import _fff, flir_visible
from imfuse.imaging.sensors.conditions import AS_RECORDED, Conditions, under
from imfuse.imaging.sensors.planck import ZERO, Planck
from imfuse.imaging.sensors.plane import Thermal, roughness
from imfuse.imaging.sensors.sensor import Sensor

_MAX_SIDE = 8192
# Neighbours of a thermal picture differ little; with their bytes swapped they differ by hundreds of times as much.
_SMOOTHER = 10
_CAMERA_BYTES = 0x314
_MOST_HUMIDITY = 2


def thermal(stream: BinaryIO, conditions: Conditions = AS_RECORDED) -> Thermal | None:
    """The thermal plane (H, W) of a JPEG file; nothing where it has no segments of FLIR."""
    try:
        parts = _fff.parts(stream)
        if not parts:
            return None
        fff = b"".join(parts)
        counts, swapped = _bare_plane(stream, fff) or _plane(fff)
    except DamagedError as error:
        return Thermal.unread(error)
    order = "; their byte order is other than the file says" if swapped else ""
    return Thermal(counts, order, _sensor(fff, counts, conditions))


def _plane(fff: bytes) -> tuple[npt.NDArray[np.uint16], bool]:
    """The plane in a file of records, and whether its byte order is other than it says."""
    record = _fff.record(fff, _fff.RAW_PLANE)
    order = _fff.order_of(record)
    pixel_bytes, width, height = struct.unpack_from(order + "HHH", record)
    if pixel_bytes != 2 or not 0 < width <= _MAX_SIDE or not 0 < height <= _MAX_SIDE:
        raise DamagedError(f"a plane of {width}x{height} pixels of {pixel_bytes} bytes")
    stored = record[_fff.RECORD_HEAD :]
    if stored.startswith(_png.SIGNATURE):
        counts = _from_png(stored, width, height)
        # PNG has the high byte first; cameras whose record has the low one first write the samples so as well.
        likely = counts.byteswap() if order == "<" else counts
    else:
        if len(stored) < 2 * width * height:
            raise DamagedError(f"{len(stored)} bytes for a plane of {width}x{height} pixels")
        likely = np.frombuffer(stored, order + "u2", width * height).reshape(height, width).astype(np.uint16)
    other = likely.byteswap()
    swapped = roughness(likely) > _SMOOTHER * roughness(other)
    return (other if swapped else likely), swapped


def _bare_plane(stream: BinaryIO, fff: bytes) -> tuple[npt.NDArray[np.uint16], bool] | None:
    """A plane without records: nothing but samples, one for each pixel of the painted picture."""
    painted = _jpeg.header(stream)
    if len(fff) != len(_fff.MAGIC) + 2 * painted.width * painted.height:
        return None
    counts = np.frombuffer(fff, "<u2", offset=len(_fff.MAGIC)).reshape(painted.height, painted.width).astype(np.uint16)
    return (counts if roughness(counts) <= roughness(counts.byteswap()) else counts.byteswap()), False


def _from_png(data: bytes, width: int, height: int) -> npt.NDArray[np.uint16]:
    file = io.BytesIO(data)
    head = _png.image_header(file, _png.chunk_table(file))
    if (head.width, head.height, head.depth, head.colour) != (width, height, 16, 0):
        raise DamagedError(f"a plane of {width}x{height} pixels, but a picture of {head.width}x{head.height} in it")
    return np.asarray(_png.decode(data)[0], np.uint16)


def _sensor(fff: bytes, counts: npt.NDArray[np.uint16], conditions: Conditions) -> Sensor:
    """What the other records say."""
    facts: dict[str, Any] = {"maker": "FLIR"}
    planck = None
    camera = _fff.optional_record(fff, _fff.CAMERA)
    if len(camera) >= _CAMERA_BYTES:
        planck = under(conditions, _constants(camera))
        model = camera[0xD4:0xF4].split(b"\0")[0].decode("latin-1").strip()
        facts |= {"not_as_recorded": list(conditions.given)} if conditions.given else {}
        problem = planck.problem()
        facts |= {"camera": model, "parameters": _shown(planck)}
        if problem:
            facts["temperature_problem"] = problem
            planck = None
    field = flir_visible.recorded(fff)
    stored = flir_visible.stored_picture(fff)
    if field is not None:
        facts["alignment"] = field.facts
    facts["visible"] = bool(stored)
    position = _position(_fff.optional_record(fff, _fff.POSITION))
    if position is not None:
        facts["position"] = position
    return Sensor(
        "FLIR",
        celsius=None if planck is None else planck.celsius,
        thermal=True,
        visible=partial(flir_visible.read, stored, field, counts.shape) if stored else None,
        facts=facts,
    )


def _constants(camera: bytes) -> Planck:
    order = _fff.order_of(camera)

    def number(offset: int) -> float:
        return float(struct.unpack_from(order + "f", camera, offset)[0])

    humidity, through = number(0x3C), number(0x34)
    return Planck(
        r1=number(0x58),
        r2=number(0x30C),
        b=number(0x5C),
        f=number(0x60),
        o=struct.unpack_from(order + "i", camera, 0x308)[0],
        emissivity=number(0x20),
        distance=number(0x24),
        humidity=humidity / 100 if humidity > _MOST_HUMIDITY else humidity,
        reflected=number(0x28),
        air=number(0x2C),
        window=number(0x30),
        window_transmission=through if 0 < through <= 1 else 1.0,
        alpha=(number(0x70), number(0x74)),
        beta=(number(0x78), number(0x7C)),
        x=number(0x80),
    )


def _shown(planck: Planck) -> dict[str, float | None]:
    """The constants by which temperatures are computed, in degrees Celsius where they are temperatures."""
    shown = {
        "R1": planck.r1, "R2": planck.r2, "B": planck.b, "F": planck.f, "O": planck.o, "emissivity": planck.emissivity,
        "distance_m": planck.distance, "humidity": planck.humidity, "reflected_C": planck.reflected - ZERO,
        "air_C": planck.air - ZERO, "window_C": planck.window - ZERO,
        "window_transmission": planck.window_transmission, "alpha1": planck.alpha[0], "alpha2": planck.alpha[1],
        "beta1": planck.beta[0], "beta2": planck.beta[1], "X": planck.x,
    }  # fmt: skip
    # JSON has no numbers that are none.
    return {name: float(f"{value:.9g}") if np.isfinite(value) else None for name, value in shown.items()}


def _position(record: bytes) -> dict[str, float] | None:
    """Where the camera was, by a receiver of its own."""
    if len(record) < 0x24 or not struct.unpack_from("<I", record)[0]:
        return None
    latitude, longitude, altitude = struct.unpack_from("<ddf", record, 0x10)
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and np.isfinite(altitude)):
        return None
    return {"latitude": latitude, "longitude": longitude, "altitude_m": altitude}
