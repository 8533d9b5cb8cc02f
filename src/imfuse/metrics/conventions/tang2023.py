"""L. Tang's MATLAB toolbox since March 2023."""

from __future__ import annotations

from imfuse.metrics import accidents
from imfuse.metrics.conventions._definition import Convention, Definition
from imfuse.metrics.conventions._shared import (
    MI_OF_MERGED_LEVELS,
    MSE_OF_UNIT_RANGE,
    PSNR_OF_UNIT_RANGE,
    QABF_OF_STRENGTHS,
    fmi_printed_as_pixel,
)
from imfuse.metrics.conventions.plain import as_plain
from imfuse.metrics.window import Window

CONVENTION = Convention(
    "tang2023",
    "L. Tang's MATLAB toolbox since March 2023",
    "matlab",
    {
        **as_plain("EN", "SD", "SF", "AG", "VIF", "CC", "SCD"),
        "MSE": MSE_OF_UNIT_RANGE,
        "PSNR": PSNR_OF_UNIT_RANGE,
        "MI": MI_OF_MERGED_LEVELS,
        "Qabf": QABF_OF_STRENGTHS,
        "Nabf": Definition(
            accidents.fusion_artefacts_of_infrared,
            accident="arguments in the wrong order: the infrared image is scored as if it were the fused one",
        ),
        "SSIM": Definition(
            accidents.structural_similarity_of_range,
            {"peak": 1, "window": Window(border="replicate")},
            "a range of 1 is assumed for levels up to 255",
        ),
        **as_plain("MS_MEF_SSIM"),
        "FMI_edge": fmi_printed_as_pixel("the toolbox prints"),
        **as_plain("FMI_dct", "FMI_w"),
    },
)
