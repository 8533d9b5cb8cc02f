"""One run at a time in an output folder."""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from imfuse.core.errors import ImfuseError
from imfuse.core.files import os_reason
from imfuse.core.notes import note
from imfuse.core.text import one_line

LOCK = ".imfuse.lock"
"""The file that is locked; it says who works in its folder, and goes when that is done."""
_MOST_BYTES = 1024
_HELD_BY_OTHERS = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # A locked byte cannot be read by others: one that is far behind the text.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_held: set[int] = set()


def _let_go_in_child() -> None:
    """A process that was forked has the lock as well; it must not outlive the one that works."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)


@contextmanager
def output_lock(folder: str | os.PathLike[str], work: str = "a run") -> Iterator[None]:
    """Keep other runs out of a folder while the block runs, those of the same process as well.

    The operating system holds the lock for the process, so that none is left of one that is killed. Where a file system
    has no locks, as some of networks do, a note says so and the work goes on.

    Args:
        folder: the folder that results go into; it exists.
        work: what is done there, for the message that others get.

    Raises:
        ImfuseError: another run uses the folder; the message says what, in which process, where and since when.

    Example:
        ```python
        with output_lock("runs/mine", "a training"):
            train_for_hours()
        ```
    """
    path = Path(folder) / LOCK
    descriptor = _acquire(path)
    if descriptor is None:
        yield
        return
    _held.add(descriptor)
    try:
        # What it says helps a reader; the lock itself does not need it, on a full disk for instance.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, _description(work).encode())
        yield
    finally:
        if descriptor in _held:
            _release(path, descriptor)


def _acquire(path: Path) -> int | None:
    """Descriptor of the locked file; ``None`` where this file system cannot lock."""
    while True:
        descriptor = None
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
            _lock(descriptor)
            if _is_at(path, descriptor):
                return descriptor
        except OSError as error:
            if descriptor is not None and error.errno in _HELD_BY_OTHERS:
                raise _in_use(path, descriptor) from None
            if descriptor is not None:
                os.close(descriptor)
            note(
                f"{path.parent}: cannot be locked against a second run ({os_reason(error)})",
                "see to it that nothing else writes there meanwhile",
            )
            return None
        # Whoever had it has deleted it just now.
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether a path still leads to the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _in_use(path: Path, descriptor: int) -> ImfuseError:
    try:
        found = one_line(os.read(descriptor, _MOST_BYTES).decode("utf-8", "replace"))
    except OSError:
        found = ""
    finally:
        os.close(descriptor)
    return ImfuseError(
        f"{path.parent}: in use by {found or 'another run'}",
        "wait for its end or stop it",
        "use output=... for another folder",
    )


def _description(work: str) -> str:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    return f"{work} (process {os.getpid()} on {platform.node() or 'this machine'}, since {since})\n"


def _release(path: Path, descriptor: int) -> None:
    _held.discard(descriptor)
    with suppress(OSError):
        # While it is locked, so that it cannot be the file of the next one; Windows deletes no open file.
        if sys.platform != "win32":
            path.unlink()
    os.close(descriptor)
    if sys.platform == "win32":
        with suppress(OSError):
            path.unlink()
