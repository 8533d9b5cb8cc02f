"""Metrics from histograms as Python programs compute them.

Joint histograms are made by ``numpy.bincount``, the fastest way in use, each metric its own. The evaluator most copied,
CDDFuse's (MMDRFuse, HiFusion, Diff-IF), calls scikit-learn instead: ``MOST_COPIED`` has MI and QMI so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import mutual_info_score, normalized_mutual_info_score

Levels = np.ndarray[Any, Any]


def entropy(fused: Levels, infrared: Levels, visible: Levels) -> float:
    return _bits(np.bincount(fused.ravel(), minlength=256) / fused.size)


def mutual_information(fused: Levels, infrared: Levels, visible: Levels) -> float:
    total = 0.0
    for source in (infrared, visible):
        joint = _joint(source, fused)
        total += _bits(joint.sum(1)) + _bits(joint.sum(0)) - _bits(joint)
    return total


def mutual_information_in_scikit_learn(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f = fused.ravel()
    nats = mutual_info_score(f, infrared.ravel()) + mutual_info_score(f, visible.ravel())
    return float(nats / np.log(2))


def normalised(fused: Levels, infrared: Levels, visible: Levels) -> float:
    total = 0.0
    for source in (infrared, visible):
        joint = _joint(source, fused)
        alone = _bits(joint.sum(1)) + _bits(joint.sum(0))
        total += 2 * (alone - _bits(joint)) / alone
    return total


def normalised_in_scikit_learn(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f = fused.ravel()
    return sum(float(normalized_mutual_info_score(source.ravel(), f)) for source in (infrared, visible))


def tsallis_information(fused: Levels, infrared: Levels, visible: Levels, q: float = 0.43137) -> float:
    def entropy(x: Levels) -> float:
        shares = np.bincount(x.ravel(), minlength=256) / x.size
        return float((1 - np.sum(shares[shares > 0] ** q)) / (q - 1))

    def shared(x: Levels, y: Levels) -> float:
        joint = _joint(x, y)
        apart = np.outer(joint.sum(1), joint.sum(0))
        both = joint > 0
        return float((1 - np.sum(joint[both] ** q / apart[both] ** (q - 1))) / (1 - q))

    kept = shared(infrared, fused) + shared(visible, fused)
    return kept / (entropy(infrared) + entropy(visible) - shared(infrared, visible))


def nonlinear_correlation(fused: Levels, infrared: Levels, visible: Levels) -> float:
    def correlation(x: Levels, y: Levels) -> float:
        joint = _joint(x, y)
        return (_bits(joint.sum(1)) + _bits(joint.sum(0)) - _bits(joint)) / 8

    matrix = np.eye(3)
    matrix[0, 1] = matrix[1, 0] = correlation(infrared, visible)
    matrix[0, 2] = matrix[2, 0] = correlation(infrared, fused)
    matrix[1, 2] = matrix[2, 1] = correlation(visible, fused)
    return 1 - _bits(np.linalg.eigvalsh(matrix) / 3) / 8


def cross_entropy(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f = np.bincount(fused.ravel(), minlength=256) / fused.size
    total = 0.0
    for source in (infrared, visible):
        x = np.bincount(source.ravel(), minlength=256) / source.size
        both = (x > 0) & (f > 0)
        total += float(np.sum(x[both] * np.log2(x[both] / f[both])))
    return total / 2


def _joint(x: Levels, y: Levels) -> Levels:
    counts: Levels = np.bincount(256 * x.ravel().astype(np.int64) + y.ravel(), minlength=65536)
    return counts.reshape(256, 256) / x.size


def _bits(shares: Levels) -> float:
    present = shares[shares > 0]
    return float(-np.sum(present * np.log2(present)))


PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {
    "EN": entropy,
    "MI": mutual_information,
    "QMI": normalised,
    "QTE": tsallis_information,
    "QNCIE": nonlinear_correlation,
    "CE": cross_entropy,
}

MOST_COPIED: dict[str, Callable[[Levels, Levels, Levels], float]] = {
    "MI": mutual_information_in_scikit_learn,
    "QMI": normalised_in_scikit_learn,
}
