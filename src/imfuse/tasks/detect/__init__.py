"""Objects in fused pictures, and how well they are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.tasks.detect.detecting import DetectionReport, detect_files, detect_folder, detect_fused
    from imfuse.tasks.detect.detector import Detector
    from imfuse.tasks.detect.drawing import draw_boxes
    from imfuse.tasks.detect.finder import Finder, open_detector
    from imfuse.tasks.detect.finding import Truth
    from imfuse.tasks.detect.labels import read_boxes, write_coco, write_yolo

__all__ = [
    "DetectionReport",
    "Detector",
    "Finder",
    "Truth",
    "detect_files",
    "detect_folder",
    "detect_fused",
    "draw_boxes",
    "open_detector",
    "read_boxes",
    "write_coco",
    "write_yolo",
]

_DETECTING = ("DetectionReport", "detect_files", "detect_folder", "detect_fused")
_HOMES = {
    **dict.fromkeys(_DETECTING, "imfuse.tasks.detect.detecting"),
    **dict.fromkeys(("read_boxes", "write_coco", "write_yolo"), "imfuse.tasks.detect.labels"),
    **dict.fromkeys(("Finder", "open_detector"), "imfuse.tasks.detect.finder"),
    "Detector": "imfuse.tasks.detect.detector",
    "Truth": "imfuse.tasks.detect.finding",
    "draw_boxes": "imfuse.tasks.detect.drawing",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
