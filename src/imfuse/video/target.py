"""Where fused frames go: into parts that survive whatever happens, which become one file at the end."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from imfuse.core.errors import VideoError
from imfuse.core.output import remove_leftovers
from imfuse.core.text import printable
from imfuse.imaging.inputs import Array


class Target(ABC):
    """A file of video that frames are appended to.

    Attributes:
        path: the file.
        part: the file that has the frames before it is done.
        kept_until: how many seconds an earlier run has left.
    """

    path: Path
    part: Path | None = None
    kept_until: float = 0.0

    @property
    @abstractmethod
    def is_finished(self) -> bool:
        """Whether the file is already this very result."""

    @abstractmethod
    def begin(self, rate: float, *, resume: bool, overwrite: bool) -> None:
        """Make ready for frames. Raises ``VideoError`` where files of others, or of an earlier run, are in the way."""

    @abstractmethod
    def write(self, picture: Array, seconds: float) -> None:
        """Append a frame."""

    @abstractmethod
    def close_part(self) -> None:
        """Have all frames in the part."""

    @abstractmethod
    def finish(self, sound: str | None) -> bool:
        """Make the file, with the sound of a video; whether it has some."""


def prepare_folder(path: Path, *, ours: bool, overwrite: bool) -> None:
    """The folder of a file that may be written. Raises ``VideoError``."""
    if path.exists() and not (ours or overwrite):
        raise VideoError(
            f"{printable(path)}: this file exists, and nothing in it says that it is an older version of this one",
            "choose another output=...",
            "use overwrite=True to replace it",
        )
    remove_leftovers(path.parent)


def part_path(path: Path, number: int) -> Path:
    """The name of a part: fused.part-000.mp4."""
    return path.with_name(f"{path.stem}.part-{number:03}{path.suffix}")


def parts_there(path: Path) -> list[Path]:
    """The parts of a file that earlier runs left, in order."""
    name = re.compile(rf"{re.escape(path.stem)}\.part-\d{{3}}{re.escape(path.suffix)}")
    with suppress(OSError):
        return sorted(file for file in path.parent.iterdir() if name.fullmatch(file.name))
    return []
