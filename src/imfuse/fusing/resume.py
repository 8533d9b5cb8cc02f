"""Which results are there already: a file carries the fingerprint of all that decided it."""

from __future__ import annotations

from pathlib import Path

from imfuse.core.errors import ImageError
from imfuse.imaging import read_metadata

FINGERPRINT = "imfuse:fingerprint"
"""Key of the fingerprint in the metadata of a file."""
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def is_finished(output: Path, fingerprint: str) -> bool:
    """Say whether ``output`` is this very result; ``ImageError`` where it is a file that imfuse did not make."""
    if not output.is_file() or _is_broken(output):
        return False
    stored = read_metadata(output).get(FINGERPRINT)
    if stored is None:
        raise ImageError(
            f"{output}: this file exists, and nothing in it says that imfuse made it",
            "choose another output=...",
            "use overwrite=True to replace it",
        )
    return stored == fingerprint


def _is_broken(output: Path) -> bool:
    """An empty file, or a PNG without its end: what a system that went down in the middle may leave."""
    try:
        with output.open("rb") as stream:
            start = stream.read(len(_PNG_START))
            stream.seek(max(0, output.stat().st_size - len(_PNG_END)))
            return not start or (start == _PNG_START and stream.read() != _PNG_END)
    except OSError:
        # Writing says in plain words what is wrong with this path.
        return True
