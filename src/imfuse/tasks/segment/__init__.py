"""Classes of every pixel of a pair, and how well they are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.tasks.segment.accumulate import SegmentationScores
    from imfuse.tasks.segment.convert import convert_segmenter
    from imfuse.tasks.segment.file import SegmenterFile, load_segmenter, save_segmenter
    from imfuse.tasks.segment.networks import build_segmenter
    from imfuse.tasks.segment.pictures import PictureSegmenter
    from imfuse.tasks.segment.scores import (
        bootstrap_interval,
        class_accuracy,
        confusion_matrix,
        intersection_over_union,
        mean_iou,
        pixel_accuracy,
    )
    from imfuse.tasks.segment.segmenter import SegmentationReport, Segmenter, overlay

__all__ = [
    "PictureSegmenter",
    "SegmentationReport",
    "SegmentationScores",
    "Segmenter",
    "SegmenterFile",
    "bootstrap_interval",
    "build_segmenter",
    "class_accuracy",
    "confusion_matrix",
    "convert_segmenter",
    "intersection_over_union",
    "load_segmenter",
    "mean_iou",
    "overlay",
    "pixel_accuracy",
    "save_segmenter",
]

_MODULES = {
    "accumulate": ("SegmentationScores",),
    "convert": ("convert_segmenter",),
    "file": ("SegmenterFile", "load_segmenter", "save_segmenter"),
    "networks": ("build_segmenter",),
    "pictures": ("PictureSegmenter",),
    "scores": (
        "bootstrap_interval",
        "class_accuracy",
        "confusion_matrix",
        "intersection_over_union",
        "mean_iou",
        "pixel_accuracy",
    ),
    "segmenter": ("SegmentationReport", "Segmenter", "overlay"),
}
_HOMES = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
