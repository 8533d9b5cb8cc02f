"""Features of images that feature mutual information compares: edges, gradients and coefficients of transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import pywt
import scipy.fft
import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.core.errors import MetricError
from imfuse.metrics._pictures import Picture
from imfuse.ops.windows import filter_separable

Feature = Literal["none", "gradient", "edge", "dct", "wavelet"]
"""``none``: the gray levels. ``gradient``: the horizontal derivative alone. ``edge``: a map of 0 and 1, Sobel edges.
``dct``: the orthonormal cosine transform of the whole image. ``wavelet``: one level of the discrete Meyer wavelet."""


def feature_of(picture: Picture, feature: Feature) -> Tensor:
    """The feature of each image, (N, 1, H, W) float64 without gradients; ``wavelet`` is larger than the image.

    Raises ``MetricError`` for an unknown feature.
    """
    if feature not in _FEATURES:
        raise MetricError(f"unknown feature {feature!r}; there are {', '.join(get_args(Feature))}")
    return picture.once(("feature", feature), lambda: _FEATURES[feature](picture.levels.detach()))


def _gradient(levels: Tensor) -> Tensor:
    """Central differences along the rows, one-sided in the first and the last column."""
    return torch.gradient(levels, dim=3)[0]


def _edges(levels: Tensor) -> Tensor:
    """1 at edges, else 0, as ``edge`` of Octave finds them by default.

    The squared Sobel gradient is cut off at 4 times its mean; what is left is an edge where it exceeds both neighbours
    in its row or both in its column. All are whole numbers: no rounding decides an edge.
    """
    smooth, slope = levels.new_tensor([1.0, 2.0, 1.0]), levels.new_tensor([-1.0, 0.0, 1.0])
    across = filter_separable(levels, slope, smooth, border="replicate")
    down = filter_separable(levels, smooth, slope, border="replicate")
    strength = across.square() + down.square()
    strength = strength.where(strength > 4 * strength.mean((1, 2, 3), keepdim=True), 0)
    around = F.pad(strength, (1, 1, 1, 1))
    left, right = around[:, :, 1:-1, :-2], around[:, :, 1:-1, 2:]
    above, below = around[:, :, :-2, 1:-1], around[:, :, 2:, 1:-1]
    crest = (strength > left) & (strength > right) | (strength > above) & (strength > below)
    return crest.double()


def _cosines(levels: Tensor) -> Tensor:
    planes = [scipy.fft.dctn(plane, norm="ortho") for plane in levels[:, 0].cpu().numpy()]
    return torch.from_numpy(np.stack(planes)[:, None]).to(levels.device)


def _wavelets(levels: Tensor) -> Tensor:
    """The four subbands as tiles ``[[mean, horizontal], [vertical, diagonal]]``, brought to 0..1 by their extremes."""
    mean, (horizontal, vertical, diagonal) = pywt.dwt2(levels.cpu().numpy(), "dmey", mode="symmetric")
    tiles = np.concatenate([np.concatenate([mean, horizontal], 3), np.concatenate([vertical, diagonal], 3)], 2)
    low, high = tiles.min((2, 3), keepdims=True), tiles.max((2, 3), keepdims=True)
    return torch.from_numpy((tiles - low) / np.where(high > low, high - low, 1)).to(levels.device)


_FEATURES: dict[Feature, Callable[[Tensor], Tensor]] = {
    "none": lambda levels: levels,
    "gradient": _gradient,
    "edge": _edges,
    "dct": _cosines,
    "wavelet": _wavelets,
}
