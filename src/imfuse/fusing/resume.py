"""Which results are there already: a file carries the fingerprint of all that decided it."""

from __future__ import annotations

from pathlib import Path

from imfuse.core.errors import ImageError
from imfuse.core.output import check_replaceable
from imfuse.core.text import printable
from imfuse.imaging import read_metadata
from imfuse.imaging.stored import is_ours, is_whole

FINGERPRINT = "imfuse:fingerprint"
"""Key of the fingerprint in the metadata of a file."""


def is_finished(output: Path, fingerprint: str) -> bool:
    """Say whether ``output`` is this very result, whole; ``ImageError`` where it is not and may not be written."""
    if read_metadata(output).get(FINGERPRINT) == fingerprint and is_whole(output):
        return True
    check_ours(output)
    return False


def check_ours(output: Path) -> None:
    """Raise ``ImageError`` where writing would cost others a file.

    It would not where nothing is there, or a file that imfuse made, which may be damaged, or one that holds nothing.
    """
    there = check_replaceable(output, ImageError) is not None
    if not there and output.is_symlink():
        raise ImageError(
            f"{printable(output)}: a link that leads nowhere",
            "choose another output=...",
            "use overwrite=True to write through it",
        )
    if there and not is_ours(output):
        raise ImageError(
            f"{printable(output)}: this file exists, and nothing in it says that imfuse made it",
            "choose another output=...",
            "use overwrite=True to replace it",
        )
