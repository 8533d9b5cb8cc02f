"""Scores of fused pictures: of one, of files, and of the folders of several methods beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.scoring.files import HEADLINE, score, score_files, score_folders
    from imfuse.scoring.ranges import UsedRange
    from imfuse.scoring.scores import Failure, ImageScores, Scores
    from imfuse.scoring.sequence import SequenceScores, score_sequence
    from imfuse.scoring.summary import Summary

__all__ = [
    "HEADLINE",
    "Failure",
    "ImageScores",
    "Scores",
    "SequenceScores",
    "Summary",
    "UsedRange",
    "score",
    "score_files",
    "score_folders",
    "score_sequence",
]

_HOMES = {
    **dict.fromkeys(("HEADLINE", "score", "score_files", "score_folders"), "imfuse.scoring.files"),
    **dict.fromkeys(("Failure", "ImageScores", "Scores"), "imfuse.scoring.scores"),
    **dict.fromkeys(("SequenceScores", "score_sequence"), "imfuse.scoring.sequence"),
    "Summary": "imfuse.scoring.summary",
    "UsedRange": "imfuse.scoring.ranges",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
