"""The one way in for files from outside, and what is asked about a path before anybody reads there."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from pathlib import Path, PurePath
from typing import BinaryIO

from imfuse.core.errors import ImageError, ImfuseError
from imfuse.core.text import printable

_BLOCK = 1 << 20
_REASONS = {
    errno.ENOENT: "no such file",
    errno.EISDIR: "this is a folder, a file is expected",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.ENAMETOOLONG: "the file name is too long",
    errno.ELOOP: "a chain of links that leads nowhere",
    # A pipe or a socket without a partner; opening one that has a partner is refused by its kind.
    errno.ENXIO: "not a regular file",
}


def os_reason(error: OSError | ValueError) -> str:
    """Say in plain words why the operating system refused."""
    if isinstance(error, OSError) and error.errno in _REASONS:
        return _REASONS[error.errno]
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def open_input(
    path: str | os.PathLike[str],
    raises: type[ImfuseError],
    expected: str,
    max_bytes: int | None = None,
    *,
    fixed: bool = False,
) -> BinaryIO:
    """Open a file from outside for reading. Every input goes through here.

    It is opened first, without waiting, and then looked at: what a path named a moment ago may be another file now, and
    a pipe that nobody writes to would hold up whoever opens it in the plain way. Files without content are refused.

    Args:
        path: the file.
        raises: the error of the kind of file.
        expected: what is expected there, as "an image file", for messages.
        max_bytes: the largest file that is accepted; any with None. A sparse file counts by its apparent size.
        fixed: nobody can ask for a larger ``max_bytes``, so that no message advises it.

    Returns:
        The open file, at its begin.

    Raises:
        ImfuseError: as ``raises``: the file is missing, may not be read, is no regular file, is empty, or too large.

    Example:
        >>> open_input("missing.png", ImageError, "an image file")
        Traceback (most recent call last):
            ...
        imfuse.core.errors.ImageError: missing.png: no such file
    """
    try:
        # O_NONBLOCK does not change how a regular file is read. Windows has O_BINARY, and neither of the others.
        flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"))
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise raises(f"{printable(os.fspath(path))}: {os_reason(error)}") from error
    try:
        status = os.fstat(descriptor)
        if problem := _problem(status, expected, max_bytes, fixed):
            raise raises(f"{printable(os.fspath(path))}: {problem[0]}", *problem[1:])
        # os.fdopen would give it a number for a name, and readers that look at names stumble over that.
        return open(path, "rb", opener=lambda *_: descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _problem(status: os.stat_result, expected: str, max_bytes: int | None, fixed: bool) -> tuple[str, ...]:
    """What speaks against reading an open file, and advice; nothing where it may be read."""
    if stat.S_ISDIR(status.st_mode):
        return (f"this is a folder, {expected} is expected",)
    if not stat.S_ISREG(status.st_mode):
        return (f"not a regular file, {expected} is expected",)
    if status.st_size == 0:
        return (f"the file is empty (0 bytes), {expected} is expected",)
    if max_bytes is not None and status.st_size > max_bytes:
        message = f"the file has {status.st_size} bytes, at most {max_bytes} are read"
        return (message,) if fixed else (message, f"use max_bytes={status.st_size} to allow it")
    return ()


def read_input(
    path: str | os.PathLike[str], raises: type[ImfuseError], expected: str, max_bytes: int, *, fixed: bool = False
) -> bytes:
    """Content of a file from outside; arguments and errors are those of :func:`open_input`.

    Returns:
        At most ``max_bytes`` bytes, however the file grows meanwhile.
    """
    with open_input(path, raises, expected, max_bytes, fixed=fixed) as stream:
        try:
            # A reader that is asked for more than there is takes memory for all of it.
            return stream.read(min(max_bytes, os.fstat(stream.fileno()).st_size))
        except OSError as error:
            raise raises(f"{printable(os.fspath(path))}: {os_reason(error)}") from error


def input_hash(
    path: str | os.PathLike[str], raises: type[ImfuseError], expected: str, max_bytes: int, *, fixed: bool = False
) -> str:
    """SHA-256 of a file from outside; arguments and errors are those of :func:`open_input`.

    Returns:
        64 hexadecimal digits, of at most ``max_bytes`` bytes, however the file grows meanwhile.

    Example:
        >>> input_hash("missing.png", ImageError, "an image file", 1 << 20)
        Traceback (most recent call last):
            ...
        imfuse.core.errors.ImageError: missing.png: no such file
    """
    with open_input(path, raises, expected, max_bytes, fixed=fixed) as stream:
        try:
            return _hash(stream, max_bytes)
        except OSError as error:
            raise raises(f"{printable(os.fspath(path))}: {os_reason(error)}") from error


def file_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file of our own making, as 64 hexadecimal digits; :func:`input_hash` is for all others.

    Nothing is remembered: a file that was replaced within the clock's resolution has its old size and time. Raises
    ``OSError`` where it cannot be read.
    """
    with Path(path).open("rb") as stream:
        return _hash(stream)


def _hash(stream: BinaryIO, most: int | None = None) -> str:
    """Hash what is left of a stream, or its next ``most`` bytes."""
    digest, left = hashlib.sha256(), sys.maxsize if most is None else most
    while block := stream.read(min(_BLOCK, left)):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()


def optional_path(path: str | os.PathLike[str] | None) -> Path | None:
    """The path, or ``None`` where there is none."""
    return None if path is None else Path(path)


def file_identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """What tells a file or folder from others, whatever it is called; ``None`` where it is not there."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder, not a file; ``ImageError`` where nothing is there, or it may not be looked at."""
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except (OSError, ValueError) as error:
        raise ImageError(f"{os.fspath(path)}: {getattr(error, 'strerror', None) or error}") from error


def split_extension(file: str) -> tuple[str, str]:
    """The name of a file without its extension, and this in lower case; that of a packed file is both of its two.

    Numbers are no extension: scanners call their files by them.

    >>> split_extension("seq.1/scan.NII.GZ"), split_extension("a.b.png"), split_extension("1.2.840.5")
    (('seq.1/scan', '.nii.gz'), ('a.b', '.png'), ('1.2.840.5', ''))
    """
    extension = PurePath(file).suffix
    if extension[1:].isdigit():
        return file, ""
    if extension.lower() == ".gz":
        extension = PurePath(file.removesuffix(extension)).suffix + extension
    return file.removesuffix(extension), extension.lower()


def stem_of(path: Path) -> str:
    """What a picture is called: its name without folder and extension."""
    return split_extension(path.name)[0]
