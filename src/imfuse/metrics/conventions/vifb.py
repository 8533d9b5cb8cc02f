"""The VIFB benchmark, in MATLAB."""

from __future__ import annotations

from imfuse.metrics import accidents, gradient, structure
from imfuse.metrics.conventions._definition import Convention, Definition
from imfuse.metrics.conventions._shared import MI_IN_NAT, QABF_OF_STRENGTHS
from imfuse.metrics.conventions.plain import as_plain

CONVENTION = Convention(
    "vifb",
    "the VIFB benchmark",
    "channels",
    {
        **as_plain("EN", "SD", "AG", "EI", "CE"),
        "MI": MI_IN_NAT,
        "SF": Definition(gradient.spatial_frequency, {"per_pixel": True}),
        "RMSE": Definition(
            accidents.root_mean_squared_error_of_sum,
            accident="the root is divided by the number of pixels: falls with the size of the image",
        ),
        "PSNR": Definition(
            accidents.peak_signal_to_noise_ratio_of_rmse, accident="takes that RMSE for the mean squared error"
        ),
        "Qabf": QABF_OF_STRENGTHS,
        "SSIM": Definition(structure.structural_similarity, {"total": True}),
        **as_plain("QCB", "QCV"),
    },
)
