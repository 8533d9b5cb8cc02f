"""Scores as tables on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imfuse.cli._printing import console as new_console
from imfuse.cli._terminal import count
from imfuse.core.text import printable
from imfuse.core.version import VERSION
from imfuse.metrics import METRICS, get_convention, get_definition

if TYPE_CHECKING:
    from rich.console import Console

    from imfuse.scoring import Scores, Summary

GRAYS = {
    "matlab": "colour becomes gray as by MATLAB's rgb2gray",
    "opencv": "colour becomes gray as by OpenCV, rounded",
    "channels": "the channels of colour are scored one by one and averaged",
}
BEST = "*"
UNDEFINED = "-"
_DIGITS = 5
_LONGEST_NAME = 24


def print_scores(scores: Scores, console: Console | None = None, marks: Mapping[str, str] | None = None) -> None:
    """Print the values of one picture, the statistics of a folder or a comparison, and what is behind the numbers.

    ``marks`` stand behind the names of methods, which are shortened for them where they are long.
    """
    console = console or new_console()
    names = {method: _name(method, (marks or {}).get(method, "")) for method in scores.methods}
    one = len(scores.methods) == 1
    for table in _one_method(scores, names, console) if one else _comparison(scores, names, console):
        console.print(table)
    for line in _explanations(scores):
        console.print(Padding(line, (0, 0, 0, 1)))


def _name(method: str, mark: str) -> Text:
    """A method as a table shows it."""
    name = Text(printable(method))
    name.truncate(_LONGEST_NAME - len(mark), overflow="ellipsis")
    return name.append(mark)


def _one_method(scores: Scores, names: Mapping[str, Text], console: Console) -> list[Table]:
    """One table, with the metrics in words where there is room."""
    table = _list(scores, names, in_words=True)
    return [table if _fits(table, console) else _list(scores, names, in_words=False)]


def _list(scores: Scores, names: Mapping[str, Text], in_words: bool) -> Table:
    """A line for each metric."""
    several = len(scores.rows) > 1
    table = _table()
    table.add_column(names[scores.methods[0]], no_wrap=True, style="bold", max_width=_LONGEST_NAME)
    for heading in ("mean", "std", "95 % interval") if several else ("value",):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True, style="dim")
    if in_words:
        table.add_column("metric", no_wrap=True, style="dim")
    for symbol in scores.metrics:
        spec, summary = METRICS[symbol], scores.summary(symbol)
        numbers = _Form.of([summary]).lines(summary)
        words = (spec.unit, spec.name) if in_words else (spec.unit,)
        table.add_row(f"{symbol} {spec.arrow}", *(numbers if several else numbers[:1]), *words)
    return table


def _comparison(scores: Scores, names: Mapping[str, Text], console: Console) -> list[Table]:
    """As few tables as fit beside each other's columns into the width, with equally many metrics."""
    number = len(scores.metrics)
    for blocks in range(1, number + 1):
        step = math.ceil(number / blocks)
        tables = [_block(scores, names, scores.metrics[i : i + step]) for i in range(0, number, step)]
        if all(_fits(table, console) for table in tables):
            break
    return tables


def _block(scores: Scores, names: Mapping[str, Text], symbols: Sequence[str]) -> Table:
    """A row for each method, a column for each metric."""
    table = _table()
    table.add_column("", no_wrap=True, style="bold", max_width=_LONGEST_NAME)
    for symbol in symbols:
        table.add_column(f"{symbol} {METRICS[symbol].arrow}".strip(), justify="right", no_wrap=True)
    columns = [_column(scores, symbol) for symbol in symbols]
    for method, *cells in zip(scores.methods, *columns, strict=True):
        table.add_row(names[method], *cells)
    return table


def _column(scores: Scores, symbol: str) -> list[Text]:
    """Cells of one metric: mean, below it standard deviation and interval; the best and the second best are marked."""
    summaries = [scores.summary(symbol, method) for method in scores.methods]
    form = _Form.of(summaries)
    ranks = _ranks([form.lines(summary)[0] for summary in summaries], METRICS[symbol].better)
    cells = []
    for summary, rank in zip(summaries, ranks, strict=True):
        mean, *spread = form.lines(summary)
        second = rank == 1 and len(summaries) > 2
        cell = Text.assemble((BEST + mean, "bold") if rank == 0 else (mean, "underline" if second else ""))
        if _several(scores):
            cell.append("".join(f"\n{line}" for line in spread), "dim")
        cells.append(cell)
    return cells


def _ranks(means: Sequence[str], better: str) -> list[int]:
    """Place of each mean, 0 for the best; by the printed digits, so that what looks equal is equal."""
    if better == "none":
        return [len(means)] * len(means)
    order = sorted({float(mean) for mean in means if mean != UNDEFINED}, reverse=better == "higher")
    return [len(means) if mean == UNDEFINED else order.index(float(mean)) for mean in means]


@dataclass(frozen=True)
class _Form:
    """How the numbers of a column are written: format specifications of means, deviations and ends of intervals."""

    mean: str
    std: str
    end: str

    @classmethod
    def of(cls, summaries: Sequence[Summary]) -> _Form:
        """Five digits for the largest mean, at least two for deviations and for the width of intervals."""
        places = _DIGITS - 1 - max(_magnitudes(abs(one.mean) for one in summaries))
        if places > 2 * (_DIGITS - 1):
            return cls(".3e", ".1e", ".2e")
        places = min(max(places, 0), _DIGITS - 1)
        std = 1 - min(_magnitudes(one.std for one in summaries))
        end = 1 - min(_magnitudes(one.high - one.low for one in summaries))
        return cls(f".{places}f", *(f".{min(max(few, 0), places)}f" for few in (std, end)))

    def lines(self, summary: Summary) -> tuple[str, str, str]:
        """Mean, deviation and interval of one cell."""
        if not summary.count:
            return UNDEFINED, "", ""
        if summary.count == 1:
            return format(summary.mean, self.mean), "", ""
        ends = f"{summary.low:{self.end}}..{summary.high:{self.end}}"
        return format(summary.mean, self.mean), f"±{summary.std:{self.std}}", ends


def _magnitudes(values: Iterable[float]) -> list[int]:
    """Powers of ten of the values that have one; 0 where none has."""
    return [math.floor(math.log10(value)) for value in values if 0 < value < math.inf] or [0]


def _explanations(scores: Scores) -> Iterator[Text]:
    convention = get_convention(scores.convention)
    directions = {METRICS[symbol].better for symbol in scores.metrics}
    marks = [words for direction, words in _DIRECTIONS.items() if direction in directions]
    if len(scores.methods) > 1 and directions != {"none"}:
        marks.append(f"{BEST} best")
        if len(scores.methods) > 2:
            marks.append("underlined: second")
    if marks:
        yield Text("; ".join(marks))
    if _several(scores):
        yield Text(f"{count(scores.pairs, 'pair')}: mean, ± standard deviation, 95 % bootstrap interval of the mean")
    yield Text.assemble(
        "convention ",
        (convention.name, "bold"),
        f": {convention.origin}; {GRAYS[convention.gray]}; imfuse {VERSION}",
    )
    if scores.ranges:
        yield Text(
            "black..white of the sources: " + ", ".join(f"{side} {text}" for side, text in scores.ranges.items())
        )
    yield from _notes(scores)


_DIRECTIONS = {"higher": "↑ higher is better", "lower": "↓ lower is better", "none": "no arrow: best in between"}


def _notes(scores: Scores) -> Iterator[Text]:
    """What a reader of the means has to know: unequal numbers of pictures, undefined values, accidents."""
    scored = {method: sum(row.method == method for row in scores.rows) for method in scores.methods}
    if len(set(scored.values())) > 1:
        numbers = ", ".join(f"{printable(method)} {number}" for method, number in scored.items())
        yield Text(f"note: the means are over different pictures: {numbers} of {count(scores.pairs, 'pair')}", "yellow")
    for symbol in scores.metrics:
        undefined = {method: scores.summary(symbol, method).undefined for method in scores.methods}
        if any(undefined.values()):
            found = {printable(name): count(number, "picture") for name, number in undefined.items() if number}
            numbers = ", ".join(f"{pictures} of {name}" for name, pictures in found.items())
            yield Text(f"note: {symbol} is undefined for {numbers}, left out of its mean", "yellow")
    for symbol in scores.metrics:
        if accident := get_definition(symbol, scores.convention).accident:
            yield Text(f"accident of {scores.convention}, {symbol}: {accident}", "yellow")


def _fits(table: Table, console: Console) -> bool:
    wide = console.options.update(width=1000)
    return console.measure(table, options=wide).maximum <= console.width


def _several(scores: Scores) -> bool:
    return scores.pairs > 1


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=True, header_style="bold")
