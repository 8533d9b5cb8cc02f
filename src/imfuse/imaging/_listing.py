"""The pictures of a folder, and of the folders in it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from imfuse.core.errors import PairError
from imfuse.core.files import file_identity, os_reason, split_extension
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging._names import split_name

_LISTED = 4
_DIGITS = re.compile(r"([0-9]+)")

EXTENSIONS = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".nii", ".nii.gz"}
    | {".pgm", ".ppm", ".jp2", ".avif", ".heic"}
)
_DICOM_AT, _DICOM = 128, b"DICM"


class PictureFile:
    """A picture, and what it is called in its folder: ``seq1/07`` and ``seq1/07.png``."""

    def __init__(self, path: str, name: str, file: str) -> None:
        self.path, self.name, self.file = path, name, file

    @cached_property
    def said(self) -> tuple[str, tuple[str, ...]]:
        """Its name without words for a modality, and these."""
        return split_name(self.name)


def list_pictures(
    folder: Path, side: str, recursive: bool = False, without: Collection[Path] = ()
) -> list[PictureFile]:
    """List the pictures of a folder, by the order of their names.

    Hidden files and folders and files without an image extension are ignored, but for DICOM files, which scanners name
    by numbers alone. Where a folder has sub-folders with
    pictures and none of its own, these are taken, and a note says so.

    Args:
        folder: where to look.
        side: what it holds, for messages.
        recursive: look into the folders in it as well.
        without: folders to leave out, such as that of the results.

    Raises:
        PairError: it is missing, unreadable or without pictures.
    """
    pictures = sorted(_found(folder, side, recursive, without), key=lambda picture: picture.file)
    if not pictures and not recursive:
        pictures = sorted(_found(folder, side, True, without), key=lambda picture: picture.file)
        if pictures:
            note(
                f"{printable(folder)}: no pictures in the {side} folder itself, {len(pictures)} in its sub-folders are "
                "taken",
                "use recursive=True to say so",
            )
    if not pictures:
        kinds = " ".join(sorted(EXTENSIONS))
        raise PairError(f"{printable(folder)}: no pictures in the {side} folder; files ending in {kinds} are expected")
    return pictures


def _found(folder: Path, side: str, recursive: bool, without: Collection[Path]) -> Iterator[PictureFile]:
    # Links to folders are followed, but no folder is visited twice, so that no circle of links is endless.
    visited = {file_identity(path) for path in (folder, *without)}
    waiting = [("", os.fspath(folder))]
    while waiting:
        prefix, place = waiting.pop()
        for entry in _entries(place, side):
            if entry.name.startswith("."):
                continue
            stem, extension = split_extension(entry.name)
            if (extension in EXTENSIONS or not extension) and entry.is_file() and (extension or _is_dicom(entry.path)):
                yield PictureFile(entry.path, prefix + stem, prefix + entry.name)
            elif recursive and entry.is_dir() and (identity := file_identity(entry.path)) not in visited:
                visited.add(identity)
                waiting.append((f"{prefix}{entry.name}/", entry.path))


def _is_dicom(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return file.read(_DICOM_AT + len(_DICOM))[_DICOM_AT:] == _DICOM
    except OSError:
        return False


def _entries(place: str, side: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return list(entries)
    except NotADirectoryError as error:
        raise PairError(
            f"{printable(place)}: the {side} argument is a file, a folder of pictures is expected"
        ) from error
    except FileNotFoundError as error:
        raise PairError(f"{printable(place)}: no such {side} folder") from error
    except (OSError, ValueError) as error:
        raise PairError(f"{printable(place)}: the {side} folder cannot be listed: {os_reason(error)}") from error


def natural(name: str) -> tuple[list[str | int], str]:
    """Key of the natural order of names: 2 before 10."""
    # Every second part is a number, so that only equal kinds are compared.
    parts = _DIGITS.split(name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def labels(pictures: Sequence[PictureFile]) -> tuple[str, ...]:
    """Names of files, in their natural order."""
    return tuple(picture.file for picture in sorted(pictures, key=lambda picture: natural(picture.file)))


def few(pictures: Sequence[PictureFile]) -> str:
    """The first of these names, and how many there are."""
    shown = ", ".join(map(printable, labels(pictures)[:_LISTED]))
    return shown if len(pictures) <= _LISTED else f"{shown}, ... {len(pictures)} files"
