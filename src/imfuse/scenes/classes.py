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
