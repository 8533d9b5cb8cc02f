"""Conventions: for each metric, which function with which constants gave the numbers of a body of papers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics import (
    detail,
    edges,
    exposure,
    fidelity,
    fmi,
    gradient,
    information,
    perception,
    petrovic,
    phase,
    saliency,
    statistics,
    structure,
)
from imfuse.metrics._pictures import Image, pictures
from imfuse.metrics.catalogue import METRICS

Gray = Literal["matlab", "opencv", "channels"]
"""How a colour picture is scored: its gray as MATLAB's ``rgb2gray`` or OpenCV on float32 round it, or each channel with
the sources' same channel, and their mean."""


@dataclass(frozen=True)
class Definition:
    """One metric under one convention: a function, its constants, and what is known to be wrong with it."""

    function: Callable[..., Tensor]
    constants: Mapping[str, Any] = field(default_factory=dict)
    accident: str = ""


@dataclass(frozen=True)
class Convention:
    """A set of definitions under which published numbers were computed.

    Attributes:
        name: as users write it.
        origin: whose numbers they are.
        gray: how colour pictures are scored.
        definitions: by symbol of ``METRICS``.
    """

    name: str
    origin: str
    gray: Gray
    definitions: Mapping[str, Definition]


_PLAIN = {
    "EN": Definition(information.entropy),
    "SD": Definition(statistics.standard_deviation),
    "VAR": Definition(statistics.variance),
    "SF": Definition(gradient.spatial_frequency),
    "AG": Definition(gradient.average_gradient),
    "EI": Definition(gradient.edge_intensity),
    "MSE": Definition(statistics.mean_squared_error),
    "RMSE": Definition(statistics.root_mean_squared_error),
    "PSNR": Definition(statistics.peak_signal_to_noise_ratio),
    "CC": Definition(statistics.correlation_coefficient),
    "SCD": Definition(statistics.sum_of_correlations_of_differences),
    "MI": Definition(information.mutual_information),
    "QMI": Definition(information.normalised_mutual_information),
    "QTE": Definition(information.tsallis_information),
    "QTE_cvejic": Definition(information.tsallis_information, {"order": 1.85, "divisor": "none"}),
    "QNCIE": Definition(information.nonlinear_correlation_information_entropy),
    "CE": Definition(information.cross_entropy),
    "FMI": Definition(fmi.feature_mutual_information),
    "FMI_gradient": Definition(fmi.feature_mutual_information, {"feature": "gradient"}),
    "FMI_edge": Definition(fmi.feature_mutual_information, {"feature": "edge"}),
    "FMI_dct": Definition(fmi.feature_mutual_information, {"feature": "dct"}),
    "FMI_w": Definition(fmi.feature_mutual_information, {"feature": "wavelet"}),
    "VIF": Definition(fidelity.visual_information_fidelity),
    "VIFF": Definition(fidelity.visual_information_fidelity_for_fusion),
    "Qabf": Definition(edges.gradient_quality),
    "QG": Definition(edges.survey_gradient_quality),
    "Qabf_p": Definition(petrovic.total_performance),
    "Labf": Definition(petrovic.fusion_loss),
    "Nabf": Definition(petrovic.fusion_artefacts),
    "Nabf_o": Definition(petrovic.fusion_artefacts, {"original": True}),
    "SSIM": Definition(structure.structural_similarity),
    "MS_SSIM": Definition(structure.multi_scale_structural_similarity),
    "MEF_SSIM": Definition(exposure.mef_structural_similarity),
    "MS_MEF_SSIM": Definition(exposure.multi_scale_mef_structural_similarity),
    "QM": Definition(detail.wavelet_edge_quality),
    "QSF": Definition(detail.spatial_frequency_error),
    "QP": Definition(phase.phase_congruency_quality),
    "QS": Definition(saliency.piella_quality),
    "QW": Definition(saliency.piella_weighted_quality),
    "QE": Definition(saliency.piella_edge_quality),
    "QC": Definition(saliency.cvejic_quality),
    "QY": Definition(saliency.yang_quality),
    "QCB": Definition(perception.chen_blum_quality),
    "QCV": Definition(perception.chen_varshney_error),
}


def _as_plain(*symbols: str) -> dict[str, Definition]:
    return {symbol: _PLAIN[symbol] for symbol in symbols}


# Where both gradients are equal, most programs take the gradient itself for their ratio: 2e-6 at most on real pictures.
_QABF = Definition(edges.gradient_quality, {"ties": "strength"})
_SSIM_RANGE_2 = Definition(
    structure.structural_similarity,
    {"window": structure.UNIFORM, "peak": 2, "sample": True, "total": True},
    "a range of 2 is assumed for levels up to 255",
)
_PSNR_ON_UNIT = Definition(
    statistics.peak_signal_to_noise_ratio, {"white": 1.0}, "errors on [0, 1] against a peak of 255: 48.13 dB too high"
)
_MSE_ON_UNIT = Definition(statistics.mean_squared_error, {"white": 1.0})
_MI_MERGED = Definition(
    information.mutual_information,
    {"merge_top": True},
    "levels 254 and 255 share a bin of the joint histogram: slightly too high",
)

CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention("plain", "the recommended definitions of this library", "matlab", _PLAIN),
        Convention(
            "cddfuse",
            "the evaluator of CDDFuse and its many copies",
            "opencv",
            {
                **_as_plain("EN", "SD", "SF", "CC", "SCD", "MSE"),
                "AG": Definition(gradient.average_gradient, {"per_pixel": True}),
                "MI": Definition(information.mutual_information, {"unit": "nat"}),
                "PSNR": Definition(
                    statistics.peak_signal_to_noise_ratio,
                    {"peak": "fused"},
                    "the peak is the brightest pixel of the fused image: dark images score low",
                ),
                "VIF": Definition(fidelity.visual_information_fidelity, {"undefined": 1.0}),
                "Qabf": _QABF,
                "SSIM": _SSIM_RANGE_2,
            },
        ),
        Convention(
            "refinefuse",
            "the tables of the RefineFuse article",
            "opencv",
            {
                **_as_plain("VIF", "AG", "SCD"),
                "Qabf": _QABF,
                **_as_plain("SF", "EN"),
                "SSIM": _SSIM_RANGE_2,
            },
        ),
        Convention(
            "tang2022",
            "L. Tang's MATLAB toolbox before March 2023",
            "matlab",
            {
                "EN": _PLAIN["EN"],
                "SF": Definition(gradient.spatial_frequency, {"white": 1.0}),
                "SD": Definition(
                    statistics.standard_deviation,
                    {"saturated": True},
                    "differences and squares of 8-bit numbers end at 255: not a standard deviation, at most 16",
                ),
                "PSNR": _PSNR_ON_UNIT,
                "MSE": _MSE_ON_UNIT,
                "MI": _MI_MERGED,
                "VIF": Definition(
                    fidelity.visual_information_fidelity,
                    {"saturated": True},
                    "products of 8-bit numbers end at 255 on the finest scale: far too high",
                ),
                **_as_plain("AG", "CC", "SCD"),
                "Qabf": Definition(
                    edges.gradient_quality,
                    {"ties": "strength", "summation": "matlab"},
                    "on [0, 1], where rounding decides the angle of flat areas: up to 2 % off",
                ),
            },
        ),
        Convention(
            "tang2023",
            "L. Tang's MATLAB toolbox since March 2023",
            "matlab",
            {
                **_as_plain("EN", "SD", "SF", "AG", "VIF", "CC", "SCD"),
                "MSE": _MSE_ON_UNIT,
                "PSNR": _PSNR_ON_UNIT,
                "MI": _MI_MERGED,
                "Qabf": _QABF,
                "Nabf": Definition(
                    petrovic.fusion_artefacts,
                    {"infrared_as_fused": True},
                    "arguments in the wrong order: the infrared image is scored as if it were the fused one",
                ),
                "SSIM": Definition(
                    structure.structural_similarity,
                    {"window": structure.Window(border="replicate"), "peak": 1},
                    "a range of 1 is assumed for levels up to 255",
                ),
                **_as_plain("MS_MEF_SSIM"),
                "FMI_edge": Definition(
                    fmi.feature_mutual_information, {"feature": "edge"}, "the toolbox prints this as FMI_pixel"
                ),
                **_as_plain("FMI_dct", "FMI_w"),
            },
        ),
        Convention(
            "vifb",
            "the VIFB benchmark",
            "channels",
            {
                **_as_plain("EN", "SD", "AG", "EI", "CE"),
                "MI": Definition(information.mutual_information, {"unit": "nat"}),
                "SF": Definition(gradient.spatial_frequency, {"per_pixel": True}),
                "RMSE": Definition(
                    statistics.root_mean_squared_error,
                    {"root_of_sum": True},
                    "the root is divided by the number of pixels: falls with the size of the image",
                ),
                "PSNR": Definition(
                    statistics.peak_signal_to_noise_ratio,
                    {"root_of_sum": True},
                    "takes that RMSE for the mean squared error",
                ),
                "Qabf": _QABF,
                "SSIM": Definition(structure.structural_similarity, {"total": True}),
                **_as_plain("QCB", "QCV"),
            },
        ),
        Convention(
            "hli",
            "H. Li's MATLAB folders (DenseFuse, NestFuse, RFN-Nest)",
            "matlab",
            {
                "EN": _PLAIN["EN"],
                "SD": Definition(
                    statistics.standard_deviation,
                    {"white": 1.0, "root_of_sum": True},
                    "the sum is not divided by the number of pixels: grows with the size of the image",
                ),
                "MI": Definition(
                    information.mutual_information, {"of_rows": True}, "twice the entropy; the sources play no part"
                ),
                "SCD": _PLAIN["SCD"],
                "Qabf": Definition(
                    edges.gradient_quality,
                    {"ties": "strength", "summation": "octave"},
                    "on [0, 1], where rounding, here that of GNU Octave, decides the angle of flat areas",
                ),
                "Nabf": Definition(
                    petrovic.fusion_artefacts,
                    {"summation": "columns"},
                    "on [0, 1], where no edge reaches the threshold of 2 levels: all pixels weigh the same",
                ),
                "SSIM": Definition(structure.structural_similarity, {"window": structure.Window(border="replicate")}),
                **_as_plain("MS_MEF_SSIM"),
                "FMI_edge": Definition(
                    fmi.feature_mutual_information, {"feature": "edge"}, "the folders print this as FMI_pixel"
                ),
                **_as_plain("FMI_dct", "FMI_w"),
            },
        ),
        Convention(
            "zliu",
            "Z. Liu's MATLAB toolbox of the survey of 2012",
            "matlab",
            {
                "QMI": _PLAIN["QMI"],
                "QTE": Definition(
                    information.tsallis_information,
                    {"divisor": "shannon", "exchanged": True},
                    "the marginals of the joint histogram are exchanged; Shannon entropies in the divisor",
                ),
                "QTE_cvejic": Definition(
                    information.tsallis_information,
                    {"order": 1.85, "divisor": "none", "exchanged": True},
                    "the marginals of the joint histogram are exchanged",
                ),
                "QNCIE": _PLAIN["QNCIE"],
                "QG": Definition(
                    edges.survey_gradient_quality, {"flat_first": True}, "flat fused areas: sources not alike"
                ),
                **_as_plain("QM", "QSF", "QP", "QS", "QW", "QE", "QC", "QY", "QCB", "QCV"),
            },
        ),
    )
}


def get_convention(name: str) -> Convention:
    """The convention of a name; raises ``MetricError`` that lists those there are."""
    if name not in CONVENTIONS:
        raise MetricError(f"unknown convention {name!r}; there are {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def get_definition(symbol: str, convention: str = "plain") -> Definition:
    """How a convention defines a metric; raises ``MetricError`` that lists the conventions which do."""
    if symbol not in METRICS:
        near = difflib.get_close_matches(symbol, METRICS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(METRICS)}"
        raise MetricError(f"unknown metric {symbol!r}; {hint}")
    definitions = get_convention(convention).definitions
    if symbol not in definitions:
        others = [name for name, other in CONVENTIONS.items() if symbol in other.definitions]
        raise MetricError(f"convention {convention} does not define {symbol}; {', '.join(others)} do")
    return definitions[symbol]


def score_images(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    metrics: Sequence[str] | None = None,
    convention: str = "plain",
) -> dict[str, Tensor]:
    """Score images (N, 1, H, W): one value per image under each symbol of ``metrics``, in that order.

    ``metrics`` left out are all that the convention defines. Raises ``MetricError``.
    """
    chosen = list(get_convention(convention).definitions) if metrics is None else metrics
    images = pictures(fused, infrared, visible, data_range)
    scores = {}
    for symbol in chosen:
        definition = get_definition(symbol, convention)
        needed = images if METRICS[symbol].sources else images[:1]
        scores[symbol] = definition.function(*needed, **definition.constants)
    return scores
