"""The one gate to the terminal: what a command prints goes through here, so that no name in it can act on a terminal.

Nothing in ``cli`` calls ``print`` or makes a console of its own. Tables and styled text come from rich, whose markup is
off: brackets in a name are brackets.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from imfuse.core.errors import ImfuseError
from imfuse.core.files import os_reason
from imfuse.core.notes import ImfuseWarning
from imfuse.core.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

_STANDARD = 3


def say(text: object) -> None:
    """Print a line on the standard output."""
    with _standard_output():
        print(printable(text))


def tell(text: object) -> None:
    """Print a line on the standard error output; where that is closed or full, there is nobody to tell."""
    with suppress(OSError, ValueError):
        print(one_line(text), file=sys.stderr, flush=True)


def warn(text: str, *where: str) -> None:
    """Print a line on the standard error output that says who it is from, and of what, such as a method and a pair."""
    tell(": ".join(("imfuse", *map(printable, where), text)))


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console of rich without markup, emoji codes and highlighting, that shows control characters escaped.

    A line break in a table is one, so that names in cells are to be given as ``printable`` returns them.
    """
    from rich.console import Console
    from rich.segment import Segment

    class Gate(Console):
        def print(self, *objects: Any, **how: Any) -> None:
            with _standard_output():
                super().print(*objects, **how)

        def render(self, *what: Any, **how: Any) -> Iterator[Segment]:
            for segment in super().render(*what, **how):
                yield segment if segment.control else segment._replace(text=_lines(segment.text))

    return Gate(stderr=stderr, width=width, markup=False, emoji=False, emoji_variant="text", highlight=False)


def flush() -> None:
    """Have all that was said written."""
    with _standard_output():
        sys.stdout.flush()


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


@contextmanager
def _standard_output() -> Iterator[None]:
    """Turn what a full disk or a closed file makes of writing into an error of one line. A pipe may end early."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ImfuseError(f"standard output: {os_reason(error)}") from error


@contextmanager
def gate(show_warning: Callable[[str], None]) -> Iterator[None]:
    """While it is open, warnings and logs, of other packages as well, are printed escaped; tracebacks even later.

    Args:
        show_warning: prints an :class:`ImfuseWarning`, which is one line without its place in the source.
    """

    def show(message: Warning | str, category: type[Warning], *where: Any, **_: Any) -> None:
        if isinstance(message, ImfuseWarning):
            show_warning(str(message))
        else:
            _tell_lines(warnings.formatwarning(one_line(message), category, *where[:2]))

    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(_Record)
    sys.excepthook = _show_traceback
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", ImfuseWarning)
            warnings.showwarning = show
            yield
    finally:
        logging.setLogRecordFactory(factory)


class _Record(logging.LogRecord):
    def getMessage(self) -> str:
        return printable(super().getMessage())


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _tell_lines("".join(traceback.format_exception(kind, error, trace)))


def _tell_lines(text: str) -> None:
    with suppress(OSError, ValueError):
        print(_lines(text.rstrip("\n")), file=sys.stderr, flush=True)


def open_closed_streams() -> bool:
    """Give standard streams that are closed to the null device, so that no file of ours gets their number.

    Whatever prints in this process would write into that file.

    Returns:
        Whether the standard output was closed.
    """
    closed = [number for number in range(_STANDARD) if not _is_open(number)]
    for _ in closed:
        os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8"))
    return 1 in closed


def give_up_broken_streams() -> None:
    """What cannot be written is dropped, so that Python does not complain about it at its end."""
    for stream in (sys.stdout, sys.stderr):
        if not _can_flush(stream):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _can_flush(stream: TextIO) -> bool:
    try:
        stream.flush()
    except (OSError, ValueError):
        return False
    return True
