"""Rendered street scenes, and the classes of their labels, which segmentation uses too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.scenes.classes import CLASSES, DETECTED, PALETTE
    from imfuse.scenes.conditions import Conditions
    from imfuse.scenes.motion import MovingScene, render_motion
    from imfuse.scenes.render import Scene, render_scene

__all__ = ["CLASSES", "DETECTED", "PALETTE", "Conditions", "MovingScene", "Scene", "render_motion", "render_scene"]

_HOMES = {
    **dict.fromkeys(("CLASSES", "DETECTED", "PALETTE"), "imfuse.scenes.classes"),
    "Conditions": "imfuse.scenes.conditions",
    **dict.fromkeys(("MovingScene", "render_motion"), "imfuse.scenes.motion"),
    **dict.fromkeys(("Scene", "render_scene"), "imfuse.scenes.render"),
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
