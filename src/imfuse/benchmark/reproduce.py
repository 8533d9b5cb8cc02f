"""A published table beside what we compute: printed, ours, difference."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from imfuse.benchmark import escapes
from imfuse.benchmark.origins import footnotes, origin_of
from imfuse.benchmark.published import PublishedTable
from imfuse.benchmark.results import Results
from imfuse.metrics import METRICS


@dataclass(frozen=True)
class Line:
    """One method: values by symbol as printed and as computed here, nan where there is none.

    ``mark`` says whose weights ours were computed with.
    """

    method: str
    printed: dict[str, float]
    ours: dict[str, float]
    mark: str = ""

    def difference(self, symbol: str) -> float:
        """Ours less the printed value; nan where one is missing."""
        return self.ours.get(symbol, math.nan) - self.printed.get(symbol, math.nan)


def lines_of(published: PublishedTable, results: Results | None) -> list[Line]:
    """Every method of the table, with our numbers where we have that method, then the methods that it lacks.

    Methods are the same where their names, or the title of the model, are: letters and digits, in any case.
    """
    lines: list[Line] = []
    marks = {} if results is None else {name: origin_of(used).mark for name, used in results.methods.items()}
    left = {} if results is None or published.data not in results.data else _ours(published, results)
    for printed, values in published.rows.items():
        same = [method for method, (names, _) in left.items() if _bare(printed) in names]
        for method in same:
            name = f"{printed} ({method})" if len(same) > 1 else printed
            lines.append(Line(name, values, left.pop(method)[1], marks[method]))
        if not same:
            lines.append(Line(printed, values, {}))
    return lines + [Line(method, {}, values, marks[method]) for method, (_, values) in left.items()]


def notes_of(published: PublishedTable, results: Results | None) -> Iterator[str]:
    """What a reader of the differences has to know."""
    yield f"{published.table} of {published.cite}; ours: convention {published.convention}"
    pairs = len(results.data[published.data].pairs) if results and published.data in results.data else 0
    if pairs and published.pairs and pairs != published.pairs:
        yield f"{published.pairs} pairs in the table, {pairs} here: the means are over different pictures"
    if results and published.data in results.data:
        for origin in footnotes(results.methods[method] for method in results.methods_on(published.data)):
            yield f"{origin.mark} {origin.note}"
    for column in published.columns.values():
        if column.note:
            yield f"{column.symbol}: {column.note}" + ("" if column.compare else "; not compared")


def markdown(published: PublishedTable, results: Results | None) -> str:
    """The comparison as a table: a row as printed, one of ours, one of the differences."""
    symbols = list(published.columns)
    head = [f"{symbol} {METRICS[symbol].arrow}".strip() for symbol in symbols]
    rows = [["method", "", *head], ["---", "---", *["---:"] * len(symbols)]]
    for line in lines_of(published, results):
        rows += [[escapes.markdown(line.method), *words] for words in words_of(line, published)]
    notes = [f"- {note}" for note in notes_of(published, results)]
    return "\n".join([f"## {published.name}", "", *(f"| {' | '.join(row)} |" for row in rows), "", *notes, ""])


def words_of(line: Line, published: PublishedTable) -> list[list[str]]:
    """What is printed of a line: up to three rows, each with its name first."""
    symbols, digits = list(published.columns), published.digits

    def row(name: str, values: list[float], sign: str = "") -> list[str]:
        # Adding 0 turns -0 into 0.
        rounded = [round(value, digits) + 0.0 for value in values]
        return [name, *("-" if math.isnan(value) else f"{value:{sign}.{digits}f}" for value in rounded)]

    rows = []
    if line.printed:
        rows.append(row("printed", [line.printed.get(symbol, math.nan) for symbol in symbols]))
    if line.ours:
        rows.append(row(f"ours {line.mark}".strip(), [line.ours.get(symbol, math.nan) for symbol in symbols]))
    if line.printed and line.ours:
        rows.append(row("difference", [line.difference(symbol) for symbol in symbols], "+"))
    return rows


def _ours(published: PublishedTable, results: Results) -> dict[str, tuple[set[str], dict[str, float]]]:
    """Names and means of each of our methods."""
    scores = results.scores(published.data)
    ours = {}
    for method in scores.methods:
        names = {_bare(word) for word in (method, *results.methods[method].names)}
        ours[method] = names, {symbol: scores.summary(symbol, method).mean for symbol in scores.metrics}
    return ours


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())
