"""The one way out for files: whole or not at all, through links, with the mode of the file that is replaced."""

from __future__ import annotations

import errno
import os
import platform
import re
import secrets
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imfuse.core.errors import ImfuseError
from imfuse.core.files import os_reason
from imfuse.core.text import printable

_TEMPORARY = re.compile(r"\.imfuse-([0-9a-f]{8})-(\d+)-[0-9a-f]+\.tmp", re.ASCII)
# O_EXCL makes a new file and follows no link. Windows alone has O_BINARY, and lacks the others.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_NEW |= sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))


def check_replaceable(path: str | os.PathLike[str], raises: type[ImfuseError]) -> os.stat_result | None:
    """Refuse what must not be replaced whatever the user asked for: a folder, a pipe, a device, a socket.

    Args:
        path: where a file is to be written. Links are followed.
        raises: the error of the kind of file.

    Returns:
        What the system knows of the regular file in this place, or None where there is none.

    Raises:
        ImfuseError: as ``raises``: something other than a regular file is there, or it may not be looked at.

    Example:
        >>> from imfuse.core.errors import ImageError
        >>> check_replaceable("missing.png", ImageError) is None
        True
    """
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise raises(f"{printable(os.fspath(path))}: cannot write: {os_reason(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        raise raises(f"{printable(os.fspath(path))}: this is a folder, a file name is expected")
    if not stat.S_ISREG(status.st_mode):
        raise raises(
            f"{printable(os.fspath(path))}: not a regular file, and so never replaced", "choose another output=..."
        )
    return status


def write_output(
    path: str | os.PathLike[str], data: bytes, raises: type[ImfuseError], *, through_links: bool = True
) -> None:
    """Write a file so that readers see the old one or the new one, never half of it, and so it is after a crash.

    It is written and synced under a name that nobody can foresee beside its place, and then renamed. Where the path is
    a link, what it leads to is replaced and the link stays. A new file gets the mode that the umask leaves, one that
    replaces another gets the mode of that one.

    Args:
        path: the file; missing folders are made.
        data: its content.
        raises: the error of the kind of file.
        through_links: ``False`` replaces a link itself: for names that the user did not give, in a folder that may have
            come from others.

    Raises:
        ImfuseError: as ``raises``: a folder, or another thing that is no regular file, is there, or the disk refuses.

    Example:
        ```python
        write_output("results/table.md", text.encode(), ImageError)
        ```
    """
    old = check_replaceable(path, raises)
    try:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            if through_links:
                target = Path(os.path.realpath(target))
            else:
                old = None
        _replace(target, data, None if old is None else stat.S_IMODE(old.st_mode) & 0o777)
    except (OSError, ValueError) as error:
        raise raises(f"{printable(os.fspath(path))}: cannot write: {os_reason(error)}") from error


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    temporary = _temporary(target)
    # The content of a file that others may not read is not shown to them for a moment either.
    descriptor = os.open(temporary, _NEW, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(target.parent)


@contextmanager
def replacing(path: Path, raises: type[ImfuseError]) -> Iterator[Path]:
    """A place for a file that others write: renamed to ``path`` at the end of the block, deleted where it fails.

    Args:
        path: the file; missing folders are made.
        raises: the error of the kind of file.

    Returns:
        Where to write.

    Raises:
        ImfuseError: as ``raises``, as for :func:`write_output`.

    Example:
        ```python
        with replacing(Path("fused.mp4"), VideoError) as temporary:
            encode(temporary)
        ```
    """
    check_replaceable(path, raises)
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except (OSError, ValueError) as error:
        raise raises(f"{printable(path)}: cannot write: {os_reason(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    sync_folder(target.parent)


def _temporary(target: Path) -> Path:
    return target.with_name(f".imfuse-{_machine()}-{os.getpid()}-{secrets.token_hex(16)}.tmp")


def sync_folder(folder: Path) -> None:
    """Make a rename last. Windows opens no folders, and some network disks cannot sync them."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: str | os.PathLike[str]) -> int:
    """Delete the temporary files that killed runs on this machine left behind.

    Only regular files of this user, by the names that imfuse gives them. What running processes, other machines or
    other users write stays, and so does a link, whatever it is called.

    Args:
        folder: the folder that they wrote into; one that cannot be listed counts as clean.

    Returns:
        How many files were deleted.

    Example:
        ```python
        remove_leftovers("fused/")
        ```
    """
    removed = 0
    with suppress(OSError):
        for entry in Path(folder).iterdir():
            match = _TEMPORARY.fullmatch(entry.name)
            if match is None or match[1] != _machine() or _is_running(int(match[2])):
                continue
            with suppress(OSError):
                if _is_own_file(entry.lstat()):
                    entry.unlink()
                    removed += 1
    return removed


def _is_own_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and (not hasattr(os, "geteuid") or status.st_uid == os.geteuid())


def _machine() -> str:
    """Return eight hex digits for this machine: a process id says nothing about a shared folder's other writers."""
    return f"{zlib.crc32(platform.node().encode('utf-8', 'replace')):08x}"


def _is_running(process: int) -> bool:
    if os.name == "nt":  # signal 0 would end the process there, and an open file cannot be deleted anyway
        return process == os.getpid()
    try:
        os.kill(process, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    except OverflowError:
        return False
    return True
