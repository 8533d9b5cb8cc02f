"""A file of video by OpenCV, where PyAV is missing: MPEG-4, without sound, there when it is whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from imfuse.core.errors import VideoError
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging.inputs import Array
from imfuse.video.formats import Format
from imfuse.video.target import Target, part_path, prepare_folder


class OpenCVTarget(Target):
    """Frames in ``fused.part-000.mp4``, which is renamed at the end."""

    def __init__(self, path: Path, format_: Format) -> None:
        if format_.codec != "h264" or format_.pixel_format is not None or path.suffix.lower() == ".mkv":
            raise VideoError(f"{printable(path)}: needs PyAV", "install imfuse[video]")
        self.path = path
        self._video: cv2.VideoWriter | None = None
        self._rate = 25.0

    @property
    def is_finished(self) -> bool:
        """Such a file does not say what it was made of."""
        return False

    def begin(self, rate: float, *, resume: bool, overwrite: bool) -> None:
        """Make ready."""
        if resume:
            raise VideoError("resume=True: needs PyAV", "install imfuse[video]")
        prepare_folder(self.path, ours=False, overwrite=overwrite)
        note("PyAV is missing: the video is MPEG-4 at an even rate, without sound", "install imfuse[video]")
        self.part, self._rate = part_path(self.path, 0), rate

    def write(self, picture: Array, seconds: float) -> None:
        """Append a frame; its time is that of its number."""
        assert self.part is not None
        height, width = picture.shape[:2]
        if self._video is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._video = cv2.VideoWriter(str(self.part), code, self._rate, (width, height))
            if not self._video.isOpened():
                raise VideoError(f"{printable(self.part)}: OpenCV cannot write it")
        colours = picture if picture.ndim == 3 else np.dstack([picture] * 3)
        self._video.write(cv2.cvtColor(colours, cv2.COLOR_RGB2BGR))

    def close_part(self) -> None:
        """Write its end."""
        if self._video is not None:
            self._video.release()
            self._video = None

    def finish(self, sound: str | None) -> bool:
        """Give it its name."""
        assert self.part is not None
        self.part.replace(self.path)
        return False
