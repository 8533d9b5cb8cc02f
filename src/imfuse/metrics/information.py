"""Metrics from histograms: what the gray levels of the fused image say of those of the sources.

They count pixels at levels and so have no gradient: they are of no use as losses. Programs that first stretch each
image to 0..255 (the survey toolbox, VIFB) get the same values: that renames the levels of an 8-bit image and never
merges two.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from imfuse.metrics import _tsallis
from imfuse.metrics._histograms import entropy_in, histogram, shared_information
from imfuse.metrics._pictures import Image, Picture, average, picture, pictures, ratio_or_nan


def entropy(fused: Image, data_range: float = 1.0) -> Tensor:
    """Entropy EN of the 256-bin histogram: ``-sum h log2 h``. Higher is better. No gradient.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 8], in bit; 0 for a constant image.

    Raises:
        MetricError: the image is not what ``Picture`` takes.

    Source:
        Roberts, van Aardt and Ahmed, Journal of Applied Remote Sensing 2008.

    Example:
        >>> entropy(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)).item()
        1.0
    """
    return entropy_in(picture(fused, data_range)).clone()


def mutual_information(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    unit: Literal["bit", "nat"] = "bit",
) -> Tensor:
    """Mutual information MI: ``I(infrared; fused) + I(visible; fused)``. Higher is better. No gradient.

    ``I(X; F) = H(X) + H(F) - H(X, F)`` from the 256x256 joint histogram.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.
        unit: ``nat`` (1 bit is 0.693 nat) is what scikit-learn and the programs that call it print.

    Returns:
        One value per image, (N,) float64 in [0, 16] bit: 0 where the fused image or both sources are constant,
        ``2 H(fused)`` where all three are the same.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Qu, Zhang and Yan, Electronics Letters 2002.

    Example:
        >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None]
        >>> mutual_information(board, board, 1 - board).item()
        2.0
    """

    def compare(source: Picture, fused: Picture) -> Tensor:
        return shared_information(fused, source)

    bits = 2 * average(compare, *pictures(fused, infrared, visible, data_range))
    return bits * math.log(2) if unit == "nat" else bits


def normalised_mutual_information(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Normalised mutual information QMI: sum over the sources of ``2 I(X; F) / (H(X) + H(F))``. Higher is better.

    I and H are those of ``mutual_information``. No gradient.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 2], without a unit: 2 where all three images are the same, nan where
        the fused image and a source are constant.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Hossny, Nahavandi and Creighton, Electronics Letters 2008.

    Example:
        >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None]
        >>> normalised_mutual_information(board, board, 1 - board).item()
        2.0
    """

    def compare(source: Picture, fused: Picture) -> Tensor:
        return ratio_or_nan(2 * shared_information(fused, source), entropy_in(source) + entropy_in(fused))

    return 2 * average(compare, *pictures(fused, infrared, visible, data_range))


def tsallis_information(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    order: float = 0.43137,
    divisor: Literal["tsallis", "none"] = "tsallis",
) -> Tensor:
    """Tsallis information QTE: ``(I(A; F) + I(B; F)) / (H(A) + H(B) - I(A; B))``. Higher is better. No gradient.

    ``I(X; F) = (1 - sum p_xf^q / (p_x p_f)^(q - 1)) / (1 - q)`` over the joint histogram,
    ``H(X) = (1 - sum p^q) / (q - 1)``; A is the infrared, B the visible image.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.
        order: q, positive and not 1. With a divisor, q < 1: above, information outgrows entropy and signs turn.
        divisor: ``tsallis`` for the entropies above, ``none`` to divide by nothing.

    Returns:
        One value per image, (N,) float64 in [0, 2], without a unit: 0 where the fused image is constant, nan where both
        sources are.

    Raises:
        MetricError: an image is not what ``Picture`` takes, the shapes differ, or the order is invalid.

    Source:
        Nava, Cristobal and Escalante-Ramirez 2007 (order 0.43137; the divisor is this library's reading); Cvejic,
        Canagarajah and Bull, Electronics Letters 2006 (order 1.85, no divisor).

    Example:
        >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None]
        >>> round(tsallis_information(board, board, board, order=0.5).item(), 9)
        1.093836321
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    _tsallis.check_order(order)
    score = _tsallis.relative_information(f, a, order) + _tsallis.relative_information(f, b, order)
    if divisor == "none":
        return score
    entropies = _tsallis.entropy(a, order) + _tsallis.entropy(b, order)
    return _tsallis.quotient(score, entropies - _tsallis.relative_information(a, b, order))


def nonlinear_correlation_information_entropy(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """Nonlinear correlation information entropy QNCIE: ``1 + sum (l / 3) log_256 (l / 3)``. Higher is better.

    l are the eigenvalues of the 3x3 matrix of ``I(X; Y) / 8`` between the three images, with 1 on its diagonal. No
    gradient.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0.80188, 1], without a unit; 0.80188 where no image depends on another. It
        is more where the sources depend on each other, even if the fused image is constant.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Wang, Shen and Jin, in Image Fusion: Algorithms and Applications (ed. Stathaki) 2008.

    Example:
        >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None]
        >>> round(nonlinear_correlation_information_entropy(board * 0, board, board * 0).item(), 5)
        0.80188
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    one = torch.ones_like(shared_information(f, a))
    ab, af, bf = (shared_information(*pair) / 8 for pair in ((a, b), (f, a), (f, b)))
    rows = (torch.stack(row, -1) for row in ((one, ab, af), (ab, one, bf), (af, bf, one)))
    shares = torch.linalg.eigvalsh(torch.stack(tuple(rows), -2)).clamp(min=0) / 3
    score: Tensor = 1 - torch.special.entr(shares).sum(-1) / math.log(256)
    return score


def cross_entropy(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Cross entropy CE: mean over the sources of ``sum h_x log2(h_x / h_f)``. Lower is better. No gradient.

    h are 256-bin histograms; levels that one of the two lacks are left out. That is a divergence only where the fused
    image has all levels of the source: else it is too small, down to slightly below 0.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64, at least -0.531, in bit; 0 where all three images are the same, and where the
        fused image shares no level with the sources.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Bulanon, Burks and Alchanatis, Biosystems Engineering 2009, as the VIFB benchmark computes it.

    Example:
        >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None]
        >>> cross_entropy(board, board, board * 0).item()
        0.5
    """

    def compare(source: Picture, fused: Picture) -> Tensor:
        share, share_of_source = histogram(fused), histogram(source)
        ratio = torch.where(share > 0, share_of_source / share, 1)
        return torch.xlogy(share_of_source, ratio).sum(1) / math.log(2)

    return average(compare, *pictures(fused, infrared, visible, data_range))
