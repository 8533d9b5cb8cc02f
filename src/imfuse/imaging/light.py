"""Whether a picture was taken by day or by night: one rule for every set, whatever its names say."""

from __future__ import annotations

NIGHT = 0.25
"""Mean luminance of a visible picture, black 0 and white 1, below which it is one of the night."""


def light_of(mean: float) -> str:
    """``night`` or ``day``, by the mean luminance of the visible picture.

    >>> light_of(0.1), light_of(0.25)
    ('night', 'day')
    """
    return "night" if mean < NIGHT else "day"
