"""What is known of the terms of the data that weights are trained on; ``docs/datasets.md`` shows the same table."""

from __future__ import annotations

import re

NOT_KNOWN = "not known"
_ASK = "read what its authors write"

TERMS = {
    "RoadScene": "frames of FLIR's thermal data, under its terms, for research",
    "MSRS": f"descends from MFNet, a set for research; {_ASK}",
    "Harvard atlas": "for teaching and research; ask its authors before any other use",
    "M2VD": "MIT licence",
    "rendered scenes": "drawn by this library, Apache-2.0",
    "TNO": "CC BY 4.0",
    "LLVIP": "not for commercial use",
    "M3FD": _ASK,
    "EPFL NIR": _ASK,
}
"""Data set -> its terms. A set that is trained on is called by its name here."""


def terms_of(data: str) -> str:
    """Terms of the data sets that a text names.

    Args:
        data: what weights were trained on.

    Returns:
        The terms of each that :data:`TERMS` has, others are not mentioned; "not known" where it has none of them.

    Example:
        >>> terms_of("M2VD (92 frames), 200 rendered scenes")
        'M2VD: MIT licence; rendered scenes: drawn by this library, Apache-2.0'
        >>> terms_of("pairs of mine")
        'not known'
    """
    named = (name for name in TERMS if re.search(rf"(?<![a-z]){name}(?![a-z])", data, re.IGNORECASE))
    return "; ".join(f"{name}: {TERMS[name]}" for name in named) or NOT_KNOWN
