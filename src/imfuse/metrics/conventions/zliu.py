"""Z. Liu's MATLAB toolbox of the survey of 2012."""

from __future__ import annotations

from imfuse.metrics import accidents
from imfuse.metrics.conventions._definition import Convention, Definition
from imfuse.metrics.conventions.plain import as_plain

CONVENTION = Convention(
    "zliu",
    "Z. Liu's MATLAB toolbox of the survey of 2012",
    "matlab",
    {
        **as_plain("QMI"),
        "QTE": Definition(
            accidents.survey_tsallis_information,
            {"divisor": "shannon"},
            "the marginals of the joint histogram are exchanged; Shannon entropies in the divisor",
        ),
        "QTE_cvejic": Definition(
            accidents.survey_tsallis_information,
            {"order": 1.85, "divisor": "none"},
            "the marginals of the joint histogram are exchanged",
        ),
        **as_plain("QNCIE"),
        "QG": Definition(
            accidents.survey_gradient_quality_of_flat_fused, accident="flat fused areas: sources not alike"
        ),
        **as_plain("QM", "QSF", "QP", "QS", "QW", "QE", "QC", "QY", "QCB", "QCV"),
    },
)
