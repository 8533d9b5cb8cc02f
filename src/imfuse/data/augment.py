"""Random changes of brightness and content, so that few pairs stand for many cameras and scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
THERMAL_CONTRAST, VISIBLE_CONTRAST = (0.4, 1.0), (0.7, 1.8)


@dataclass(frozen=True)
class Augmentation:
    """Probabilities of changes, which are made in this order; 0 for all leaves a pair as it is.

    Args:
        tone: of each image by itself: gamma of 2/3 to 3/2, contrast about the mean of 0.4 to 1 (infrared) or 0.7 to 1.8
            (visible), and an offset of up to 0.1 either way, clipped.
        invert: the infrared image, as cameras that show cold things bright do.
        glare: a head-light in the visible image.
        swap: the two images change places.
        same: one of the two images takes the place of both, after all other changes.
        flat: both become even, at levels of their own, as where there is nothing to see: a black night, a white wall.

    Example:
        >>> pair = np.full((8, 8), 0.2, np.float32), np.full((8, 8), 0.6, np.float32)
        >>> infrared, visible = Augmentation(invert=1.0).apply(np.random.default_rng(0), *pair)
        >>> round(float(infrared.mean()), 3), round(float(visible.mean()), 3)
        (0.8, 0.6)
    """

    tone: float = 0.0
    invert: float = 0.0
    glare: float = 0.0
    swap: float = 0.0
    same: float = 0.0
    flat: float = 0.0

    def apply_to_image(self, rng: np.random.Generator, image: Floats, *, thermal: bool) -> Floats:
        """Change an image that is trained on by itself, of which ``tone`` and ``flat`` are possible.

        Args:
            rng: that decides.
            image: (H, W) in [0, 1].
            thermal: whether it is an infrared one.

        Returns:
            The image, a new one where it was changed.
        """
        if self.flat and rng.random() < self.flat:
            return np.full_like(image, _level(rng))
        if rng.random() < self.tone:
            image = _tone(rng, image, *(THERMAL_CONTRAST if thermal else VISIBLE_CONTRAST))
        return image

    def apply(self, rng: np.random.Generator, infrared: Floats, visible: Floats) -> tuple[Floats, Floats]:
        """Change a pair.

        Args:
            rng: that decides.
            infrared: (H, W) in [0, 1].
            visible: (H, W) in [0, 1].

        Returns:
            Both images, new ones where they were changed.
        """
        if self.flat and rng.random() < self.flat:
            infrared, visible = np.full_like(infrared, _level(rng)), np.full_like(visible, _level(rng))
        else:
            infrared, visible = self._exposed(rng, infrared, visible)
        if self.same and rng.random() < self.same:
            infrared = visible = infrared if rng.random() < 0.5 else visible
        return infrared, visible

    def _exposed(self, rng: np.random.Generator, infrared: Floats, visible: Floats) -> tuple[Floats, Floats]:
        """The same scene by other light and other cameras."""
        if rng.random() < self.tone:
            infrared = _tone(rng, infrared, *THERMAL_CONTRAST)
        if rng.random() < self.tone:
            visible = _tone(rng, visible, *VISIBLE_CONTRAST)
        if rng.random() < self.invert:
            infrared = 1 - infrared
        if rng.random() < self.glare:
            visible = _glare(rng, visible)
        if rng.random() < self.swap:
            infrared, visible = visible, infrared
        return infrared, visible


def _level(rng: np.random.Generator) -> float:
    """Black and white each in a quarter of the cases, else anything between."""
    return float(np.clip(rng.uniform(-0.5, 1.5), 0, 1))


def _tone(rng: np.random.Generator, image: Floats, least: float, most: float) -> Floats:
    gamma = math.exp(rng.uniform(-0.4, 0.4))
    contrast, offset = rng.uniform(least, most), rng.uniform(-0.1, 0.1)
    bent: Floats = image**gamma
    mean = float(bent.mean())
    changed: Floats = np.clip(mean + contrast * (bent - mean) + offset, 0, 1).astype(np.float32)
    return changed


def _glare(rng: np.random.Generator, image: Floats) -> Floats:
    height, width = image.shape
    y, x = np.ogrid[:height, :width]
    spread, strength = rng.uniform(4, 16), rng.uniform(0.4, 1)
    square = (y - rng.uniform(0, height)) ** 2 + (x - rng.uniform(0, width)) ** 2
    lit: Floats = np.clip(image + strength * np.exp(-square / (2 * spread**2)), 0, 1).astype(np.float32)
    return lit
