"""What of a medical picture is black and white: named windows, and percentiles where nothing says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError
from imfuse.core.text import printable

WINDOWS = {"brain": (40.0, 80.0), "bone": (480.0, 2500.0), "lung": (-600.0, 1500.0), "soft": (40.0, 400.0)}
"""Centre and width in Hounsfield units."""
_EXPECTED = f"CENTRE,WIDTH such as 40,400, or one of {', '.join(WINDOWS)} is expected"
_SMALLEST = 1e-6


def parse_window(text: str | None) -> tuple[float, float] | None:
    """Centre and width of a window; ``None`` where none is named. Raises ``ImageError``."""
    if text is None or text in WINDOWS:
        return None if text is None else WINDOWS[text]
    try:
        centre, width = (float(part) for part in text.split(","))
    except (ValueError, AttributeError) as error:
        raise ImageError(f"window={printable(text)!r}: {_EXPECTED}") from error
    if not (np.isfinite(centre) and np.isfinite(width) and width > 0):
        raise ImageError(f"window={printable(text)!r}: {_EXPECTED}")
    return centre, width


def window_limits(centre: float, width: float, exact: bool = False) -> tuple[float, float]:
    """The values that are black and white by DICOM's window (PS3.3 C.11.2.1.2), or by its exact one."""
    if exact:
        return centre - width / 2, centre + width / 2
    half = max(width - 1, _SMALLEST) / 2
    return centre - 0.5 - half, centre - 0.5 + half


def percentile_window(values: npt.NDArray[Any], low: float, high: float) -> tuple[float, float] | None:
    """Percentiles of a picture, the extremes where these coincide; ``None`` for a constant picture."""
    known = np.ma.compressed(values) if isinstance(values, np.ma.MaskedArray) else values[np.isfinite(values)]
    if not known.size:
        return None
    for first, last in (np.percentile(known, (low, high)), (known.min(), known.max())):
        if first < last:
            return float(first), float(last)
    return None
