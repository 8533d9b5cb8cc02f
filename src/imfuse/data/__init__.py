"""Training pairs from disk and rendered scenes."""

from __future__ import annotations

from imfuse.data.scenes import CLASSES, PALETTE, Scene, render_scene

__all__ = ["CLASSES", "PALETTE", "Scene", "render_scene"]
