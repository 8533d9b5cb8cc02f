"""What fused pictures are for: models of their own, their scores and protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.tasks import detect, segment

__all__ = ["detect", "segment"]

__getattr__, __dir__ = lazy_exports(__name__, {"detect": "imfuse.tasks.detect", "segment": "imfuse.tasks.segment"})
