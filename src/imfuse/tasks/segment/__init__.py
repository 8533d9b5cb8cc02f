"""Classes of every pixel of a pair, and how well they are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.tasks.segment.accumulate import SegmentationScores
    from imfuse.tasks.segment.scores import confusion_matrix, intersection_over_union, mean_iou, pixel_accuracy
    from imfuse.tasks.segment.segmenter import SegmentationReport, Segmenter, overlay

__all__ = [
    "SegmentationReport",
    "SegmentationScores",
    "Segmenter",
    "confusion_matrix",
    "intersection_over_union",
    "mean_iou",
    "overlay",
    "pixel_accuracy",
]

_SCORES = ("confusion_matrix", "intersection_over_union", "mean_iou", "pixel_accuracy")
_HOMES = {
    **dict.fromkeys(_SCORES, "imfuse.tasks.segment.scores"),
    **dict.fromkeys(("SegmentationReport", "Segmenter", "overlay"), "imfuse.tasks.segment.segmenter"),
    "SegmentationScores": "imfuse.tasks.segment.accumulate",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
