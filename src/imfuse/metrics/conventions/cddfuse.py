"""The evaluator of CDDFuse, in Python, and its many copies."""

from __future__ import annotations

from imfuse.metrics import accidents, fidelity, gradient
from imfuse.metrics.conventions._definition import Convention, Definition
from imfuse.metrics.conventions._shared import MI_IN_NAT, QABF_OF_STRENGTHS, SSIM_OF_RANGE_2
from imfuse.metrics.conventions.plain import as_plain

CONVENTION = Convention(
    "cddfuse",
    "the evaluator of CDDFuse and its many copies",
    "opencv",
    {
        **as_plain("EN", "SD", "SF", "CC", "SCD", "MSE"),
        "AG": Definition(gradient.average_gradient, {"per_pixel": True}),
        "MI": MI_IN_NAT,
        "PSNR": Definition(
            accidents.peak_signal_to_noise_ratio_of_fused_peak,
            accident="the peak is the brightest pixel of the fused image: dark images score low",
        ),
        "VIF": Definition(fidelity.visual_information_fidelity, {"undefined": 1.0}),
        "Qabf": QABF_OF_STRENGTHS,
        "SSIM": SSIM_OF_RANGE_2,
    },
)
