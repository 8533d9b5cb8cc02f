"""Spatial frequency and average gradient in NumPy, as the CDDFuse evaluator (copied into MMDRFuse, HiFusion, Diff-IF)
and the Python ports of the MATLAB toolbox do; edge intensity as VIFB does, ported to the fastest Sobel, OpenCV's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

Levels = np.ndarray[Any, Any]


def spatial_frequency(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f = fused.astype(np.float64)
    return float(np.sqrt(np.mean(np.diff(f, axis=0) ** 2) + np.mean(np.diff(f, axis=1) ** 2)))


def average_gradient(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f = fused.astype(np.float64)
    height, width = f.shape
    across = np.empty_like(f)
    across[:, 0], across[:, -1] = f[:, 1] - f[:, 0], f[:, -1] - f[:, -2]
    across[:, 1:-1] = (f[:, 2:] - f[:, :-2]) / 2
    down = np.empty_like(f)
    down[0], down[-1] = f[1] - f[0], f[-1] - f[-2]
    down[1:-1] = (f[2:] - f[:-2]) / 2
    return float(np.sum(np.sqrt((across**2 + down**2) / 2)) / ((height - 1) * (width - 1)))


def edge_intensity(fused: Levels, infrared: Levels, visible: Levels) -> float:
    across = cv2.Sobel(fused, cv2.CV_64F, 1, 0, ksize=3, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Sobel(fused, cv2.CV_64F, 0, 1, ksize=3, borderType=cv2.BORDER_REPLICATE)
    return float(np.mean(np.sqrt(across**2 + down**2)))


PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {
    "SF": spatial_frequency,
    "AG": average_gradient,
    "EI": edge_intensity,
}
