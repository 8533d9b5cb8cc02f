"""Frames of PyAV as arrays; nothing of PyAV is imported here."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

_HIGH_DEFINITION = 720
_UNSPECIFIED = 2
_BT601, _BT709 = 5, 1
_NEUTRAL = 2


def is_video_frame(picture: object) -> TypeGuard[Any]:
    """Whether something is a frame of PyAV, or looks like one.

    >>> is_video_frame(np.zeros((2, 2)))
    False
    """
    return hasattr(picture, "to_ndarray") and hasattr(picture, "pts") and hasattr(picture, "format")


def frame_pixels(frame: Any) -> npt.NDArray[Any]:
    """Pixels of a frame: (H, W) uint8 or uint16 where it is gray, of a format with colours as well; else (H, W, 3).

    A frame of colours that says nothing of its matrix is taken for BT.709 from 720 lines on, and for BT.601 below.

    Args:
        frame: an ``av.VideoFrame``.

    Returns:
        The pixels, upright.
    """
    name = frame.format.name
    if name.startswith("gray"):
        pixels = frame.to_ndarray(format="gray" if name == "gray" else "gray16le")
    elif _is_neutral(frame):
        pixels = frame.to_ndarray(format="gray")
    else:
        large = frame.height >= _HIGH_DEFINITION
        unspecified = int(frame.colorspace) == _UNSPECIFIED
        matrix = (_BT709 if large else _BT601) if unspecified else int(frame.colorspace)
        pixels = frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()
    return upright(pixels, int(getattr(frame, "rotation", 0) or 0))


def upright(pixels: npt.NDArray[Any], degrees: int) -> npt.NDArray[Any]:
    """Turn a picture counter-clockwise, by quarters.

    >>> upright(np.array([[1, 2]]), 90).tolist()
    [[2], [1]]
    """
    quarters = round(degrees / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels


def _is_neutral(frame: Any) -> bool:
    """Whether the two planes of colour differences are at their middle but for rounding."""
    if (
        not frame.format.name.startswith(("yuv4", "yuvj4"))
        or len(frame.planes) != 3
        or frame.format.components[0].bits != 8
    ):
        return False
    return all(_near_middle(plane) for plane in frame.planes[1:])


def _near_middle(plane: Any) -> bool:
    values = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : plane.width]
    return bool(values.min() >= 128 - _NEUTRAL and values.max() <= 128 + _NEUTRAL)
