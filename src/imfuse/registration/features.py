"""What infrared and visible pictures of one scene have in common: how like itself a picture is round each pixel."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]


def self_similarity(picture: Float, radius: int = 2) -> Float:
    """Modality independent neighbourhood descriptor (MIND; Heinrich et al., Medical Image Analysis 2012).

    How little a small patch differs from its eight neighbours says where edges and corners are and how they run, and
    nothing of which side is bright, so that it is the same in pictures of different sensors.

    Args:
        picture: luminance (H, W) in [0, 1].
        radius: pixels from a patch to its neighbours.

    Returns:
        (8, H, W); each channel has the mean 0 over the picture, and all together the mean square 1.

    Example:
        >>> scene = np.random.default_rng(0).random((20, 30), np.float32)
        >>> features = self_similarity(scene)
        >>> features.shape, bool(np.allclose(features, self_similarity(1 - scene), atol=1e-4))
        ((8, 20, 30), True)
    """
    height, width = picture.shape
    padded = cv2.copyMakeBorder(picture, radius, radius, radius, radius, cv2.BORDER_REFLECT)
    steps = [(y, x) for y in (-radius, 0, radius) for x in (-radius, 0, radius) if (y, x) != (0, 0)]
    moved = (padded[radius + y :, radius + x :][:height, :width] for y, x in steps)
    distances = np.stack([cv2.GaussianBlur((other - picture) ** 2, (0, 0), 1.0) for other in moved])
    mean = distances.mean(0)
    # Where a picture is flat its noise would count as much as edges elsewhere.
    similar = np.exp(-distances / (mean + 0.1 * np.median(mean) + 1e-9))
    similar -= similar.mean((1, 2), keepdims=True)
    return np.asarray(similar / np.sqrt((similar**2).sum(0).mean() + 1e-12), np.float32)


def at_long_side(picture: Float, long: int) -> Float:
    """The picture with a longer side of ``long`` pixels where it has more; never enlarged."""
    factor = long / max(picture.shape)
    return resized(picture, factor, factor) if factor < 1 else picture


def resized(picture: Float, across: float, down: float) -> Float:
    """The picture by factors of its width and height, by means over areas; at least 8 pixels on a side."""
    height, width = picture.shape
    size = max(8, round(width * across)), max(8, round(height * down))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def factors(small: Float, large: Float) -> tuple[float, float]:
    """By which factors width and height of ``large`` became those of ``small``."""
    return small.shape[1] / large.shape[1], small.shape[0] / large.shape[0]
