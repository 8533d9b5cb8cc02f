"""Metrics from histograms: what the gray levels of the fused image tell of those of the sources.

They count pixels at levels and so have no gradient: they are of no use as losses. Programs that first stretch each
image to 0..255 (the survey toolbox, VIFB) get the same values: that renames the levels of an 8-bit image and never
merges two.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics._histograms import entropy_in, entropy_of, histogram, joint_histogram, shared_information
from imfuse.metrics._pictures import Image, Picture, average, picture, pictures, ratio_or_nan

Divisor = Literal["tsallis", "shannon", "none"]
"""What Tsallis information is divided by: entropies of Tsallis, powers of Shannon's, or nothing."""


def entropy(fused: Image, data_range: float = 1.0) -> Tensor:
    """Entropy EN of the 256-bin histogram, in bit: ``-sum h log2 h``, in [0, 8]. Higher is better. No gradient.

    Roberts, van Aardt and Ahmed, Journal of Applied Remote Sensing 2008.

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
    merge_top: bool = False,
    of_rows: bool = False,
) -> Tensor:
    """Mutual information MI: ``I(infrared; fused) + I(visible; fused)``. Higher is better. No gradient.

    ``I(X; F) = H(X) + H(F) - H(X, F)`` from the 256x256 joint histogram. In [0, 16] bit; 0 where the fused image or
    both sources are constant, ``2 H(fused)`` where all three are the same. Qu, Zhang and Yan, Electronics Letters 2002.

    Args:
        fused: (N, 1, H, W) in [0, data_range].
        infrared: its first source.
        visible: its second source.
        data_range: highest value of the images.
        unit: ``nat`` (0.693 bit) is what scikit-learn and the programs that call it give.
        merge_top: an accident: levels 254 and 255 fall into one bin of the joint histogram, though not of the others;
            8-bit arithmetic saturates there. Too high for images with white areas.
        of_rows: an accident: ``2 H(fused)``, whatever the sources; matrices were given to a function of columns.

    >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None]
    >>> mutual_information(board, board, 1 - board).item()
    2.0
    """
    f, *sources = pictures(fused, infrared, visible, data_range)
    compare = _entropy_of_fused if of_rows else _with_top_merged if merge_top else _shared_with
    bits = 2 * average(compare, f, *sources)
    return bits * math.log(2) if unit == "nat" else bits


def _shared_with(source: Picture, fused: Picture) -> Tensor:
    return shared_information(fused, source)


def _entropy_of_fused(source: Picture, fused: Picture) -> Tensor:
    return entropy_in(fused)


def _with_top_merged(source: Picture, fused: Picture) -> Tensor:
    joint = joint_histogram(fused, source).clone()
    for rows in (joint, joint.transpose(1, 2)):
        rows[:, 254] += rows[:, 255]
        rows[:, 255] = 0
    return entropy_in(fused) + entropy_in(source) - entropy_of(joint)


def normalised_mutual_information(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Normalised mutual information QMI: sum over the sources of ``2 I(X; F) / (H(X) + H(F))``. Higher is better.

    In [0, 2]; 2 where all three images are the same. nan where the fused image and a source are constant. No gradient.
    Hossny, Nahavandi and Creighton, Electronics Letters 2008.

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
    divisor: Divisor = "tsallis",
    exchanged: bool = False,
) -> Tensor:
    """Tsallis information QTE: ``(I(A; F) + I(B; F)) / (H(A) + H(B) - I(A; B))``. Higher is better. No gradient.

    ``I(X; F) = (1 - sum p_xf^q / (p_x p_f)^(q - 1)) / (1 - q)`` over the joint histogram,
    ``H(X) = (1 - sum p^q) / (q - 1)``; A is infrared, B visible. In [0, 2]; 0 where the fused image is constant, nan
    where both sources are. Cvejic, Canagarajah and Bull, Electronics Letters 2006 (order 1.85, no divisor); Nava,
    Cristobal and Escalante-Ramirez, 2007 (order 0.43137; the divisor is this library's reading).

    Args:
        fused: (N, 1, H, W) in [0, data_range].
        infrared: its first source.
        visible: its second source.
        data_range: highest value of the images.
        order: q, positive and not 1. With a divisor, q < 1: above, information outgrows entropy and signs turn.
        divisor: ``none``, or ``shannon`` for ``H(A)^q + H(B)^q + I(A; B)`` with Shannon's entropies in bit, as the
            survey toolbox has it.
        exchanged: an accident: of images stretched to 0..255 each, level i of X and level j of F together are compared
            with level i of F and level j of X. nan where an image is constant and not black.

    >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None]
    >>> round(tsallis_information(board, board, board, order=0.5).item(), 9)
    1.093836321
    """
    triple = pictures(fused, infrared, visible, data_range)
    if order <= 0 or order == 1:
        raise MetricError(f"the order of Tsallis information must be positive and not 1, found {order}")
    f, a, b = (stretched(image) for image in triple) if exchanged else triple
    score = _relative(f, a, order, exchanged) + _relative(f, b, order, exchanged)
    if divisor == "tsallis":
        score = _quotient(score, _tsallis(a, order) + _tsallis(b, order) - _relative(a, b, order, exchanged))
    elif divisor == "shannon":
        powers = entropy_in(a) ** order + entropy_in(b) ** order
        score = _quotient(score, powers + _relative(a, b, order, exchanged))
    if exchanged:
        score = torch.where(torch.stack([_is_flat_gray(image) for image in triple]).any(0), torch.nan, score)
    return score


def _relative(first: Picture, second: Picture, order: float, exchanged: bool) -> Tensor:
    """Tsallis information of two pictures; the sum over cells is a product of vector, table and vector."""
    down, across = (_powers(histogram(image), 1 - order) for image in (first, second))
    if exchanged:
        down, across = across, down
    cells = joint_histogram(first, second).pow(order)
    return (1 - torch.einsum("ni,nij,nj->n", down, cells, across)) / (1 - order)


def _tsallis(image: Picture, order: float) -> Tensor:
    return (1 - _powers(histogram(image), order).sum(1)) / (order - 1)


def _powers(shares: Tensor, exponent: float) -> Tensor:
    """Powers of the shares above zero, and 0 for the others."""
    return torch.where(shares > 0, shares, 1).pow(exponent).where(shares > 0, 0)


def _quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Quotient of either sign, and nan where the denominator is zero."""
    return torch.where(denominator != 0, numerator / denominator, torch.nan)


def stretched(image: Picture) -> Picture:
    """The picture with its levels spread over 0..255, halves rounded up; a constant one becomes black."""

    def compute() -> Picture:
        low, high = image.levels.detach().flatten(1).aminmax(dim=1, keepdim=True)
        spread = 255 * (image.levels.detach() - low[..., None, None]) / (high - low).clamp(min=1)[..., None, None]
        return Picture(torch.floor(spread + 0.5), 255)

    return image.once("stretched", compute)


def _is_flat_gray(image: Picture) -> Tensor:
    low, high = image.levels.detach().flatten(1).aminmax(dim=1)
    return (low == high) & (high > 0)


def nonlinear_correlation_information_entropy(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """Nonlinear correlation information entropy QNCIE: ``1 + sum (l / 3) log_256 (l / 3)``. Higher is better.

    l are the eigenvalues of the 3x3 matrix of ``I(X; Y) / 8`` between the three images, with 1 on its diagonal. In
    [0.80188, 1]; 0.80188 where no image tells anything of another. It stays above where the sources tell of each other,
    even if the fused image is constant. No gradient. Wang, Shen and Jin, in Image Fusion (Stathaki), 2008.

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
    """Cross entropy CE: mean over the sources of ``sum h_x log2(h_x / h_f)``, in bit. Lower is better. No gradient.

    h are 256-bin histograms; levels that one of the two lacks are left out. That is a divergence only where the fused
    image has all levels of the source: else it is too small, down to slightly below 0, and 0 where they share no level.
    0 where all three images are the same. Bulanon, Burks and Alchanatis, Biosystems Engineering 2009.

    >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None]
    >>> cross_entropy(board, board, board * 0).item()
    0.5
    """

    def compare(source: Picture, fused: Picture) -> Tensor:
        ours, theirs = histogram(fused), histogram(source)
        ratio = torch.where(ours > 0, theirs / ours, 1)
        return torch.xlogy(theirs, ratio).sum(1) / math.log(2)

    return average(compare, *pictures(fused, infrared, visible, data_range))
