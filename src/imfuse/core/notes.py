"""What a user must hear although the work goes on: a guess was made, or a file is odd."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class ImfuseWarning(UserWarning):
    """A picture or a number may be other than what was wanted; the text says why, and what settles it.

    Args:
        message: what was found, and where.
        advice: what helps, each of it naming the parameter to set, as for :class:`imfuse.ImfuseError`.

    Example:
        >>> warning = ImfuseWarning("vi.png: 12-bit values in a 16-bit picture", "use visible_range='0,4095'")
        >>> str(warning)
        "vi.png: 12-bit values in a 16-bit picture; use visible_range='0,4095'"
    """

    def __init__(self, message: str, *advice: str) -> None:
        super().__init__("; ".join((message, *advice)))
        self.message, self.advice = message, advice


_collected: ContextVar[list[ImfuseWarning] | None] = ContextVar("_collected", default=None)


def note(message: str, *advice: str) -> None:
    """Say something once: to who collects notes in this thread, else as a Python warning.

    Args:
        message: what was found, and where.
        advice: what helps.

    Example:
        >>> with collected() as notes:
        ...     note("a.png: ends early")
        >>> [str(one) for one in notes]
        ['a.png: ends early']
    """
    warning, notes = ImfuseWarning(message, *advice), _collected.get()
    if notes is None:
        warnings.warn(warning, stacklevel=2)
    elif all(str(one) != str(warning) for one in notes):
        notes.append(warning)


@contextmanager
def collected() -> Iterator[list[ImfuseWarning]]:
    """Collect the notes of this thread in a list, as a run over many files does, which tells them with each file.

    Python's own warning filters belong to the whole process, so threads cannot use them to tell their notes apart.

    Returns:
        The list, which fills while the block runs.
    """
    notes: list[ImfuseWarning] = []
    token = _collected.set(notes)
    try:
        yield notes
    finally:
        _collected.reset(token)
