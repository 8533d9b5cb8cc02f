"""H. Li's MATLAB folders: DenseFuse, NestFuse, RFN-Nest."""

from __future__ import annotations

from imfuse.metrics import accidents, structure
from imfuse.metrics.conventions._definition import Convention, Definition
from imfuse.metrics.conventions._shared import fmi_printed_as_pixel
from imfuse.metrics.conventions.plain import as_plain
from imfuse.metrics.window import Window

CONVENTION = Convention(
    "hli",
    "H. Li's MATLAB folders (DenseFuse, NestFuse, RFN-Nest)",
    "matlab",
    {
        **as_plain("EN"),
        "SD": Definition(
            accidents.standard_deviation_of_sum,
            accident="the sum is not divided by the number of pixels: grows with the size of the image",
        ),
        "MI": Definition(accidents.mutual_information_of_rows, accident="twice the entropy; the sources play no part"),
        **as_plain("SCD"),
        "Qabf": Definition(
            accidents.gradient_quality_with_slips,
            {"ties": "strength", "summation": "octave"},
            "on [0, 1], where rounding, here that of GNU Octave, decides the angle of flat areas",
        ),
        "Nabf": Definition(
            accidents.fusion_artefacts_of_unit_range,
            {"summation": "columns"},
            "on [0, 1], where no edge reaches the threshold of 2 levels: all pixels weigh the same",
        ),
        "SSIM": Definition(structure.structural_similarity, {"window": Window(border="replicate")}),
        **as_plain("MS_MEF_SSIM"),
        "FMI_edge": fmi_printed_as_pixel("the folders print"),
        **as_plain("FMI_dct", "FMI_w"),
    },
)
