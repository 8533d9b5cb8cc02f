"""L. Tang's MATLAB toolbox before March 2023, behind published tables of TNO."""

from __future__ import annotations

from imfuse.metrics import accidents, gradient
from imfuse.metrics.conventions._definition import Convention, Definition
from imfuse.metrics.conventions._shared import MI_OF_MERGED_LEVELS, MSE_OF_UNIT_RANGE, PSNR_OF_UNIT_RANGE
from imfuse.metrics.conventions.plain import as_plain

CONVENTION = Convention(
    "tang2022",
    "L. Tang's MATLAB toolbox before March 2023",
    "matlab",
    {
        **as_plain("EN"),
        "SF": Definition(gradient.spatial_frequency, {"white": 1.0}),
        "SD": Definition(
            accidents.saturated_standard_deviation,
            accident="differences and squares of 8-bit numbers end at 255: not a standard deviation, at most 16",
        ),
        "PSNR": PSNR_OF_UNIT_RANGE,
        "MSE": MSE_OF_UNIT_RANGE,
        "MI": MI_OF_MERGED_LEVELS,
        "VIF": Definition(
            accidents.saturated_visual_information_fidelity,
            accident="products of 8-bit numbers end at 255 on the finest scale: far too high",
        ),
        **as_plain("AG", "CC", "SCD"),
        "Qabf": Definition(
            accidents.gradient_quality_with_slips,
            {"ties": "strength", "summation": "matlab"},
            "on [0, 1], where rounding decides the angle of flat areas: up to 2 % off",
        ),
    },
)
