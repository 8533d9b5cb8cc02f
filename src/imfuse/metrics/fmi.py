"""Feature mutual information FMI: how much of the sources' features, 3x3 pixels at a time, the fused image keeps."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from imfuse.metrics._fmi_windows import POINT, WindowScores
from imfuse.metrics._pictures import Image, at_least, pictures
from imfuse.metrics.features import Feature, feature_of

_CHUNK = 4000
"""Windows at a time on the CPU: few enough for the cache."""
_TABLES = 65536
"""Joint tables at a time elsewhere, 42 MB each."""
_NOISE = 1e-12
"""A window is flat if it varies by no more than this share of the feature's largest magnitude: transforms round."""


def feature_mutual_information(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0, *, feature: Feature = "none"
) -> Tensor:
    """Feature mutual information FMI of 3x3 windows. Higher is better. No gradient.

    Mean over all 3x3 windows and both sources of ``2 (H(s) + H(f) - H(s, f)) / (H(s) + H(f))``: the nine values of a
    window of the feature, less their minimum and over their sum, are taken as probabilities of the places 1..9,
    column by column.

    The joint distribution is a mixture: ``phi`` of the one with the largest correlation of places (the smallest, where
    the windows' values are negatively correlated), ``1 - phi`` of independence. ``phi`` is the correlation of the
    values over that largest correlation; it may exceed 1, and logarithms are then of magnitudes. Equal windows score 1,
    and so do two flat ones; a flat window and one that is not score 0.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 3.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.
        feature: what is compared: ``none``, the gray levels; ``gradient``, horizontal differences; ``edge``, Sobel
            edges; ``dct`` or ``wavelet``, coefficients of the whole image. MATLAB toolboxes call the function without
            one for their "FMI_pixel" and so get ``edge`` instead of ``none``. ``wavelet`` has filters of 62 taps where
            MATLAB's ``dmey`` has 102: figures of MATLAB cannot be met.

    Returns:
        One value per image, (N,) float64, usually in [0, 1], without a unit; never nan.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, the shapes differ, or the feature is
            unknown.

    Source:
        Haghighat, Aghagolzadeh and Seyedarabi, Computers and Electrical Engineering 2011; the fast form of Haghighat
        and Razian, AICT 2014.

    Example:
        >>> image = torch.arange(25.0).view(1, 1, 5, 5).sin() ** 2
        >>> feature_mutual_information(image, image, 1 - image).item() > 0.5
        True
    """
    triple = pictures(fused, infrared, visible, data_range)
    at_least(triple[0].levels, 3, "feature mutual information")
    images = [feature_of(part, feature) for part in triple]
    on_cpu = _by_kinds if feature == "edge" else _by_chunks
    score = on_cpu if images[0].device.type == "cpu" else _by_tables
    return images[0].new_tensor([score(*planes) for planes in zip(*(image[:, 0] for image in images), strict=True)])


def _by_chunks(fused: Tensor, infrared: Tensor, visible: Tensor) -> float:
    """Score of three planes, in chunks of windows of the planes as one long row.

    So windows are slices; those over the end of a line are computed too, and dropped.
    """
    height, width = fused.shape
    planes = np.stack([plane.numpy().ravel() for plane in (fused, infrared, visible)])
    low = _over_windows(np.minimum, planes, width)
    same = _over_windows(np.logical_and, planes[1:] == planes[0], width)
    tolerance = _NOISE * float(np.abs(planes).max())
    count = low.shape[1]
    size = min(_CHUNK, count)
    starts = [min(start, count - size) for start in range(0, count, size)]
    scores = np.zeros((2, count + 2))

    def fill(some: list[int]) -> None:
        chunk = WindowScores(2, size)
        for first in some:
            bottom = low[:, first : first + size]
            for place in range(9):
                column, row = divmod(place, 3)
                shift = first + row * width + column
                np.subtract(planes[:, shift : shift + size], bottom, out=chunk.windows[place])
            scores[:, first : first + size] = chunk.scores(same[:, first : first + size], tolerance)

    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        # NumPy works on one core, but lets other threads run meanwhile. A list: errors of threads show up here.
        list(pool.map(fill, (starts[i::threads] for i in range(threads))))
    return float(scores.reshape(2, height - 2, width)[:, :, : width - 2].mean())


def _over_windows(combine: np.ufunc, rows: NDArray[Any], width: int) -> NDArray[Any]:
    """Combine the values of each 3x3 window of planes that are one long row each."""
    rows = combine(combine(rows[:, : -2 * width], rows[:, width:-width]), rows[:, 2 * width :])
    across: NDArray[Any] = combine(combine(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return across


def _by_kinds(fused: Tensor, infrared: Tensor, visible: Tensor) -> float:
    """Score of three planes of 0 and 1, whose windows are of 512 kinds: each pair of kinds is scored once."""
    first, *others = (_codes(plane.numpy().astype(np.int64)) for plane in (fused, infrared, visible))
    counts = np.bincount(np.concatenate([first * 512 + other for other in others]).ravel(), minlength=512 * 512)
    pairs = np.flatnonzero(counts)
    total = 0.0
    for part in np.array_split(pairs, math.ceil(len(pairs) / _CHUNK)):
        kinds = np.stack([part // 512, part % 512])
        windows = (kinds >> np.arange(9)[:, None, None] & 1).astype(np.float64)
        chunk = WindowScores(1, len(part))
        np.subtract(windows, windows.min(0), out=chunk.windows)
        total += float(chunk.scores((kinds[0] == kinds[1])[None], 0)[0] @ counts[part])
    return total / float(counts.sum())


def _codes(plane: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nine bits of each 3x3 window as a number, column by column."""
    height, width = plane.shape
    code = np.zeros((height - 2, width - 2), np.int64)
    for place in range(9):
        column, row = divmod(place, 3)
        code |= plane[row : row + height - 2, column : column + width - 2] << place
    return code


def _by_tables(fused: Tensor, infrared: Tensor, visible: Tensor) -> float:
    """Score of three planes on any device, by the 9x9 joint table of each window: the definition, word for word."""
    planes = torch.stack([fused, infrared, visible])
    windows = planes.unfold(1, 3, 1).unfold(2, 3, 1).transpose(-1, -2).reshape(3, -1, 9)
    tolerance = _NOISE * planes.abs().max()
    total = planes.new_zeros(())
    for first, *others in zip(*(part.split(_TABLES) for part in windows), strict=True):
        for other in others:
            total += _table_scores(first, other, tolerance).sum()
    return total.item() / (2 * windows.shape[1])


def _table_scores(fused: Tensor, source: Tensor, tolerance: Tensor) -> Tensor:
    """Normalised mutual information of windows (n, 9) with windows (n, 9)."""
    (p, flat_p), (q, flat_q) = _shares(fused, tolerance), _shares(source, tolerance)
    place = torch.arange(-4, 5, dtype=p.dtype, device=p.device)
    spread = _variance(p, place) * _variance(q, place)
    deviation_p, deviation_q = p - 1 / 9, q - 1 / 9
    covariance = (deviation_p * deviation_q).sum(1)
    above, beside = p.cumsum(1)[:, :, None], q.cumsum(1)[:, None, :]
    opposed = (covariance < 0)[:, None, None]
    bound = torch.where(opposed, (above + beside - 1).clamp_min(0), torch.minimum(above, beside))
    extreme = (bound - above * beside).sum((1, 2))
    norm = deviation_p.square().sum(1) * deviation_q.square().sum(1)
    related = (spread > 0) & (extreme * covariance > 0)
    phi = torch.where(related, covariance * (spread / norm).sqrt() / extreme, 0)[:, None, None]
    table = phi * F.pad(bound, (1, 0, 1, 0)).diff(dim=1).diff(dim=2) + (1 - phi) * p[:, :, None] * q[:, None, :]
    entropies = _entropy(p) + _entropy(q)
    score = torch.where(entropies > 0, 2 * (entropies - _entropy(table.flatten(1))) / entropies, 0)
    score = torch.where(flat_p | flat_q, 0, score)
    return torch.where((fused == source).all(1) | (flat_p & flat_q), 1, score)


def _shares(windows: Tensor, tolerance: Tensor) -> tuple[Tensor, Tensor]:
    windows = windows - windows.amin(1, keepdim=True)
    total = windows.sum(1, keepdim=True)
    flat = total <= tolerance
    return torch.where(flat, 1 / 9, windows / total), flat[:, 0]


def _variance(share: Tensor, place: Tensor) -> Tensor:
    variance = share @ place.square() - (share @ place).square()
    return variance.where(variance > POINT, 0)


def _entropy(share: Tensor) -> Tensor:
    """In bit; negative shares, which tables may have, count with the logarithm of their magnitude."""
    return -(share * share.abs().where(share != 0, 1).log2()).sum(1)
