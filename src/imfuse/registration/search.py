"""Where one picture may lie in another: every shift at every scale, by Fourier transforms of small copies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from imfuse.registration.features import Float, at_long_side, factors, resized, self_similarity
from imfuse.registration.transform import Transform, corners_of

_LONG = 80
_SCALES = np.geomspace(0.62, 1.6, 17)
"""Sizes of the moving picture, of that at which both are as long; a step of 6 % is 2 pixels at the ends."""
_LEAST_OVERLAP = 0.35
_APART = 4.0
"""Pixels of the small copy by which corners of two candidates differ."""


def candidates(moving: Float, fixed: Float, count: int) -> list[Transform]:
    """The likeliest shifts and scales of the moving picture in the fixed one, the best first.

    Args:
        moving: luminance (H, W).
        fixed: luminance of any other size.
        count: how many at most.

    Returns:
        Transforms from the moving picture to the fixed one, which differ clearly.
    """
    small = at_long_side(fixed, _LONG)
    features = self_similarity(small)
    found: list[tuple[float, Transform]] = []
    for scale in _SCALES * max(small.shape) / max(moving.shape):
        part = resized(moving, scale, scale)
        for score, x, y in _peaks(correlation(features, self_similarity(part)), features.shape, count):
            shift = Transform(np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]]), "similarity")
            # ``shift`` is that between the small copies.
            whole = shift.scaled(_inverse(factors(part, moving)), _inverse(factors(small, fixed)))
            found.append((score, whole))
    chosen: list[Transform] = []
    corners, far = corners_of((moving.shape[0], moving.shape[1])), _APART * max(fixed.shape) / max(small.shape)
    for _, one in sorted(found, key=lambda pair: -pair[0]):
        places = one.apply(corners)
        if all(np.linalg.norm(places - other.apply(corners), axis=1).mean() > far for other in chosen):
            chosen.append(one)
    return chosen[:count]


def correlation(fixed: Float, moving: Float) -> npt.NDArray[np.float64]:
    """Normalised correlation of features (C, H, W) over their overlap, for every shift of the moving ones.

    Returns:
        Entry (y, x) is that of a shift by x and y pixels, negative ones from the end; -1 where they overlap too little.
    """
    height, width = (
        fft.next_fast_len(a + b, real=True) for a, b in zip(fixed.shape[1:], moving.shape[1:], strict=True)
    )

    def spectrum(image: npt.NDArray[np.float32]) -> npt.NDArray[np.complex64]:
        return np.asarray(fft.rfft2(image, (height, width)))

    def product(first: npt.NDArray[np.complex64], second: npt.NDArray[np.complex64]) -> npt.NDArray[np.float64]:
        return np.asarray(fft.irfft2(first * second.conj(), (height, width)), np.float64)

    ones = [spectrum(np.ones(image.shape[1:], np.float32)) for image in (fixed, moving)]
    together = np.asarray(fft.irfft2((spectrum(fixed) * spectrum(moving).conj()).sum(0), (height, width)), np.float64)
    energies = product(spectrum((fixed**2).sum(0)), ones[1]) * product(ones[0], spectrum((moving**2).sum(0)))
    overlap = product(*ones) / min(fixed[0].size, moving[0].size)
    # A small overlap is alike by chance more often than a large one.
    weight = np.clip(overlap, 0, None) ** 0.25
    return np.where(overlap > _LEAST_OVERLAP, weight * together / np.sqrt(np.maximum(energies, 1e-6)), -1.0)


def _peaks(scores: npt.NDArray[np.float64], fixed: tuple[int, ...], count: int) -> list[tuple[float, float, float]]:
    """The highest scores with their shifts in x and y, no two of them close together."""
    left, peaks = scores.copy(), []
    for _ in range(count):
        y, x = np.unravel_index(int(left.argmax()), left.shape)
        peaks.append(
            (
                float(left[y, x]),
                float(_signed(int(x), fixed[2], left.shape[1])),
                float(_signed(int(y), fixed[1], left.shape[0])),
            )
        )
        rows, columns = (
            np.arange(at - 2, at + 3) % side for at, side in zip((int(y), int(x)), left.shape, strict=True)
        )
        left[np.ix_(rows, columns)] = -1
    return peaks


def _signed(index: int, side: int, period: int) -> int:
    """A shift by ``index``, of which those beyond the fixed picture count from the end."""
    return index if index < side else index - period


def _inverse(pair: tuple[float, float]) -> tuple[float, float]:
    return 1 / pair[0], 1 / pair[1]
