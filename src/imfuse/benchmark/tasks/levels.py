"""Pictures of 8 bits, as the networks of a task look at them, of files of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imfuse.imaging import luminance, parse_range, quantise, read_image, to_unit
from imfuse.tasks.segment.read import read_picture

Levels = NDArray[np.uint8]
_AUTO = parse_range("auto")


def colour_levels(path: Path) -> Levels:
    """(H, W, 3) of a visible or fused picture, three equal channels of gray. Raises ``ImageError``."""
    return np.asarray(quantise(read_picture(path, range_=_AUTO), 8), np.uint8)


def infrared_levels(path: Path) -> Levels:
    """(H, W) of an infrared picture, of which the brightness counts. Raises ``ImageError``."""
    unit = to_unit(read_image(path), _AUTO, thermal=True, name=str(path))[0]
    return np.asarray(quantise(unit if unit.ndim == 2 else luminance(unit), 8), np.uint8)
