"""Rendered scenes that several tests look at: drawn once in a process, which takes longer than most of these tests."""

from __future__ import annotations

from functools import cache

from imfuse.scenes import Scene, render_scene


@cache
def rendered(height: int, width: int, seed: int = 0) -> Scene:
    """The scene of a seed; its arrays cannot be written to, since others get the same ones."""
    scene = render_scene(height, width, seed)
    for pixels in (scene.infrared, scene.visible, scene.labels):
        pixels.setflags(write=False)
    return scene
