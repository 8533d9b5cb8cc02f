"""What is asked about a path before anybody reads pictures or weights there."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from imfuse.core.errors import ImageError

_BLOCK = 1 << 20


def file_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the content of a file, as 64 hexadecimal digits. Raises ``OSError`` where it cannot be read.

    Nothing is remembered: a file that was replaced within the clock's resolution has its old size and time.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder, not a file; ``ImageError`` where nothing is there, or it may not be looked at."""
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except (OSError, ValueError) as error:
        raise ImageError(f"{os.fspath(path)}: {getattr(error, 'strerror', None) or error}") from error
