"""Metrics as published programs compute them by accident: not what their authors say that they do.

They reproduce printed numbers and say nothing about pictures; nothing but a convention should use them. All take what
the metric of the same name takes, images (N, 1, H, W) in [0, data_range], and return one value per image, (N,) float64.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor

from imfuse.metrics import _tsallis
from imfuse.metrics._edges import edges_kept_per_pixel, kept_edges, ratio_with_floor
from imfuse.metrics._fidelity import information_share, product
from imfuse.metrics._histograms import entropy_in, entropy_of, histogram, joint_histogram
from imfuse.metrics._petrovic import account_of
from imfuse.metrics._pictures import Image, Picture, at_least, average, picture, pictures
from imfuse.metrics._sobel import DIFFERENCE, SMOOTHING, Responses, ratio, root, sobel
from imfuse.metrics._structure import both_similarities
from imfuse.metrics._sums import pixels_of, squared_deviations, squared_errors, total
from imfuse.metrics.window import GAUSSIAN, Window
from imfuse.ops import vif
from imfuse.ops.windows import Border, pad

WHITE = 255.0

# Deviations and errors


def saturated_standard_deviation(fused: Image, data_range: float = 1.0) -> Tensor:
    """SD of 8-bit arithmetic: differences and squares below 0 become 0, those above 255 become 255 (tang2022).

    In [0, 15.97], and nearly the share of bright pixels. No gradient.
    """
    image = picture(fused, data_range)
    levels = torch.arange(256, dtype=torch.float64, device=image.levels.device)
    mean = total(image).detach() / pixels_of(image)
    differences = torch.floor(levels - mean[:, None] + 0.5).clamp(min=0)
    counts = (histogram(image) * pixels_of(image)).round()
    squares = (counts * differences.square().clamp(max=255)).sum(1)
    return root(squares / pixels_of(image))


def standard_deviation_of_sum(fused: Image, data_range: float = 1.0) -> Tensor:
    """SD of an image in [0, 1], the sum of the squares in place of their mean: grows with the image (hli)."""
    return root(squared_deviations(picture(fused, data_range))) * (1 / WHITE)


def root_mean_squared_error_of_sum(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """RMSE as ``sqrt(sum((X - F)^2)) / (H W)``, which shrinks as images grow (vifb)."""
    f, *sources = pictures(fused, infrared, visible, data_range)
    return _errors_of_sum(f, *sources).mean(0)


def _errors_of_sum(fused: Picture, *sources: Picture) -> Tensor:
    return root(squared_errors(fused, sources)) / pixels_of(fused)


def peak_signal_to_noise_ratio_of_rmse(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """PSNR of the RMSE of ``root_mean_squared_error_of_sum`` in place of the MSE: grows with the image (vifb)."""
    f, *sources = pictures(fused, infrared, visible, data_range)
    return _decibels(WHITE, _errors_of_sum(f, *sources).mean(0))


def peak_signal_to_noise_ratio_of_unit_range(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """PSNR with the error of images in [0, 1] against a peak of 255: 48.13 dB too high (tang2022, tang2023)."""
    f, *sources = pictures(fused, infrared, visible, data_range)
    return _decibels(WHITE, (squared_errors(f, sources) / pixels_of(f) * (1 / WHITE) ** 2).mean(0))


def peak_signal_to_noise_ratio_of_fused_peak(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """PSNR with the highest level of the fused image as the peak, so that dark images score low (cddfuse).

    -inf where the fused image is black, nan where all are.
    """
    f, *sources = pictures(fused, infrared, visible, data_range)
    error = (squared_errors(f, sources) / pixels_of(f)).mean(0)
    return _decibels(f.levels.amax((1, 2, 3)), error)


def _decibels(peak: float | Tensor, error: Tensor) -> Tensor:
    return 10 * torch.log10(peak**2 / error)


# Information


def mutual_information_of_merged_levels(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """MI where levels 254 and 255 share a bin of the joint histogram, though not of the others (tang2022, tang2023).

    8-bit arithmetic saturates there. Too high for images with white areas.
    """

    def compare(source: Picture, fused: Picture) -> Tensor:
        joint = joint_histogram(fused, source).clone()
        for rows in (joint, joint.transpose(1, 2)):
            rows[:, 254] += rows[:, 255]
            rows[:, 255] = 0
        return entropy_in(fused) + entropy_in(source) - entropy_of(joint)

    return 2 * average(compare, *pictures(fused, infrared, visible, data_range))


def mutual_information_of_rows(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """MI as twice the entropy of the fused image, whatever the sources: a function of columns got matrices (hli)."""
    f, *_ = pictures(fused, infrared, visible, data_range)
    return 2 * entropy_in(f)


def survey_tsallis_information(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    order: float = 0.43137,
    divisor: Literal["shannon", "none"] = "shannon",
    exchanged: bool = True,
) -> Tensor:
    """QTE as the survey toolbox has it (zliu).

    ``exchanged``: of images stretched to 0..255 each, level i of X and level j of F together are compared with level i
    of F and level j of X; nan where an image is constant and not black. ``shannon`` divides by
    ``H(A)^q + H(B)^q + I(A; B)`` with Shannon's entropies in bit.
    """
    triple = pictures(fused, infrared, visible, data_range)
    _tsallis.check_order(order)
    f, a, b = (_stretched(image) for image in triple) if exchanged else triple
    information = partial(_tsallis.relative_information, order=order, exchanged=exchanged)
    score = information(f, a) + information(f, b)
    if divisor == "shannon":
        powers = entropy_in(a) ** order + entropy_in(b) ** order
        score = _tsallis.quotient(score, powers + information(a, b))
    if exchanged:
        score = torch.where(torch.stack([_is_flat_gray(image) for image in triple]).any(0), torch.nan, score)
    return score


def _stretched(image: Picture) -> Picture:
    """The picture with its levels spread over 0..255, halves rounded up; a constant one becomes black."""

    def compute() -> Picture:
        low, high = image.levels.detach().flatten(1).aminmax(dim=1, keepdim=True)
        spread = 255 * (image.levels.detach() - low[..., None, None]) / (high - low).clamp(min=1)[..., None, None]
        return Picture(torch.floor(spread + 0.5), 255)

    return image.once("stretched", compute)


def _is_flat_gray(image: Picture) -> Tensor:
    low, high = image.levels.detach().flatten(1).aminmax(dim=1)
    return (low == high) & (high > 0)


# Fidelity and similarity


def saturated_visual_information_fidelity(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """VIF of 8-bit arithmetic: products of levels end at 255 on the finest scale (tang2022).

    Only dark areas count there. Far too high.
    """
    f, *sources = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, vif.MIN_SIZE, "VIF")
    return torch.stack([information_share(source, f, _saturated_product) for source in sources]).sum(0)


def _saturated_product(first: Tensor, second: Tensor, scale: int) -> Tensor:
    exact = product(first, second, scale)
    return exact if scale else exact.clamp(max=255)


def structural_similarity_of_range(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    peak: float,
    window: Window = GAUSSIAN,
    sample: bool = False,
    total: bool = False,
) -> Tensor:
    """SSIM of levels up to 255 as if their range were ``peak``: noise in flat areas counts in full.

    A library took 1 or 2 for the range of floats (cddfuse, refinefuse, tang2023).
    """
    triple = pictures(fused, infrared, visible, data_range)
    return both_similarities(*triple, window=window, peak=peak, sample=sample, total=total)


# Edges

Summation = Literal["matlab", "octave", "columns"]
"""The order in which a program adds the terms of a Sobel response: ``matlab`` and ``octave`` as their ``conv2`` do,
``columns`` each column from top to bottom first.

On levels, which are whole numbers, the order is all one. On levels / 255 it decides which responses are exactly zero
and which edges exactly equal, and rules for those cases turn that into visible differences.
"""

_TERMS: dict[Summation, list[list[tuple[int, int]]]] = {
    "matlab": [[(row, column) for column in (2, 1, 0) for row in (2, 1, 0)]],
    "octave": [[(row, column) for column in (0, 1, 2) for row in (2, 1, 0)]],
    "columns": [[(row, column) for row in (0, 1, 2)] for column in (0, 1, 2)],
}


def gradient_quality_with_slips(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    ties: Literal["one", "strength"],
    summation: Summation | None = None,
) -> Tensor:
    """Qabf as most programs have it.

    With ``ties="strength"`` the ratio of equal strengths is the strength itself, not 1: 2e-6 off at most on real
    pictures. With ``summation`` it is of levels / 255, responses added in this order: zeros that come out as 1e-17 have
    angles by chance (tang2022, hli).
    """
    responses = RESPONSES[summation] if summation else sobel
    triple = pictures(fused, infrared, visible, data_range)
    return kept_edges(*triple, ratio_rule=_RATIOS[ties], responses=responses)


def _ratio_or_strength(g: Tensor, g_f: Tensor) -> Tensor:
    return torch.where(g == g_f, g_f, ratio(g, g_f))


_RATIOS = {"one": ratio, "strength": _ratio_or_strength}


def survey_gradient_quality_of_flat_fused(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """QG where an edge of the infrared image has the ratio 0, not 1e-5 / g, if the fused image is flat there (zliu)."""
    return edges_kept_per_pixel(*pictures(fused, infrared, visible, data_range), _none_where_fused_is_flat)


def _none_where_fused_is_flat(g: Tensor, g_f: Tensor) -> Tensor:
    return ratio_with_floor(g, g_f).masked_fill((g_f == 0) & (g > 0), 0)


def fusion_artefacts_of_infrared(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Nabf of arguments in the wrong order (tang2023).

    The infrared image is scored as if it were fused from the visible and the fused one.
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    return f.once(("account of infrared", a, b), lambda: account_of(a, b, f)).added


def fusion_artefacts_of_unit_range(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0, *, summation: Summation = "columns"
) -> Tensor:
    """Nabf of levels / 255, where no edge reaches the strength 2 and all weights are 0.001 (hli)."""
    return account_of(*pictures(fused, infrared, visible, data_range), RESPONSES[summation]).added


def _in_order(levels: Tensor, border: Border, summation: Summation) -> tuple[Tensor, Tensor]:
    """Responses of levels / 255, terms added in an order of programs."""
    # By a tensor: a GPU would multiply by 1 / 255 instead, which is not the same.
    padded = pad(levels / levels.new_tensor(255), 1, 1, border)
    height, width = levels.shape[2:]

    def respond(down: tuple[int, ...], across: tuple[int, ...]) -> Tensor:
        response = torch.zeros_like(levels)
        for group in _TERMS[summation]:
            part = torch.zeros_like(levels)
            for row, column in group:
                if weight := down[row] * across[column]:
                    # Weights are powers of two: products are exact, fused with the addition or not.
                    part = torch.add(part, padded[..., row : row + height, column : column + width], alpha=weight)
            response = response + part
        return response

    return respond(DIFFERENCE, SMOOTHING), respond(SMOOTHING, DIFFERENCE)


# Pictures remember edges by the function that made them.
RESPONSES: dict[Summation, Responses] = {summation: partial(_in_order, summation=summation) for summation in _TERMS}
