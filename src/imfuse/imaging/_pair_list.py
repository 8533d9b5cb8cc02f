"""A list of pairs in a file: CSV, or one JSON object per line."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from imfuse.core.errors import PairError
from imfuse.core.files import read_input, stem_of
from imfuse.core.notes import note
from imfuse.core.text import one_line, printable

MAX_BYTES = 256 << 20
MAX_PAIRS = 1_000_000
_MAX_TEXT = 4096
_LISTED = 4
_REQUIRED = ("infrared", "visible")
_COLUMNS = (*_REQUIRED, "name")
_DELIMITERS = (",", ";", "\t")

_Record = tuple[int, dict[str, str]]


class ListedPair(NamedTuple):
    """A line of a list of pairs: its number, the two files, and what the pair is called."""

    line: int
    infrared: Path
    visible: Path
    name: str


def read_list(path: Path, folders: tuple[Path | None, Path | None]) -> list[ListedPair]:
    """Read a list of pairs, with the columns (or keys) ``infrared``, ``visible`` and, where wanted, ``name``.

    Args:
        path: the list, in UTF-8: CSV with a line of headings, or JSON Lines.
        folders: where files are looked for besides the folder of the list, infrared and visible.

    Raises:
        PairError: the list cannot be read, or lines of it are wrong; the message gives their numbers.
    """
    text = _decoded(path, read_input(path, PairError, "a list of pairs, CSV or JSON Lines,", MAX_BYTES))
    records = _json_lines(path, text) if text.lstrip()[:1] == "{" else _csv_lines(path, text)
    pairs: list[ListedPair] = []
    problems: list[str] = []
    for line, record in records:
        if len(pairs) + len(problems) >= MAX_PAIRS:
            raise PairError(f"{printable(path)}: more than {MAX_PAIRS} pairs; split the list")
        try:
            pairs.append(_listed_pair(path, folders, line, record))
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise PairError(f"{printable(path)}: {'; '.join(problems[:_LISTED])}{more}")
    if not pairs:
        raise PairError(f"{printable(path)}: no pairs in this list")
    try:
        return _named(pairs)
    except ValueError as error:
        raise PairError(f"{printable(path)}: {error}", "give each a name of its own in a column name") from error


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PairError(f"{printable(path)}: line {line}: not UTF-8; save the list as UTF-8") from error


def _csv_lines(path: Path, text: str) -> Iterator[_Record]:
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        headings = [cell.strip().casefold() for cell in next(rows, [])]
        if not all(headings.count(column) == 1 for column in _REQUIRED) or headings.count("name") > 1:
            found = printable(head[:80].rstrip("\r"))
            raise PairError(
                f"{printable(path)}: line 1: the headings infrared,visible or infrared,visible,name are expected, "
                f"found {found!r}"
            )
        if ignored := [heading for heading in headings if heading not in _COLUMNS]:
            note(f"{printable(path)}: columns without a meaning are ignored: {printable(', '.join(ignored))}")
        start = rows.line_num + 1
        for cells in rows:
            line, start = start, rows.line_num + 1
            if not any(cells):
                continue
            if len(cells) != len(headings):
                raise PairError(
                    f"{printable(path)}: line {line}: {len(headings)} cells are expected, found {len(cells)}"
                )
            yield line, {name: cell.strip() for name, cell in zip(headings, cells, strict=True) if name in _COLUMNS}
    except csv.Error as error:
        raise PairError(f"{printable(path)}: line {rows.line_num}: {one_line(error)}") from error


def _json_lines(path: Path, text: str) -> Iterator[_Record]:
    ignored: dict[str, None] = {}
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            record = json.loads(content) if len(content) <= 4 * _MAX_TEXT else None
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or not all(isinstance(record.get(key, ""), str) for key in _COLUMNS):
            raise PairError(
                f'{printable(path)}: line {line}: an object such as {{"infrared": "a.png", "visible": "b.png"}} is '
                "expected"
            )
        ignored |= dict.fromkeys(key for key in record if key not in _COLUMNS)
        yield line, {key: record[key] for key in _COLUMNS if key in record}
    if ignored:
        shown = printable(", ".join(list(ignored)[:_LISTED]))
        note(f"{printable(path)}: keys without a meaning are ignored: {shown}")


def _listed_pair(path: Path, folders: tuple[Path | None, Path | None], line: int, record: dict[str, str]) -> ListedPair:
    """Check a line. Raises ``ValueError``, which says what is wrong."""
    files = [
        _located(record.get(side, ""), side, path.parent, folder)
        for side, folder in zip(_REQUIRED, folders, strict=True)
    ]
    if files[0] == files[1]:
        raise ValueError("infrared and visible are the same file")
    name = record.get("name", "")
    if name:
        _check_name(name)
    return ListedPair(line, files[0], files[1], name)


def _located(text: str, side: str, beside: Path, folder: Path | None) -> Path:
    """The file that a cell names, from the folder of the list or that of the side."""
    if not text or len(text) > _MAX_TEXT or "\0" in text:
        raise ValueError(f"{side}: the path of a file is expected" + (", it is empty" if not text else ""))
    candidates = {Path(os.path.normpath(base / text)) for base in (beside, folder) if base is not None}
    found = [candidate for candidate in sorted(candidates) if _is_file(candidate)]
    if not found:
        other = any(candidate.exists() and not candidate.is_dir() for candidate in candidates)
        raise ValueError(f"{side}: {'not a regular file' if other else 'no such file'}: {printable(text)}")
    if len(found) > 1 and not found[0].samefile(found[1]):
        raise ValueError(f"{side}: {printable(found[0])} and {printable(found[1])} are two files; say which")
    return found[0]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _check_name(name: str) -> None:
    """A name becomes a file below the folder of results."""
    parts = PurePosixPath(name).parts
    safe = name.isprintable() and not set(name) & set('\\:*?"<>|') and len(name) <= _MAX_TEXT
    if not safe or name.startswith("/") or ".." in parts or "/".join(parts) != name:
        raise ValueError(f"the name {printable(name)!r} cannot become that of a file")


def _named(pairs: Sequence[ListedPair]) -> list[ListedPair]:
    """Give each pair without a name the stem of its visible file; where stems repeat, with the folders that differ.

    Raises ``ValueError`` where two pairs would have one name.
    """
    stems = [stem_of(pair.visible).casefold() for pair in pairs if not pair.name]
    folders = {pair.visible.parent for pair in pairs} if len(set(stems)) < len(stems) else set()
    absolute = {folder: folder.resolve() for folder in folders}
    common = os.path.commonpath(absolute.values()) if absolute else ""
    named: list[ListedPair] = []
    lines: dict[str, int] = {}
    for pair in pairs:
        name = pair.name or stem_of(pair.visible)
        if common and not pair.name:
            name = (absolute[pair.visible.parent].relative_to(common) / name).as_posix()
        if (before := lines.setdefault(name.casefold(), pair.line)) != pair.line:
            raise ValueError(f"lines {before} and {pair.line} would both be called {printable(name)!r}")
        named.append(pair._replace(name=name))
    return named
