"""Moving pictures: sources of frames, pairs of them by their times, files of fused ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.video.frames import Frame, Frames
    from imfuse.video.pairing import PairCounts, pair_frames
    from imfuse.video.reader import open_frames
    from imfuse.video.run import VideoProgress, VideoReport, fuse_video

__all__ = ["Frame", "Frames", "PairCounts", "VideoProgress", "VideoReport", "fuse_video", "open_frames", "pair_frames"]

_HOMES = {
    **dict.fromkeys(("Frame", "Frames"), "imfuse.video.frames"),
    **dict.fromkeys(("PairCounts", "pair_frames"), "imfuse.video.pairing"),
    "open_frames": "imfuse.video.reader",
    **dict.fromkeys(("VideoProgress", "VideoReport", "fuse_video"), "imfuse.video.run"),
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
