"""When a rendered scene is seen, and by what cameras: light, temperatures of sky and surfaces, range, blur, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imfuse.scenes.canvas import EMISSION, FAR, NORMAL, TEMPERATURE, Bytes, Canvas, Floats, lookup
from imfuse.scenes.sensors import blur

CAR = 1


@dataclass(frozen=True)
class Conditions:
    """What is added to the night of a rendered scene; temperatures are in °C.

    Args:
        daylight: ambient light, where that of the night is about 1.
        overcast: light of the sky from all of it alike, as a share of ``daylight``.
        sky: temperature of the sky.
        clouds: strength of clouds in the infrared sky.
        walls: temperature of upright surfaces, such as buildings and trees.
        ground: temperature of the ground.
        cars: temperature of cars.
        patches: strength of warm and cold patches on all surfaces.
        coldest: share of the pixels that the thermal camera shows black; with ``warmest`` 0 its range is fixed.
        warmest: share of the pixels that it shows white.
        gamma: of its display curve.
        blur: standard deviation of further blur of both pictures, in pixels.
        noise: standard deviation of further noise of both pictures, in levels.

    Example:
        >>> Conditions.draw(0) == Conditions.draw(0) != Conditions.draw(1)
        True
    """

    daylight: float = 0.0
    overcast: float = 0.0
    sky: float = 0.0
    clouds: float = 0.0
    walls: float = 0.0
    ground: float = 0.0
    cars: float = 0.0
    patches: float = 0.0
    coldest: float = 0.0
    warmest: float = 0.0
    gamma: float = 1.7
    blur: float = 0.0
    noise: float = 0.0

    @classmethod
    def draw(cls, seed: int) -> Conditions:
        """Conditions by chance: a night in two fifths of the cases, else a day or dusk.

        Args:
            seed: zero or a positive integer.

        Returns:
            The same for the same seed.
        """
        rng = np.random.default_rng((seed, 1))

        def uniform(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        day = rng.random() < 0.6
        return cls(
            daylight=uniform(3, 45) if day else 0.0,
            overcast=uniform(0, 1),
            # Most skies are the coldest of all, some, low clouds and the haze of a warm day, are not.
            sky=uniform(0, 25) if rng.random() < 0.4 else 0.0,
            clouds=uniform(0, 4),
            walls=uniform(-3, 13) if rng.random() < 0.7 else 0.0,
            ground=uniform(-5, 14) if rng.random() < 0.7 else 0.0,
            cars=uniform(-8, 8),
            patches=uniform(0, 2.5),
            coldest=uniform(0, 0.03),
            warmest=uniform(0.0005, 0.02),
            gamma=uniform(0.7, 1.8),
            blur=uniform(0, 1.2),
            noise=uniform(0, 5),
        )


def light_sky(canvas: Canvas, conditions: Conditions) -> None:
    """Brighten an overcast sky, which daylight alone leaves dark overhead; before objects are painted."""
    canvas.buffer[..., EMISSION] += 0.022 * conditions.daylight * conditions.overcast


def warm(canvas: Canvas, conditions: Conditions) -> None:
    """Change the temperatures of what is painted; people keep theirs."""
    buffer, upward = canvas.buffer, canvas.buffer[..., NORMAL.start + 1]
    right, up = canvas.camera.rays(slice(0, canvas.camera.height), slice(0, canvas.camera.width))
    sky, background = canvas.depth >= FAR, canvas.labels == 0
    coarse = lookup(canvas.coarse, right, up)
    temperature = buffer[..., TEMPERATURE]
    temperature += np.where(sky, conditions.sky + conditions.clouds * coarse, 0)
    temperature += np.where(background & ~sky & (upward < 0.7), conditions.walls, 0)
    temperature += np.where(background & ~sky & (upward >= 0.7), conditions.ground, 0)
    temperature += np.where(canvas.labels == CAR, conditions.cars, 0)
    temperature += np.where(background & ~sky, conditions.patches * lookup(canvas.coarse, 2 * right, 2 * up), 0)


def display(temperature: Floats, conditions: Conditions) -> Floats:
    """Levels in [0, 1] of a thermal camera that fits its range to the picture."""
    low, high = np.quantile(temperature, (conditions.coldest, 1 - conditions.warmest))
    return np.asarray(np.clip((temperature - low) / max(high - low, 1.0), 0, 1) ** conditions.gamma, np.float32)


def degrade(image: Bytes, conditions: Conditions, rng: np.random.Generator) -> Bytes:
    """Blur a picture, (H, W) or (H, W, 3), and add noise."""
    soft = blur(image.astype(np.float32), conditions.blur)
    soft += conditions.noise * rng.standard_normal(soft.shape, dtype=np.float32)
    return np.asarray(np.clip(np.round(soft), 0, 255), np.uint8)
