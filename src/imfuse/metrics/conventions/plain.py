"""The recommended definitions: every metric, as Metric definitions in the documentation has it."""

from __future__ import annotations

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
from imfuse.metrics.conventions._definition import Convention, Definition

PLAIN = {
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


def as_plain(*symbols: str) -> dict[str, Definition]:
    """The plain definitions of some metrics."""
    return {symbol: PLAIN[symbol] for symbol in symbols}


CONVENTION = Convention("plain", "the recommended definitions of this library", "matlab", PLAIN)
