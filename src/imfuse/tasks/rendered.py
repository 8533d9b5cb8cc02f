"""Rendered scenes as pictures of a fusion method or of a control, with labels and boxes that cost nothing.

The scenes depend on their seeds alone, so that every method is trained and tested on the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imfuse.fusing.fuser import Fuser
from imfuse.imaging import luminance, quantise, recombine
from imfuse.scenes.conditions import Conditions
from imfuse.scenes.render import Scene, render_scene
from imfuse.tasks.examples import Example

FIRST_SEED, HELD_OUT, VALIDATION = 1, 1_000_000, 2_000_000
"""First seeds of scenes to train on, to test on, and to choose weights by: no scene is in two parts."""
Picture = NDArray[np.uint8]


def visible(scene: Scene) -> Picture:
    """The colours alone."""
    return scene.visible


def infrared(scene: Scene) -> Picture:
    """The infrared picture alone, as three equal channels."""
    return np.repeat(scene.infrared[..., None], 3, axis=2)


def mean(scene: Scene) -> Picture:
    """The mean of luminance and infrared, with the colours of the visible picture."""
    colours = scene.visible.astype(np.float32) / 255
    mixed = (luminance(colours) + scene.infrared.astype(np.float32) / 255) / 2
    return np.asarray(quantise(recombine(mixed, colours), 8), np.uint8)


def stacked(scene: Scene) -> Picture:
    """Early fusion: R, G, B and infrared as four channels, for the network to make of them what it can."""
    return np.concatenate([scene.visible, scene.infrared[..., None]], axis=2)


CONTROLS: dict[str, Callable[[Scene], Picture]] = {
    "visible": visible,
    "infrared": infrared,
    "mean": mean,
    "stacked": stacked,
}
"""What every table shows beside the methods: pictures that need no fusion network."""


def picture_maker(
    method: str, weights: str | Path | None = "default", device: str = "auto"
) -> Callable[[Scene], Picture]:
    """What makes the picture of a scene that a task network sees.

    Args:
        method: a fusion method, or one of ``CONTROLS``.
        weights: of the method.
        device: that it runs on.

    Returns:
        A function of a scene to (H, W, 3) uint8, or (H, W, 4) for ``stacked``.

    Raises:
        ModelError: there is no such method.
        WeightsError: its weights cannot be used.

    Example:
        >>> picture_maker("stacked")(render_scene(48, 64, 3)).shape
        (48, 64, 4)
    """
    if method in CONTROLS:
        return CONTROLS[method]
    fuser = Fuser(method, weights, device=device)

    def fused(scene: Scene) -> Picture:
        return np.asarray(fuser(scene.infrared, scene.visible), np.uint8)

    return fused


@lru_cache(maxsize=3)
def render_scenes(first: int, count: int, height: int, width: int) -> tuple[Scene, ...]:
    """Scenes of consecutive seeds, by night and by day; the three parts of a data set are remembered.

    Args:
        first: seed of the first.
        count: how many.
        height: rows.
        width: columns.

    Returns:
        The scenes; the same ones for the same arguments.

    Example:
        >>> [scene.labels.shape for scene in render_scenes(FIRST_SEED, 2, 48, 64)]
        [(48, 64), (48, 64)]
    """
    seeds = range(first, first + count)
    return tuple(render_scene(height, width, seed, conditions=Conditions.draw(seed)) for seed in seeds)


def as_examples(scenes: Sequence[Scene], make: Callable[[Scene], Any], first: int = FIRST_SEED) -> list[Example]:
    """Scenes as examples that task networks are trained on.

    Args:
        scenes: of :func:`render_scenes`.
        make: of :func:`picture_maker`.
        first: seed of the first scene, for names.

    Returns:
        Pictures with labels and boxes.

    Example:
        >>> example = as_examples(render_scenes(3, 1, 48, 64), picture_maker("visible"), 3)[0]
        >>> example.name, example.image.shape
        ('scene 3', (48, 64, 3))
    """
    return [
        Example(f"scene {first + place}", np.ascontiguousarray(make(scene)), scene.labels, scene.boxes)
        for place, scene in enumerate(scenes)
    ]
