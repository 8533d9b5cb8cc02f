"""Feature mutual information in NumPy, as ports of the authors' MATLAB code compute it: nine probabilities per window,
a 9x9 joint table from the Frechet bounds, its entropy. The ports loop over windows and take minutes per image; here
some hundred windows go through each step together, the fastest that the same steps can be had with arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pywt
from scipy.fft import dctn
from scipy.signal import convolve2d

Levels = np.ndarray[Any, Any]
CHUNK = 512
PLACES = np.arange(1.0, 10.0)
SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8


def feature_mutual_information(feature: str, fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = (_windows(FEATURES[feature](image.astype(np.float64))) for image in (fused, infrared, visible))
    total = 0.0
    for start in range(0, len(f), CHUNK):
        part = slice(start, start + CHUNK)
        total += _scores(f[part], a[part]).sum() + _scores(f[part], b[part]).sum()
    return float(total / (2 * len(f)))


def _windows(feature: Levels) -> Levels:
    windows = np.lib.stride_tricks.sliding_window_view(feature, (3, 3))
    return windows.transpose(0, 1, 3, 2).reshape(-1, 9)


def _scores(fused: Levels, source: Levels) -> Levels:
    (p, flat_p), (q, flat_q) = _shares(fused), _shares(source)
    p_sums, q_sums = p.cumsum(1)[:, :, None], q.cumsum(1)[:, None, :]
    p_rest, q_rest = p - 1 / 9, q - 1 / 9
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = (p_rest * q_rest).sum(1) / np.sqrt((p_rest**2).sum(1) * (q_rest**2).sum(1))
        upper = (correlation >= 0)[:, None, None]
        bound = np.where(upper, np.minimum(p_sums, q_sums), np.maximum(p_sums + q_sums - 1, 0))
        covariance = (bound - p_sums * q_sums).sum((1, 2))
        variances = _variance(p) * _variance(q)
        phi = np.where(variances > 1e-24, correlation * np.sqrt(variances) / covariance, 0)
        phi = np.nan_to_num(phi)[:, None, None]
        joint = phi * np.diff(np.diff(bound, axis=1, prepend=0), axis=2, prepend=0)
        joint += (1 - phi) * p[:, :, None] * q[:, None, :]
        entropies = _entropy(p) + _entropy(q)
        scores = np.nan_to_num(2 * (entropies - _entropy(joint.reshape(-1, 81))) / entropies)
    scores[flat_p != flat_q] = 0
    scores[(flat_p & flat_q) | (fused == source).all(1)] = 1
    return scores


def _shares(windows: Levels) -> tuple[Levels, Levels]:
    low, high = windows.min(1, keepdims=True), windows.max(1, keepdims=True)
    flat = low == high
    scaled = np.where(flat, 1, (windows - low) / np.where(flat, 1, high - low))
    return scaled / scaled.sum(1, keepdims=True), flat[:, 0]


def _variance(share: Levels) -> Levels:
    return np.maximum(share @ PLACES**2 - (share @ PLACES) ** 2, 0)


def _entropy(share: Levels) -> Levels:
    return -(share * np.log2(np.where(share == 0, 1, np.abs(share)))).sum(1)


def _edges(image: Levels) -> Levels:
    padded = np.pad(image, 1, mode="edge")
    strength = convolve2d(padded, SOBEL, mode="valid") ** 2 + convolve2d(padded, SOBEL.T, mode="valid") ** 2
    strength[strength <= 4 * strength.mean()] = 0
    p = np.pad(strength, 1)
    across = (strength > p[1:-1, :-2]) & (strength > p[1:-1, 2:])
    down = (strength > p[:-2, 1:-1]) & (strength > p[2:, 1:-1])
    return (across | down).astype(np.float64)


def _wavelets(image: Levels) -> Levels:
    mean, (horizontal, vertical, diagonal) = pywt.dwt2(image, "dmey", mode="symmetric")
    tiles = np.block([[mean, horizontal], [vertical, diagonal]])
    return (tiles - tiles.min()) / (tiles.max() - tiles.min())


FEATURES: dict[str, Callable[[Levels], Levels]] = {
    "FMI": lambda image: image,
    "FMI_gradient": lambda image: np.gradient(image, axis=1),
    "FMI_edge": _edges,
    "FMI_dct": lambda image: dctn(image, norm="ortho"),
    "FMI_w": _wavelets,
}
PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {
    symbol: partial(feature_mutual_information, symbol) for symbol in FEATURES
}
