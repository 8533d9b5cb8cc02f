"""Classes of the MSRS data set, used by rendered scenes, labels and segmentation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# As the data set spells them.
CLASSES = ("background", "car", "person", "bike", "curve", "car stop", "guardrail", "color cone", "bump")
DETECTED = ("person", "car", "bike")
"""Classes of boxes, whose numbers are the places here: those of ``CLASSES`` that have things to count."""
PALETTE: NDArray[np.uint8] = np.array(
    [
        (0, 0, 0),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
        (0, 0, 192),
        (128, 128, 0),
        (64, 64, 128),
        (192, 128, 128),
        (192, 64, 0),
    ],
    np.uint8,
)
PALETTE.setflags(write=False)


def class_names(count: int) -> tuple[str, ...]:
    """Names of so many classes: those of MSRS where it has as many, else numbers.

    >>> class_names(9)[1], class_names(3)
    ('car', ('class 0', 'class 1', 'class 2'))
    """
    return CLASSES if count == len(CLASSES) else tuple(f"class {number}" for number in range(count))
