"""Which kind of file fused frames go to."""

from __future__ import annotations

from pathlib import Path

from imfuse.core.errors import VideoError
from imfuse.core.output import check_replaceable
from imfuse.video.formats import Format
from imfuse.video.opencv_writer import OpenCVTarget
from imfuse.video.reader import has_pyav
from imfuse.video.target import Target


def open_target(path: Path, format_: Format, fingerprint: str, bits: int) -> Target:
    """A target by PyAV, or by OpenCV where that is missing. Raises ``VideoError``."""
    format_.check_name(path, bits)
    check_replaceable(path, VideoError)
    if has_pyav():
        from imfuse.video.parts import Parts

        return Parts(path, format_, fingerprint)
    return OpenCVTarget(path, format_)
