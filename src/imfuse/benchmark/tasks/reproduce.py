"""A published table of a task beside what we measure: printed, ours and the difference, in per cent."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imfuse.benchmark import escapes
from imfuse.benchmark.published import PublishedTask
from imfuse.benchmark.tasks.results import TaskResults
from imfuse.benchmark.tasks.tables import UNDEFINED, caption, marks, notes, title


def comparison(published: PublishedTask, results: TaskResults | None) -> Iterator[list[str]]:
    """A row as printed, one of ours and one of differences for each method; then our other rows.

    Rows are the same where their names, or the titles of their models, are: letters and digits, in any case. Each
    begins with its name and "printed", "ours" or "difference".
    """
    left = {} if results is None else {row: _names(results, row) for row in results.rows}
    measures = measures_of(published)
    for method, printed in published.rows.items():
        yield [method, "printed", *(f"{printed[name]:.1f}" for name in measures)]
        for row in [row for row, names in left.items() if _bare(method) in names]:
            del left[row]
            ours = _ours(results, row, measures)
            gains = [
                None if value is None else value - printed[name] for name, value in zip(measures, ours, strict=True)
            ]
            yield ["", f"ours {_mark(results, row)}".strip(), *map(_word, ours)]
            yield ["", "difference", *(UNDEFINED if gain is None else f"{gain:+.1f}" for gain in gains)]
    for row in left:
        yield [row, f"ours {_mark(results, row)}".strip(), *map(_word, _ours(results, row, measures))]


def measures_of(published: PublishedTask) -> list[str]:
    """Names of the columns."""
    return list(next(iter(published.rows.values())))


def notes_of(published: PublishedTask, results: TaskResults | None) -> Iterator[str]:
    """What a reader of the differences has to know."""
    yield f"{published.table} of {published.cite}, in per cent; {published.note}"
    if results is not None:
        yield f"ours: {title(results)}. {caption(results)}"
        for origin in notes(results):
            yield f"{origin.mark} {origin.note}"


def markdown(published: PublishedTask, results: TaskResults | None) -> str:
    """The comparison as a table, with its notes."""
    measures = measures_of(published)
    rows = [["", "", *measures], ["---", "---", *["---:"] * len(measures)]]
    rows += [[escapes.markdown(name), *words] for name, *words in comparison(published, results)]
    lines = [f"- {escapes.markdown(note)}" for note in notes_of(published, results)]
    return "\n".join([f"## {published.name}", "", *(f"| {' | '.join(row)} |" for row in rows), "", *lines, ""])


def _ours(results: TaskResults | None, row: str, measures: list[str]) -> list[float | None]:
    assert results is not None
    found = results.rows[row].measures
    values = [found[name].value if name in found else None for name in measures]
    return [None if value is None else 100 * value for value in values]


def _mark(results: TaskResults | None, row: str) -> str:
    return "" if results is None else marks(results.rows[row])


def _names(results: TaskResults, row: str) -> set[str]:
    used = results.rows[row].used
    return {_bare(name) for name in (row, *(used.names if used else ()))}


def _word(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.1f}"


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())
