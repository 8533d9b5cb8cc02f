"""Which files the pictures of results are: those in their own folder, and elsewhere only what they list by content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from imfuse.benchmark.results import DataResults, ScoredPicture
from imfuse.core.errors import BenchmarkError, ImageError
from imfuse.core.files import os_reason, read_input
from imfuse.core.text import printable
from imfuse.imaging.inputs import MAX_BYTES


def infrared_of(folder: Path, data: DataResults, pair: str) -> Path:
    """The infrared picture of a pair; ``folder`` is that of the results. Raises ``ImfuseError``."""
    files = data.pairs[pair]
    return checked_file(folder, Path(data.infrared) / files.infrared, files.infrared_sha256)


def visible_of(folder: Path, data: DataResults, pair: str) -> Path:
    """The visible picture of a pair; ``folder`` is that of the results. Raises ``ImfuseError``."""
    files = data.pairs[pair]
    return checked_file(folder, Path(data.visible) / files.visible, files.visible_sha256)


def fused_of(folder: Path, picture: ScoredPicture) -> Path:
    """A fused picture; ``folder`` is that of the results. Raises ``ImfuseError``."""
    return checked_file(folder, Path(picture.file), picture.sha256)


def checked_file(folder: Path, file: Path, sha256: str) -> Path:
    """A file of the results in ``folder``, once it is clear that showing it gives nothing away.

    Results may come from others. A picture in their folder came with them; any other file, be it by an absolute path,
    by ``..`` or by a link, is shown only if they list the SHA-256 of its content: whoever wrote them had it.
    """
    path = folder / file
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:
        # Older versions of Python raise RuntimeError for a circle of links.
        reason = "a chain of links that leads nowhere" if isinstance(error, RuntimeError) else os_reason(error)
        raise BenchmarkError(f"{printable(path)}: {reason}") from None
    if inside:
        return path
    content = read_input(path, ImageError, "an image file", MAX_BYTES)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BenchmarkError(
            f"{printable(path)}: outside the folder of the results, and not the picture that they list",
            "run the benchmark again",
        )
    return path
