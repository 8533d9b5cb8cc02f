"""VIF as Python ports compute it: full two-dimensional windows by ``scipy.signal.convolve2d``, all statistics anew for
each source. So do the CDDFuse evaluator (copied into MMDRFuse, HiFusion, Diff-IF) and the ports of the MATLAB toolbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.signal import convolve2d

Levels = np.ndarray[Any, Any]


def visual_information_fidelity(fused: Levels, infrared: Levels, visible: Levels) -> float:
    return _share(infrared, fused) + _share(visible, fused)


def _share(source: Levels, fused: Levels) -> float:
    x, y = source.astype(np.float64), fused.astype(np.float64)
    kept = total = 0.0
    for scale in range(1, 5):
        window = _window(2 ** (5 - scale) + 1)
        if scale > 1:
            x, y = (convolve2d(image, window, mode="valid")[::2, ::2] for image in (x, y))
        mean_x, mean_y = (convolve2d(image, window, mode="valid") for image in (x, y))
        var_x = np.maximum(convolve2d(x * x, window, mode="valid") - mean_x**2, 0)
        var_y = np.maximum(convolve2d(y * y, window, mode="valid") - mean_y**2, 0)
        covariance = convolve2d(x * y, window, mode="valid") - mean_x * mean_y

        gain = covariance / (var_x + 1e-10)
        noise = var_y - gain * covariance
        flat = var_x < 1e-10
        gain[flat], noise[flat], var_x[flat] = 0, var_y[flat], 0
        flat = var_y < 1e-10
        gain[flat], noise[flat] = 0, 0
        negative = gain < 0
        gain[negative], noise[negative] = 0, var_y[negative]
        noise = np.maximum(noise, 1e-10)
        kept += float(np.log10(1 + gain**2 * var_x / (noise + 2)).sum())
        total += float(np.log10(1 + var_x / 2).sum())
    return kept / total


def _window(size: int) -> Levels:
    place = np.arange(size) - (size - 1) / 2
    window = np.exp(-(place[:, None] ** 2 + place**2) / (2 * (size / 5) ** 2))
    return window / window.sum()


PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {"VIF": visual_information_fidelity}
