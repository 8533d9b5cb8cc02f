"""Fusion metrics: functions on tensors (N, 1, H, W) that return one value per image, in float64.

``METRICS`` says what each is, ``CONVENTIONS`` how papers computed it, ``score_images`` computes many at once,
``register_metric`` adds one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.metrics._pictures import Picture
    from imfuse.metrics.catalogue import METRICS
    from imfuse.metrics.conventions import CONVENTIONS, Convention, Definition, get_convention, get_definition
    from imfuse.metrics.detail import spatial_frequency_error, wavelet_edge_quality
    from imfuse.metrics.edges import gradient_quality, survey_gradient_quality
    from imfuse.metrics.exposure import mef_structural_similarity, multi_scale_mef_structural_similarity
    from imfuse.metrics.fidelity import visual_information_fidelity, visual_information_fidelity_for_fusion
    from imfuse.metrics.fmi import feature_mutual_information
    from imfuse.metrics.gradient import average_gradient, edge_intensity, spatial_frequency
    from imfuse.metrics.information import (
        cross_entropy,
        entropy,
        mutual_information,
        nonlinear_correlation_information_entropy,
        normalised_mutual_information,
        tsallis_information,
    )
    from imfuse.metrics.perception import chen_blum_quality, chen_varshney_error
    from imfuse.metrics.petrovic import fusion_artefacts, fusion_loss, total_performance
    from imfuse.metrics.phase import phase_congruency_quality
    from imfuse.metrics.register import register_metric
    from imfuse.metrics.saliency import (
        cvejic_quality,
        piella_edge_quality,
        piella_quality,
        piella_weighted_quality,
        yang_quality,
    )
    from imfuse.metrics.score import score_images
    from imfuse.metrics.spec import MetricSpec
    from imfuse.metrics.statistics import (
        correlation_coefficient,
        mean_squared_error,
        peak_signal_to_noise_ratio,
        root_mean_squared_error,
        standard_deviation,
        sum_of_correlations_of_differences,
        variance,
    )
    from imfuse.metrics.structure import multi_scale_structural_similarity, structural_similarity
    from imfuse.metrics.window import GAUSSIAN, UNIFORM, Window

__all__ = [
    "CONVENTIONS",
    "GAUSSIAN",
    "METRICS",
    "UNIFORM",
    "Convention",
    "Definition",
    "MetricSpec",
    "Picture",
    "Window",
    "average_gradient",
    "chen_blum_quality",
    "chen_varshney_error",
    "correlation_coefficient",
    "cross_entropy",
    "cvejic_quality",
    "edge_intensity",
    "entropy",
    "feature_mutual_information",
    "fusion_artefacts",
    "fusion_loss",
    "get_convention",
    "get_definition",
    "gradient_quality",
    "mean_squared_error",
    "mef_structural_similarity",
    "multi_scale_mef_structural_similarity",
    "multi_scale_structural_similarity",
    "mutual_information",
    "nonlinear_correlation_information_entropy",
    "normalised_mutual_information",
    "peak_signal_to_noise_ratio",
    "phase_congruency_quality",
    "piella_edge_quality",
    "piella_quality",
    "piella_weighted_quality",
    "register_metric",
    "root_mean_squared_error",
    "score_images",
    "spatial_frequency",
    "spatial_frequency_error",
    "standard_deviation",
    "structural_similarity",
    "sum_of_correlations_of_differences",
    "survey_gradient_quality",
    "total_performance",
    "tsallis_information",
    "variance",
    "visual_information_fidelity",
    "visual_information_fidelity_for_fusion",
    "wavelet_edge_quality",
    "yang_quality",
]

_NAMES = {
    "_pictures": ("Picture",),
    "catalogue": ("METRICS",),
    "conventions": ("CONVENTIONS", "Convention", "Definition", "get_convention", "get_definition"),
    "detail": ("spatial_frequency_error", "wavelet_edge_quality"),
    "edges": ("gradient_quality", "survey_gradient_quality"),
    "exposure": ("mef_structural_similarity", "multi_scale_mef_structural_similarity"),
    "fidelity": ("visual_information_fidelity", "visual_information_fidelity_for_fusion"),
    "fmi": ("feature_mutual_information",),
    "gradient": ("average_gradient", "edge_intensity", "spatial_frequency"),
    "information": (
        "cross_entropy",
        "entropy",
        "mutual_information",
        "nonlinear_correlation_information_entropy",
        "normalised_mutual_information",
        "tsallis_information",
    ),
    "perception": ("chen_blum_quality", "chen_varshney_error"),
    "petrovic": ("fusion_artefacts", "fusion_loss", "total_performance"),
    "phase": ("phase_congruency_quality",),
    "register": ("register_metric",),
    "saliency": (
        "cvejic_quality",
        "piella_edge_quality",
        "piella_quality",
        "piella_weighted_quality",
        "yang_quality",
    ),
    "score": ("score_images",),
    "spec": ("MetricSpec",),
    "statistics": (
        "correlation_coefficient",
        "mean_squared_error",
        "peak_signal_to_noise_ratio",
        "root_mean_squared_error",
        "standard_deviation",
        "sum_of_correlations_of_differences",
        "variance",
    ),
    "structure": ("multi_scale_structural_similarity", "structural_similarity"),
    "window": ("GAUSSIAN", "UNIFORM", "Window"),
}
__getattr__, __dir__ = lazy_exports(
    __name__, {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}
)
