"""Tables as CSV that a spreadsheet may open: no cell of a name is taken for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def csv_text(rows: Iterable[Sequence[object]]) -> bytes:
    r"""Rows as the content of a CSV file.

    A cell that begins with ``=``, ``+``, ``-``, ``@`` or white space of a line, and is no number, gets an apostrophe in
    front: spreadsheets would compute it.

    Args:
        rows: cells; floating ones are written in full precision.

    Returns:
        The file, in UTF-8; bytes of file names that are no text are written as ``\udcff``.

    Example:
        >>> csv_text([("method", "EN"), ("=1+1", -0.5)]).decode()
        "method,EN\n'=1+1,-0.5\n"
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([_inert(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _inert(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_ACTIVE) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
