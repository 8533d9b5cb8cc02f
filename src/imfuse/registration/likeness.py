"""How alike two scans are whose grays mean different things: mutual information and self-similarity."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.registration.features import Float, at_long_side, factors, self_similarity
from imfuse.registration.transform import Transform

BINS = 16
Histogram = npt.NDArray[np.float64]


class Likeness:
    """Two scans at one working size, and how alike they are under a transform.

    Args:
        moving: luminance (H, W).
        fixed: luminance of any other size.
        long: pixels of the longer sides, where the pictures have as many.
    """

    def __init__(self, moving: Float, fixed: Float, long: int) -> None:
        small = at_long_side(moving, long), at_long_side(fixed, long)
        self._factors = factors(small[0], moving), factors(small[1], fixed)
        self._moving, self._size = small[0], (small[1].shape[1], small[1].shape[0])
        self._centres = bin_centres(small[0])
        self._shares = soft_bins(small[1], bin_centres(small[1])).reshape(BINS, -1)
        self._fixed = _blurred_similarity(small[1])
        self._features = _blurred_similarity(small[0])

    def __call__(self, transform: Transform) -> float:
        """Mutual information plus correlation of self-similarity: one knows any relation of grays, the other edges."""
        return self.information(transform) + self.similarity(transform)

    def information(self, transform: Transform) -> float:
        """Mutual information of the grays, in nats."""
        moved = np.asarray(cv2.warpAffine(self._moving, self._small(transform), self._size), np.float32)
        return mutual_information(np.dot(self._shares, soft_bins(moved, self._centres).reshape(BINS, -1).T))

    def similarity(self, transform: Transform) -> float:
        """Normalised correlation of self-similarity."""
        matrix, border = self._small(transform), cv2.BORDER_REPLICATE
        moved = [cv2.warpAffine(part, matrix, self._size, borderMode=border) for part in self._features]
        pairs = list(zip(moved, self._fixed, strict=True))
        together = sum(float((one * other).sum()) for one, other in pairs)
        energies = (sum(float((side**2).sum()) for side in sides) for sides in zip(*pairs, strict=True))
        return together / max(float(np.sqrt(np.prod(list(energies)))), 1e-9)

    def _small(self, transform: Transform) -> npt.NDArray[np.float64]:
        return np.asarray(transform.scaled(*self._factors).matrix[:2], np.float64)


def bin_centres(picture: Float, bins: int = BINS) -> npt.NDArray[np.float64]:
    """Grays that stand for bins: the darkest for the background, and quantiles of what is brighter.

    Equal steps would leave the faint rim of a head in the bin of the background, and the rim says where the head is.
    """
    low, high = float(picture.min()), float(picture.max())
    shown = picture[picture > low + 0.02 * (high - low)]
    quantiles = (
        np.quantile(shown, (np.arange(bins - 1) + 0.5) / (bins - 1)) if shown.size else np.linspace(0, 1, bins - 1)
    )
    # Equal quantiles need an order.
    return np.asarray(np.maximum.accumulate(np.append(low, quantiles)) + np.arange(bins) * 1e-6, np.float64)


def soft_bins(picture: Float, centres: npt.NDArray[np.float64]) -> Float:
    """How much of each pixel belongs to each bin, (bins, H, W): shared by the two nearest, by distance.

    >>> soft_bins(np.float32([[0, 0.25, 1]]), np.array([0.0, 0.5, 1.0]))[:, 0].tolist()
    [[1.0, 0.5, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    places = np.interp(picture, centres, np.arange(len(centres)))
    return np.asarray(np.maximum(0, 1 - np.abs(places - np.arange(len(centres))[:, None, None])), np.float32)


def mutual_information(joint: npt.NDArray[np.floating]) -> float:
    """Of a joint histogram (bins, bins), in nats.

    >>> round(mutual_information(np.eye(2)), 3), mutual_information(np.ones((2, 2)))
    (0.693, 0.0)
    """
    return float(mutual_informations(joint[None])[0])


def mutual_informations(joint: npt.NDArray[np.floating]) -> Histogram:
    """Of joint histograms (N, bins, bins)."""
    shares = np.maximum(joint, 0) / np.maximum(joint.sum((1, 2), keepdims=True), 1e-12)

    def entropy(share: Histogram) -> Histogram:
        return np.asarray(-(share * np.log(np.maximum(share, 1e-12))).reshape(len(share), -1).sum(1), np.float64)

    return entropy(shares.sum(1)) + entropy(shares.sum(2)) - entropy(shares)


def _blurred_similarity(picture: Float) -> list[Float]:
    """Features at the resolution of PET and SPECT, as (H, W, 4) each: OpenCV moves four channels at a time."""
    sigma = max(picture.shape) / 128
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
    features = self_similarity(blurred, max(1, round(1.5 * sigma))).transpose(1, 2, 0)
    return [np.ascontiguousarray(features[..., first : first + 4]) for first in range(0, features.shape[2], 4)]
