"""Definitions that are not plain and that several conventions share."""

from __future__ import annotations

from imfuse.metrics import accidents, fmi, information, statistics
from imfuse.metrics.conventions._definition import Definition
from imfuse.metrics.window import UNIFORM

# Where both gradients are equal, most programs take the gradient itself for their ratio: 2e-6 at most on real pictures.
QABF_OF_STRENGTHS = Definition(accidents.gradient_quality_with_slips, {"ties": "strength"})
SSIM_OF_RANGE_2 = Definition(
    accidents.structural_similarity_of_range,
    {"peak": 2, "window": UNIFORM, "sample": True, "total": True},
    "a range of 2 is assumed for levels up to 255",
)
MI_IN_NAT = Definition(information.mutual_information, {"unit": "nat"})

PSNR_OF_UNIT_RANGE = Definition(
    accidents.peak_signal_to_noise_ratio_of_unit_range,
    accident="errors on [0, 1] against a peak of 255: 48.13 dB too high",
)
MSE_OF_UNIT_RANGE = Definition(statistics.mean_squared_error, {"white": 1.0})
MI_OF_MERGED_LEVELS = Definition(
    accidents.mutual_information_of_merged_levels,
    accident="levels 254 and 255 share a bin of the joint histogram: slightly too high",
)


def fmi_printed_as_pixel(printer: str) -> Definition:
    """FMI of edges, which ``printer`` prints as FMI_pixel."""
    return Definition(fmi.feature_mutual_information, {"feature": "edge"}, f"{printer} this as FMI_pixel")
