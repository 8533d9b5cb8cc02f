"""Results as Markdown, LaTeX and CSV: means with the best and the second marked, intervals, ranks, significance."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from imfuse.benchmark.results import Results
from imfuse.benchmark.statistics import Comparison, average_ranks, compare
from imfuse.imaging import write_file
from imfuse.metrics import METRICS
from imfuse.scoring.scores import Scores

_DIGITS = 5
_UNDEFINED = "-"
_LATEX = str.maketrans(
    {"_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
     "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A mean as printed, the ends of its interval, and its place: 0 best, 1 second, 2 other."""

    mean: str
    interval: str
    place: int
    mark: str


@dataclass(frozen=True)
class Table:
    """The table of one data set."""

    name: str
    title: str
    scores: Scores
    against: str

    @classmethod
    def of(cls, results: Results, data: str) -> Table:
        """The table of a data set of ``results``."""
        return cls(data, results.data[data].title, results.scores(data), results.against)

    @property
    def ranked(self) -> bool:
        """Whether there is something to rank."""
        return len(self.scores.methods) > 1 and not all(map(math.isnan, self.ranks.values()))

    @cached_property
    def ranks(self) -> dict[str, float]:
        """Average rank of each method; see ``average_ranks``."""
        return average_ranks(self.scores)

    @cached_property
    def comparisons(self) -> dict[str, dict[str, Comparison]]:
        """See ``compare``."""
        return compare(self.scores, self.against)

    @cached_property
    def cells(self) -> dict[str, dict[str, Cell]]:
        """Cells by method and metric. Places go by the printed digits, so that what looks equal is equal."""
        cells: dict[str, dict[str, Cell]] = {method: {} for method in self.scores.methods}
        for symbol in self.scores.metrics:
            summaries = {method: self.scores.summary(symbol, method) for method in self.scores.methods}
            form = _form(max((abs(one.mean) for one in summaries.values() if one.count), default=0.0))
            means = {method: format(one.mean, form) if one.count else _UNDEFINED for method, one in summaries.items()}
            order = sorted({float(mean) for mean in means.values() if mean != _UNDEFINED})
            if METRICS[symbol].better == "higher":
                order.reverse()
            for method, one in summaries.items():
                ends = f"{one.low:{form}}–{one.high:{form}}" if one.count > 1 else ""
                placed = METRICS[symbol].better != "none" and means[method] != _UNDEFINED and len(means) > 1
                place = min(order.index(float(means[method])), 2) if placed else 2
                place = 2 if place == 1 and len(means) == 2 else place
                mark = self.comparisons.get(method, {}).get(symbol)
                cells[method][symbol] = Cell(means[method], ends, place, mark.mark if mark else "")
        return cells


def tables_of(results: Results) -> list[Table]:
    """One table for each data set that has results."""
    return [Table.of(results, data) for data in results.data if results.methods_on(data)]


def write_tables(results: Results, output: Path) -> list[Path]:
    """Write ``tables.md``, ``tables.tex``, ``summary.csv`` and ``values.csv``.

    Args:
        results: of a benchmark.
        output: the folder to write into; it is made.

    Returns:
        The four files.

    Raises:
        ImageError: the disk refuses.

    Example:
        ```python
        write_tables(read_results(Path("runs/tno")), Path("tables"))
        ```
    """
    tables = tables_of(results)
    texts = {
        "tables.md": "\n".join(markdown(table) for table in tables),
        "tables.tex": latex(tables, results),
        "summary.csv": summary_csv(tables),
        "values.csv": values_csv(tables),
    }
    for name, text in texts.items():
        # Names of files may be no text.
        write_file(output / name, text.encode("utf-8", "backslashreplace"))
    return [output / name for name in texts]


def markdown(table: Table, level: int = 2) -> str:
    """Best bold, second underlined; intervals and significance in a second table."""
    symbols, methods = table.scores.metrics, table.scores.methods
    head = [f"{symbol} {METRICS[symbol].arrow}".strip() for symbol in symbols]
    ranks = ["rank ↓"] if table.ranked else []
    lines = [f"{'#' * level} {table.title}, {table.scores.pairs} pairs", ""]
    rows = [
        [_md(method), *(_marked(table.cells[method][symbol]) for symbol in symbols), *_rank(table, method)]
        for method in methods
    ]
    lines += _md_table(["method", *head, *ranks], rows)
    if table.scores.pairs > 1:
        rows = [
            [_md(method), *(f"{cell.interval} {cell.mark}".strip() for cell in table.cells[method].values())]
            for method in methods
        ]
        note = f"; + better, - worse, = not told apart from {_md(table.against)}" if table.comparisons else ""
        lines += [f"95 % bootstrap intervals of the means{note}:", "", *_md_table(["method", *head], rows)]
    return "\n".join(lines)


def latex(tables: Sequence[Table], results: Results) -> str:
    """Tables for ``booktabs``: best bold, second underlined, intervals as a comment that a reader can bring in."""
    lines = [
        "% \\usepackage{booktabs}",
        f"% imfuse {results.imfuse}, convention {results.convention.name}, {results.date}",
    ]
    for table in tables:
        lines += ["", *_latex_table(table)]
    return "\n".join(lines) + "\n"


def summary_csv(tables: Sequence[Table]) -> str:
    """A line for each data set, method and metric, in full precision."""
    head = ("data", "pairs", "method", "metric", "better", "mean", "std", "low", "high", "count", "undefined")
    rows: list[Sequence[str]] = [(*head, "place", "average_rank", "against", "p_holm", "significant")]
    for table in tables:
        for method in table.scores.methods:
            for symbol in table.scores.metrics:
                one, cell = table.scores.summary(symbol, method), table.cells[method][symbol]
                tested = table.comparisons.get(method, {}).get(symbol)
                numbers = [_number(value) for value in (one.mean, one.std, one.low, one.high)]
                place = ("best", "second", "")[cell.place]
                rows.append((
                    table.name, str(table.scores.pairs), method, symbol, METRICS[symbol].better, *numbers,
                    str(one.count), str(one.undefined), place, _number(table.ranks[method]), table.against,
                    _number(tested.p) if tested else "", cell.mark,
                ))  # fmt: skip
    return _csv(rows)


def values_csv(tables: Sequence[Table]) -> str:
    """A line for each picture: data set, method, pair, then the metrics in full precision."""
    symbols = tables[0].scores.metrics if tables else ()
    rows: list[Sequence[str]] = [("data", "method", "image", *symbols)]
    rows += [
        (table.name, row.method, row.image, *(_number(row.values[symbol]) for symbol in symbols))
        for table in tables
        for row in table.scores.rows
    ]
    return _csv(rows)


def caption(table: Table) -> str:
    """What the numbers of a table are, in a sentence."""
    rank = " rank: mean over metrics and pairs (1 is best)." if table.ranked else ""
    return f"Means over {table.scores.pairs} pairs of {table.title}, convention {table.scores.convention}.{rank}"


def _latex_table(table: Table) -> Iterator[str]:
    symbols = table.scores.metrics
    arrows = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "none": ""}
    head = [symbol.translate(_LATEX) + arrows[METRICS[symbol].better] for symbol in symbols]
    yield r"\begin{table}"
    yield r"  \centering"
    yield f"  \\caption{{{caption(table).translate(_LATEX)}}}"
    yield f"  \\label{{tab:{table.name}}}"
    yield f"  \\begin{{tabular}}{{l{'r' * (len(symbols) + table.ranked)}}}"
    yield r"    \toprule"
    yield f"    {' & '.join(['Method', *head, *(['Rank'] if table.ranked else [])])} \\\\"
    yield r"    \midrule"
    for method in table.scores.methods:
        cells = [table.cells[method][symbol] for symbol in symbols]
        marks = (r"\textbf{%s}", r"\underline{%s}", "%s")
        words = [method.translate(_LATEX), *(marks[cell.place] % cell.mean for cell in cells), *_rank(table, method)]
        yield f"    {' & '.join(words)} \\\\"
        if any(cell.interval for cell in cells):
            yield f"    % {' & '.join(['', *(cell.interval.replace('–', '--') for cell in cells)])}"
    yield r"    \bottomrule"
    yield r"  \end{tabular}"
    yield r"\end{table}"


def _rank(table: Table, method: str) -> list[str]:
    if not table.ranked:
        return []
    return [f"{table.ranks[method]:.2f}"]


def _form(largest: float) -> str:
    """Five digits for the largest mean."""
    places = _DIGITS - 1 - (math.floor(math.log10(largest)) if largest > 0 else 0)
    return f".{min(max(places, 0), _DIGITS - 1)}f" if places <= 2 * _DIGITS else ".3e"


def _marked(cell: Cell) -> str:
    return (f"**{cell.mean}**", f"<u>{cell.mean}</u>", cell.mean)[cell.place]


def _md(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _md_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return [*(f"| {' | '.join(row)} |" for row in (head, rule, *rows)), ""]


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
