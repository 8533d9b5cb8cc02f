"""The tables of the RefineFuse article."""

from __future__ import annotations

from imfuse.metrics.conventions._definition import Convention
from imfuse.metrics.conventions._shared import QABF_OF_STRENGTHS, SSIM_OF_RANGE_2
from imfuse.metrics.conventions.plain import as_plain

CONVENTION = Convention(
    "refinefuse",
    "the tables of the RefineFuse article",
    "opencv",
    {
        **as_plain("VIF", "AG", "SCD"),
        "Qabf": QABF_OF_STRENGTHS,
        **as_plain("SF", "EN"),
        "SSIM": SSIM_OF_RANGE_2,
    },
)
