"""Results as Markdown, LaTeX and CSV: means with the best and the second marked, intervals, ranks, significance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from imfuse.benchmark import escapes
from imfuse.benchmark.results import Results
from imfuse.benchmark.table import MARKS, UNDEFINED, Cell, Table, caption, comparison_note, tables_of
from imfuse.core.text import one_line
from imfuse.imaging import write_file
from imfuse.metrics import METRICS
from imfuse.scoring.spreadsheet import csv_text

_PLACES = ("best", "second", "")


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
    # Names of files may be no text.
    contents = {
        "tables.md": "\n".join(markdown(table) for table in tables).encode("utf-8", "backslashreplace"),
        "tables.tex": latex(tables, results).encode("utf-8", "backslashreplace"),
        "summary.csv": summary_csv(tables),
        "values.csv": values_csv(tables),
    }
    for name, content in contents.items():
        write_file(output / name, content, through_links=False)
    return [output / name for name in contents]


def markdown(table: Table, level: int = 2) -> str:
    """Best bold, second underlined; intervals and significance in a second table; whose weights below the first."""
    symbols, methods = table.scores.metrics, table.scores.methods
    names = {method: f"{escapes.markdown(method)} {table.mark(method)}".strip() for method in methods}
    head = [f"{symbol} {METRICS[symbol].arrow}".strip() for symbol in symbols]
    ranks = ["rank ↓"] if table.ranked else []
    lines = [f"{'#' * level} {escapes.markdown(table.title)}, {table.scores.pairs} pairs", ""]
    rows = [
        [names[method], *(_marked(table.cells[method][symbol]) for symbol in symbols), *_rank(table, method)]
        for method in methods
    ]
    lines += _md_table(["method", *head, *ranks], rows)
    if table.footnotes:
        lines += [*(f"- {origin.mark} {origin.note}" for origin in table.footnotes), ""]
    if table.scores.pairs > 1:
        rows = [
            [names[method], *(f"{cell.interval} {cell.mark}".strip() for cell in table.cells[method].values())]
            for method in methods
        ]
        legend = f"; {_legend(table)}" if table.comparisons else ""
        lines += [f"95 % bootstrap intervals of the means{legend}:", ""]
        lines += _md_table(["method", *head], rows)
        if note := comparison_note(table):
            lines += [escapes.markdown(note), ""]
    return "\n".join(lines)


def markdown_beside(parts: Mapping[str, Table], level: int = 2) -> str:
    """Tables of parts of one data set, such as day and night, beside each other: a column for each metric and part."""
    first = next(iter(parts.values()))
    counts = ", ".join(f"{table.scores.pairs} by {name}" for name, table in parts.items())
    head = [f"{symbol} {name} {METRICS[symbol].arrow}".strip() for symbol in first.scores.metrics for name in parts]
    rows = [
        [
            f"{escapes.markdown(method)} {first.mark(method)}".strip(),
            *(
                _marked(table.cells[method][symbol]) if method in table.cells else UNDEFINED
                for symbol in first.scores.metrics
                for table in parts.values()
            ),
        ]
        for method in first.scores.methods
    ]
    return "\n".join(
        [f"{'#' * level} {escapes.markdown(first.title)}: {counts}", "", *_md_table(["method", *head], rows)]
    )


def latex(tables: Sequence[Table], results: Results) -> str:
    """Tables for ``booktabs``: best bold, second underlined, intervals as a comment that a reader can bring in."""
    made = f"imfuse {results.imfuse}, convention {results.convention.name}, {results.date}"
    lines = ["% \\usepackage{booktabs}", f"% {one_line(made)}"]
    for table in tables:
        lines += ["", *_latex_table(table)]
    return "\n".join(lines) + "\n"


def summary_csv(tables: Sequence[Table]) -> bytes:
    """A line for each data set, method and metric, in full precision."""
    head = ("data", "pairs", "method", "metric", "better", "mean", "std", "low", "high", "count", "undefined")
    tests = ("against", "p_holm", "significant", "smallest_p_holm", "comparisons", "pairs_needed")
    rows: list[Sequence[object]] = [(*head, "place", "average_rank", *tests, "weights")]
    for table in tables:
        for method in table.scores.methods:
            for symbol in table.scores.metrics:
                one, cell = table.scores.summary(symbol, method), table.cells[method][symbol]
                numbers = [_number(value) for value in (one.mean, one.std, one.low, one.high)]
                rows.append((
                    table.name, table.scores.pairs, method, symbol, METRICS[symbol].better, *numbers, one.count,
                    one.undefined, _PLACES[cell.place], _number(table.ranks[method]), table.against,
                    *_tested(table, method, symbol), table.origins[method].word,
                ))  # fmt: skip
    return csv_text(rows)


def values_csv(tables: Sequence[Table]) -> bytes:
    """A line for each picture: data set, method, pair, then the metrics in full precision, then whose weights."""
    symbols = tables[0].scores.metrics if tables else ()
    rows: list[Sequence[object]] = [("data", "method", "image", *symbols, "weights")]
    rows += [
        (
            table.name,
            row.method,
            row.image,
            *(_number(row.values[symbol]) for symbol in symbols),
            table.origins[row.method].word,
        )
        for table in tables
        for row in table.scores.rows
    ]
    return csv_text(rows)


def _tested(table: Table, method: str, symbol: str) -> tuple[object, ...]:
    """Corrected p, mark, what p cannot fall below, how many were corrected together, and how many pairs that takes."""
    one = table.comparisons.get(method, {}).get(symbol)
    return ("",) * 5 if one is None else (_number(one.p), one.mark, _number(one.smallest), one.family, one.needed)


def _latex_table(table: Table) -> Iterator[str]:
    symbols = table.scores.metrics
    arrows = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "none": ""}
    head = [escapes.latex(symbol) + arrows[METRICS[symbol].better] for symbol in symbols]
    words = caption(table)
    if table.comparisons:
        words += f" {_legend(table)}. {comparison_note(table)}"
    yield r"\begin{table}"
    yield r"  \centering"
    yield f"  \\caption{{{escapes.latex(words)}}}"
    yield f"  \\label{{tab:{escapes.latex_label(table.name)}}}"
    yield f"  \\begin{{tabular}}{{l{'r' * (len(symbols) + table.ranked)}}}"
    yield r"    \toprule"
    yield f"    {' & '.join(['Method', *head, *(['Rank'] if table.ranked else [])])} \\\\"
    yield r"    \midrule"
    for method in table.scores.methods:
        cells = [table.cells[method][symbol] for symbol in symbols]
        name = escapes.latex(method) + table.origins[method].latex
        yield f"    {' & '.join([name, *map(_latex_cell, cells), *_rank(table, method)])} \\\\"
        if any(cell.interval for cell in cells):
            yield f"    % {' & '.join(['', *(cell.interval.replace('–', '--') for cell in cells)])}"
    yield r"    \bottomrule"
    yield r"  \end{tabular}"
    for origin in table.footnotes:
        yield f"  \\par\\footnotesize {origin.latex} {escapes.latex(origin.note)}"
    yield r"\end{table}"


def _latex_cell(cell: Cell) -> str:
    mean = (r"\textbf{%s}", r"\underline{%s}", "%s")[cell.place] % cell.mean
    return f"{mean}$^{{{cell.mark}}}$" if cell.mark else mean


def _legend(table: Table) -> str:
    """What the marks of comparisons stand for, those that occur."""
    found = {cell.mark for cells in table.cells.values() for cell in cells.values()}
    return ", ".join(f"{mark} {words}" for mark, words in MARKS.items() if mark in found)


def _rank(table: Table, method: str) -> list[str]:
    if not table.ranked:
        return []
    return [f"{table.ranks[method]:.2f}"]


def _marked(cell: Cell) -> str:
    return (f"**{cell.mean}**", f"<u>{cell.mean}</u>", cell.mean)[cell.place]


def _md_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return [*(f"| {' | '.join(row)} |" for row in (head, rule, *rows)), ""]


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(value)
