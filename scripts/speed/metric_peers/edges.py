"""Edge metrics as public Python evaluators compute them, in NumPy and SciPy.

Qabf: as the evaluator that CDDFuse published and its many copies: 2-D convolutions, three images at a time, no memory.
Nabf: as the Python ports of Shreyamsha Kumar's code: the whole of Petrovic's account, of which one number is returned.
QG, Qabf_p and Labf have no public Python evaluator that we know of.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.signal import convolve2d

Levels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

ACROSS = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)
DOWN = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]], float)


def gradient_quality(fused: Levels, infrared: Levels, visible: Levels) -> float:
    def edges(image: Levels) -> tuple[Floats, Floats]:
        across = convolve2d(image.astype(float), ACROSS, mode="same")
        down = convolve2d(image.astype(float), DOWN, mode="same")
        angle = np.full_like(across, np.pi / 2)
        sloped = across != 0
        angle[sloped] = np.arctan(down[sloped] / across[sloped])
        return np.sqrt(across**2 + down**2), angle

    def quality(strength: Floats, angle: Floats) -> Floats:
        similar = np.zeros_like(strength)
        weaker, stronger = strength > strength_f, strength < strength_f
        similar[weaker] = strength_f[weaker] / strength[weaker]
        similar[stronger] = strength[stronger] / strength_f[stronger]
        same = strength == strength_f
        similar[same] = strength_f[same]
        aligned = 1 - np.abs(angle - angle_f) / (np.pi / 2)
        return 0.9994 / (1 + np.exp(-15 * (similar - 0.5))) * 0.9879 / (1 + np.exp(-22 * (aligned - 0.8)))

    strength_f, angle_f = edges(fused)
    strength_a, angle_a = edges(infrared)
    strength_b, angle_b = edges(visible)
    kept = quality(strength_a, angle_a) * strength_a + quality(strength_b, angle_b) * strength_b
    return float(kept.sum() / (strength_a + strength_b).sum())


def fusion_artefacts(fused: Levels, infrared: Levels, visible: Levels) -> float:
    def edges(image: Levels) -> tuple[Floats, Floats]:
        padded = np.pad(image.astype(float), 1, mode="reflect")
        across = convolve2d(padded, ACROSS[::-1, ::-1] / 8, mode="valid")
        down = convolve2d(padded, DOWN / 8, mode="valid")
        angle = np.zeros_like(across)
        some = (across != 0) | (down != 0)
        with np.errstate(divide="ignore"):
            angle[some] = np.arctan(across[some] / down[some])
        return np.sqrt(across**2 + down**2), angle

    def quality(strength: Floats, angle: Floats) -> Floats:
        both = (strength != 0) & (strength_f != 0)
        similar = np.zeros_like(strength)
        similar[both] = np.minimum(strength, strength_f)[both] / np.maximum(strength, strength_f)[both]
        aligned = np.abs(np.abs(angle - angle_f) - np.pi / 2) * 2 / np.pi
        return np.sqrt(0.9999 / (1 + np.exp(-19 * (similar - 0.5))) * 0.9995 / (1 + np.exp(-22 * (aligned - 0.5))))

    def weight(strength: Floats) -> Floats:
        return np.where(strength >= 2, strength**1.5, 0.001)

    strength_f, angle_f = edges(fused)
    strength_a, angle_a = edges(infrared)
    strength_b, angle_b = edges(visible)
    weight_a, weight_b = weight(strength_a), weight(strength_b)
    total = (weight_a + weight_b).sum()
    quality_a, quality_b = quality(strength_a, angle_a), quality(strength_b, angle_b)
    missing = (1 - quality_a) * weight_a + (1 - quality_b) * weight_b
    added = (strength_f > strength_a) & (strength_f > strength_b)
    return float((missing * added).sum() / total)


PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {"Qabf": gradient_quality, "Nabf": fusion_artefacts}
