"""Parts of a video by PyAV: one for each run, joined at the end without encoding them again."""

from __future__ import annotations

import math
from pathlib import Path

from imfuse.core.errors import VideoError
from imfuse.core.text import printable
from imfuse.imaging.inputs import Array
from imfuse.video.formats import Format
from imfuse.video.target import Target, part_path, parts_there, prepare_folder
from imfuse.video.writer import Part, VideoWriter, encoder_of, join_parts, part_of, read_mark


class Parts(Target):
    """Frames in ``fused.part-000.mp4`` and those that resumed runs add, then in ``fused.mp4``."""

    def __init__(self, path: Path, format_: Format, fingerprint: str) -> None:
        encoder_of(format_)
        self.path, self.format, self._fingerprint = path, format_, fingerprint
        self._kept: list[Part] = []
        self._writer: VideoWriter | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the file says that it was made of this."""
        return self.path.is_file() and read_mark(self.path).get("fingerprint") == self._fingerprint

    def begin(self, rate: float, *, resume: bool, overwrite: bool) -> None:
        """Look at what earlier runs left, and open the next part."""
        prepare_folder(self.path, ours=self.path.is_file() and bool(read_mark(self.path)), overwrite=overwrite)
        left = parts_there(self.path)
        if left and not (resume or overwrite):
            raise VideoError(
                f"{printable(left[0])}: an interrupted run left it",
                "use resume=True to continue it",
                "use overwrite=True to begin anew",
            )
        if resume:
            self._keep(left)
        for unused in [path for path in left if path not in {part.path for part in self._kept}]:
            unused.unlink()
        number = 1 + max((int(part.path.stem[-3:]) for part in self._kept), default=-1)
        self.part = part_path(self.path, number)
        self._writer = VideoWriter(self.part, rate, self.format, {"fingerprint": self._fingerprint})

    def _keep(self, left: list[Path]) -> None:
        """Keep whole seconds of what is left: each part up to where the next one begins."""
        marks = [(path, read_mark(path)) for path in left]
        for path, mark in marks:
            if mark and mark.get("fingerprint") != self._fingerprint:
                raise VideoError(
                    f"{printable(path)}: was made of other files or by other settings",
                    "use the same ones to continue it",
                    "use overwrite=True to begin anew",
                )
        found = [part_of(path, float(mark["start"])) for path, mark in marks if "start" in mark]
        for part in found:
            # The frame at its end is the last that was written, and lasts to the next one.
            whole = Part(part.path, part.start, float(math.floor(part.end)))
            if whole.end > whole.start:
                self._kept = [
                    Part(one.path, one.start, min(one.end, whole.start))
                    for one in self._kept
                    if one.start < whole.start
                ]
                self._kept.append(whole)
        self.kept_until = self._kept[-1].end if self._kept else 0.0

    def write(self, picture: Array, seconds: float) -> None:
        """Append a frame to the part of this run."""
        assert self._writer is not None
        self._writer.write(picture, seconds)

    def close_part(self) -> None:
        """Have all frames in the part of this run."""
        if self._writer is not None:
            self._writer.close()

    def finish(self, sound: str | None) -> bool:
        """Join the parts, and delete them."""
        parts = list(self._kept)
        if self._writer is not None and self._writer.start is not None:
            parts.append(Part(self._writer.path, self._writer.start, math.inf))
        heard = join_parts(parts, self.path, {"fingerprint": self._fingerprint}, sound, self._end(parts))
        for part in parts_there(self.path):
            part.unlink()
        self.part = None
        return heard

    def _end(self, parts: list[Part]) -> float:
        """When the last frame ends."""
        if self._writer is not None and self._writer.start is not None:
            return self._writer.end
        return parts[-1].end
