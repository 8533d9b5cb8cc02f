"""What ``imfuse benchmark`` prints besides scores: ranks and significance, published tables, costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from imfuse.cli._printing import console
from imfuse.core.text import printable
from imfuse.metrics import METRICS

if TYPE_CHECKING:
    from imfuse.benchmark.efficiency import Efficiency
    from imfuse.benchmark.published import PublishedTable
    from imfuse.benchmark.results import Results
    from imfuse.benchmark.table import Table as BenchmarkTable
    from imfuse.benchmark.weights_check import WeightsCheck


def ranks_and_notes(table: BenchmarkTable) -> Group:
    """Ranks where there are any, how the methods were compared, and whose weights they have."""
    from imfuse.benchmark.table import comparison_note

    rank = "rank: mean over metrics and pairs, 1 is best" if table.ranked else ""
    origins = (f"{origin.mark} {origin.note}" for origin in table.footnotes)
    notes = [Text(f" {printable(words)}") for words in (rank, comparison_note(table), *origins) if words]
    return Group(*([_rank_table(table)] if table.ranked else []), *notes)


def _rank_table(table: BenchmarkTable) -> Table:
    """Average rank of each method, and in which metrics it is better or worse than the chosen one."""
    from imfuse.benchmark.table import MARKS

    shown = Table(box=SIMPLE_HEAD, padding=(0, 1), header_style="bold")
    shown.add_column("", no_wrap=True, style="bold")
    shown.add_column("rank ↓", justify="right", no_wrap=True)
    found = {one.mark for methods in table.comparisons.values() for one in methods.values()}
    headings = {mark: words for mark, words in MARKS.items() if mark in found}
    for heading in headings.values():
        shown.add_column(heading, overflow="fold")
    for method in sorted(table.scores.methods, key=lambda name: table.ranks[name]):
        marks = {symbol: one.mark for symbol, one in table.comparisons.get(method, {}).items()}
        words = [" ".join(symbol for symbol, mark in marks.items() if mark == wanted) for wanted in headings]
        if method == table.against and found:
            words = ["(the reference)"]
        shown.add_row(Text(printable(method) + table.mark(method)), f"{table.ranks[method]:.2f}", *words)
    return shown


def print_published(tables: Sequence[PublishedTable]) -> None:
    """The published tables there are, and the articles they are of."""
    from imfuse.benchmark.published import get_published_task, list_published_tasks

    shown = Table(box=SIMPLE_HEAD, padding=(0, 1), header_style="bold")
    for heading in ("NAME", "DATA", "PAIRS", "METHODS", "TABLE"):
        number = heading in ("PAIRS", "METHODS")
        shown.add_column(heading, no_wrap=True, justify="right" if number else "left")
    for one in tables:
        shown.add_row(one.name, one.data, str(one.pairs) if one.pairs else "?", str(len(one.rows)), one.table)
    print_whole(shown)
    terminal = console()
    for task in map(get_published_task, list_published_tasks()):
        words = f"{task.name}: {task.table}, {task.task} on {task.data}, {len(task.rows)} methods"
        terminal.print(Text(f" {printable(words)}"))
    for cite in dict.fromkeys(f"{one.name.partition('-')[0]}: {one.cite}" for one in tables):
        terminal.print(Text(f" {printable(cite)}"))


def print_reproduction(published: PublishedTable, results: Results | None) -> None:
    """Printed, ours and difference of every method, and what to know of them."""
    from imfuse.benchmark.reproduce import lines_of, notes_of, words_of

    symbols = list(published.columns)
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1), header_style="bold")
    shown.add_column(published.name, style="bold", no_wrap=True)
    shown.add_column("", style="dim", no_wrap=True)
    for symbol in symbols:
        shown.add_column(f"{symbol} {METRICS[symbol].arrow}".strip(), justify="right", no_wrap=True)
    for line in lines_of(published, results):
        rows = words_of(line, published)
        for i, row in enumerate(rows):
            last = i == len(rows) - 1
            shown.add_row(Text(printable(line.method) if i == 0 else ""), *row, end_section=last and len(rows) > 1)
    print_whole(shown)
    terminal = console()
    for note in notes_of(published, results):
        terminal.print(Text(f" {printable(note)}"))


def print_efficiency(efficiency: Efficiency) -> None:
    """Costs of models, and what the numbers are."""
    from imfuse.benchmark.efficiency import HEAD, notes_of, rows_of
    from imfuse.benchmark.routes import HEAD as ROUTES
    from imfuse.benchmark.routes import route_notes, route_rows

    parts: list[tuple[Sequence[str], list[list[str]], list[str]]]
    parts = [(HEAD, list(rows_of(efficiency)), list(notes_of(efficiency)))]
    if efficiency.routes:
        parts.append((ROUTES, list(route_rows(efficiency.routes)), list(route_notes())))
    terminal = console()
    for head, rows, notes in parts:
        shown = Table(box=SIMPLE_HEAD, padding=(0, 1), header_style="bold")
        for i, heading in enumerate(head):
            shown.add_column(heading, no_wrap=i > 0, justify="right" if i > 1 else "left")
        for row in rows:
            shown.add_row(*(Text(printable(cell)) for cell in row))
        print_whole(shown)
        for note in notes:
            terminal.print(Text(f" {printable(note)}"))


def print_checks(name: str, checks: Sequence[WeightsCheck]) -> None:
    """What each check of a method's weights found; those that fail in red, declared exceptions with their reason."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1), header_style="bold")
    shown.add_column(Text(printable(name)), no_wrap=True)
    shown.add_column("found", justify="right")
    shown.add_column("at most", justify="right")
    shown.add_column("worst on")
    for check in checks:
        failed = check.found > check.bound
        shown.add_row(
            Text(check.name, "" if check.passed else "bold red"),
            f"{check.found:.2f}",
            f"{check.bound:g} {check.unit}",
            Text(f"{check.picture}; {check.reason}" if failed and check.reason else check.picture),
        )
    console().print(shown)


def print_whole(table: Table) -> None:
    """Print a table whose numbers are not cut where the terminal is narrow."""
    terminal = console()
    wide = terminal.measure(table, options=terminal.options.update(width=1000)).maximum
    console(width=max(wide, terminal.width)).print(table)
