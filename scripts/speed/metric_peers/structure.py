"""SSIM and MS-SSIM as Python evaluators compute them.

SSIM: scikit-image, with its default window in the CDDFuse evaluator and its copies, with the Gaussian one elsewhere.
MS-SSIM: Gaussian windows by torch convolutions in float32, one axis after the other, as pytorch-msssim does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional as F

Levels = np.ndarray[Any, Any]


def uniform(fused: Levels, infrared: Levels, visible: Levels) -> float:
    """Sum over both sources, of levels as floats with a range of 2."""
    f, *sources = (image.astype(np.float64) for image in (fused, infrared, visible))
    return sum(float(structural_similarity(source, f, data_range=2)) for source in sources)


def gaussian(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, *sources = (image.astype(np.float64) for image in (fused, infrared, visible))
    constants = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return sum(float(structural_similarity(source, f, **constants)) for source in sources) / 2


def multi_scale(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, *sources = (torch.from_numpy(image.astype(np.float32))[None, None] for image in (fused, infrared, visible))
    return sum(_multi_scale(source, f) for source in sources) / 2


def _multi_scale(x: Tensor, y: Tensor) -> float:
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    product = 1.0
    for scale, weight in enumerate(weights):
        similarity, structure = _similarity(x, y)
        product *= max(similarity if scale == 4 else structure, 0) ** weight
        odd = [size % 2 for size in x.shape[2:]]
        x, y = (F.avg_pool2d(image, 2, padding=odd) for image in (x, y))
    return product


def _similarity(x: Tensor, y: Tensor) -> tuple[float, float]:
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    structure = (2 * covariance + 58.5225) / (var_x + var_y + 58.5225)
    similarity = (2 * mean_x * mean_y + 6.5025) / (mean_x**2 + mean_y**2 + 6.5025) * structure
    return similarity.mean().item(), structure.mean().item()


def _blur(x: Tensor) -> Tensor:
    place = torch.arange(11) - 5.0
    window = torch.exp(-place.square() / (2 * 1.5**2))
    window /= window.sum()
    return F.conv2d(F.conv2d(x, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))


PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {
    "SSIM": gaussian,
    "SSIM refinefuse": uniform,
    "MS_SSIM": multi_scale,
}
