"""What a rig makes of frames, to look at: overlays, how far each frame is off, and where depth shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.core.errors import RegistrationError
from imfuse.core.output import write_output
from imfuse.imaging import write_image
from imfuse.registration._pooling import Agreement, peak
from imfuse.registration._structure import Picture, shrunk, structure
from imfuse.registration.rig import Box, Rig
from imfuse.registration.transform import identity

_SIDE = 512
_ZONES = ("left", "middle", "right"), ("top", "middle", "bottom")
_CLEAR = 0.3
"""Agreement in standard deviations from which on a best place says something."""
_TILE, _EDGE_COLOUR, _BOX_COLOUR = 48, (255, 40, 40), (60, 220, 60)


@dataclass(frozen=True)
class Checked:
    """How well a rig fits frames.

    Args:
        off: for each frame how far it agrees best from where the rig puts it, in pixels of the visible picture;
            nothing where its edges say nothing.
        agreement: how well the edges of each frame agree, in standard deviations of chance.
        zones: for each of nine parts of the picture how far all frames together are off there, x and y; nothing where
            their edges say nothing. Where parts differ, depth does: a transform is right at one.
        common: share of the visible picture that the infrared covers.

    Example:
        >>> Checked((0.5,), (2.0,), {"top left": (0.0, 0.5), "bottom right": (2.0, 0.5)}, 0.9).parallax
        2.0
    """

    off: tuple[float | None, ...]
    agreement: tuple[float, ...]
    zones: dict[str, tuple[float, float] | None]
    common: float

    @property
    def parallax(self) -> float:
        """How far two parts of the picture are off in different ways, in pixels; 0 where fewer than two can be told."""
        known = [np.array(zone) for zone in self.zones.values() if zone is not None]
        return max((float(np.linalg.norm(one - other)) for one in known for other in known), default=0.0)


def check_rig(rig: Rig, infrared: Sequence[Picture], visible: Sequence[Picture]) -> Checked:
    """Measure how well a rig fits frames.

    Args:
        rig: the two cameras.
        infrared: luminances in [0, 1].
        visible: those of the other camera.

    Returns:
        What is left.

    Raises:
        RegistrationError: a frame has another aspect ratio than the rig.

    Example:
        ```python
        print(check_rig(rig, infrared, visible).parallax)
        ```
    """
    small = [shrunk(one, _SIDE / max(one.shape)) for one in visible]
    size = small[0].shape[0], small[0].shape[1]
    aligned = [rig.warped(one, size) for one in infrared]
    edges = [structure(one, ~outside) for one, outside in aligned]
    agreement = Agreement(edges, [structure(one) for one in small], identity())
    scale = rig.visible.width / size[1]
    frames = [peak(surface.mean(axis=0)) for surface in agreement.surfaces]
    parts = agreement.of(range(len(visible))).zones(identity(), 3)
    zones = {
        f"{_ZONES[1][row]} {_ZONES[0][column]}": (best.x * scale, best.y * scale) if best.agreement >= _CLEAR else None
        for (row, column), best in parts.items()
    }
    return Checked(
        tuple(float(np.hypot(one.x, one.y)) * scale if one.agreement >= _CLEAR else None for one in frames),
        tuple(one.agreement for one in frames),
        zones,
        float(1 - np.mean(aligned[0][1])),
    )


def overlay(rig: Rig, infrared: Picture, visible: Picture) -> npt.NDArray[np.uint8]:
    """A picture to look at: squares of both in turns, and beside it the edges of the infrared over the visible.

    Args:
        rig: the two cameras.
        infrared: luminance in [0, 1].
        visible: that of the other camera.

    Returns:
        (H, 2 W, 3); the rectangle that the infrared covers is drawn in green.

    Example:
        >>> from imfuse.registration.transform import identity
        >>> rig = Rig.of(identity(), (48, 64), (48, 64))
        >>> overlay(rig, np.zeros((48, 64), np.float32), np.zeros((48, 64), np.float32)).shape
        (48, 128, 3)
    """
    aligned, outside = rig.warped(infrared, (visible.shape[0], visible.shape[1]))
    rows, columns = np.indices(visible.shape)
    squares = ((rows // _TILE + columns // _TILE) % 2 == 0) & ~outside
    mixed = np.where(squares, _stretched(aligned, ~outside), visible)
    edges = cv2.Canny(_levels(_stretched(aligned, ~outside)), 60, 120) > 0
    edges &= ~(cv2.dilate(outside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)
    halves = [np.repeat(_levels(one)[..., None], 3, axis=2) for one in (mixed, visible)]
    halves[1][edges] = _EDGE_COLOUR
    box = rig.valid_box((visible.shape[0], visible.shape[1]))
    for half in halves:
        _drawn(half, box)
    return np.concatenate(halves, axis=1)


def write_check(
    folder: Path, rig: Rig, names: Sequence[str], infrared: Sequence[Picture], visible: Sequence[Picture]
) -> Checked:
    """Write overlays, ``frames.csv`` and ``zones.csv`` into a folder.

    Args:
        folder: made where it is missing.
        rig: the two cameras.
        names: of the frames.
        infrared: luminances in [0, 1].
        visible: those of the other camera.

    Returns:
        What :func:`check_rig` does.

    Raises:
        RegistrationError: the folder cannot be written.

    Example:
        ```python
        write_check(Path("check"), rig, names, infrared, visible)
        ```
    """
    found = check_rig(rig, infrared, visible)
    rows = [
        (name, "" if off is None else f"{off:.2f}", f"{agreement:.2f}")
        for name, off, agreement in zip(names, found.off, found.agreement, strict=True)
    ]
    _write_table(folder / "frames.csv", ("frame", "off_px", "agreement"), rows)
    zones = [
        (name, *("" if at is None else f"{value:.2f}" for value in at or (0, 0))) for name, at in found.zones.items()
    ]
    _write_table(folder / "zones.csv", ("zone", "off_x_px", "off_y_px"), zones)
    for name, ir, vi in zip(names, infrared, visible, strict=True):
        write_image(folder / f"{name}.png", overlay(rig, ir, vi))
    return found


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_output(path, text.getvalue().encode("utf-8", "surrogateescape"), RegistrationError)


def _stretched(picture: Picture, inside: npt.NDArray[np.bool_]) -> Picture:
    """Between the percentiles 1 and 99: an infrared picture may be nearly even."""
    low, high = np.percentile(picture[inside], (1, 99)) if inside.any() else (0.0, 1.0)
    return cast("Picture", np.clip((picture - low) / max(high - low, 1e-6), 0, 1).astype(np.float32))


def _levels(picture: Picture) -> npt.NDArray[np.uint8]:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _drawn(picture: Any, box: Box) -> None:
    cv2.rectangle(picture, (box.left, box.top), (box.right - 1, box.bottom - 1), _BOX_COLOUR, 1)
