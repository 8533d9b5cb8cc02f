"""Tables as CSV that a spreadsheet may open: no cell of a name is taken for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from imfuse.core.text import printable

_ACTIVE = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_PLAIN = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
# A number, or the two limits of a range.
_NUMBER = re.compile(rf"{_PLAIN}(,{_PLAIN})?|[+-]?(inf|nan)", re.IGNORECASE)


def csv_text(rows: Iterable[Sequence[object]]) -> bytes:
    r"""Rows as the content of a CSV file.

    A cell that begins with ``=``, ``+``, ``-`` or ``@`` and is no number gets an apostrophe in front, else spreadsheets
    would compute it. Line breaks, other control characters and bytes of file names that are no text are written as
    ``\n``, ``\x1b``, ``\udcff``.

    Args:
        rows: cells; floating ones are written in full precision.

    Returns:
        The file, in UTF-8.

    Example:
        >>> csv_text([("method", "EN"), ("=1+1", -0.5)]).decode()
        "method,EN\n'=1+1,-0.5\n"
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([_inert(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _inert(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = printable(cell)
    return f"'{text}" if text.startswith(_ACTIVE) and not _NUMBER.fullmatch(text) else text
