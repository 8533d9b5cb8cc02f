"""Ranks and significance of a benchmark on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from imfuse.benchmark.tables import Table as BenchmarkTable


def rank_table(table: BenchmarkTable) -> Group:
    """Average rank of each method, and in which metrics it is better or worse than the chosen one."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1), header_style="bold")
    shown.add_column("", no_wrap=True, style="bold")
    shown.add_column("rank ↓", justify="right", no_wrap=True)
    for heading in ("better", "worse", "not told apart"):
        shown.add_column(heading, overflow="fold")
    for method in sorted(table.scores.methods, key=lambda name: table.ranks[name]):
        marks = {symbol: one.mark for symbol, one in table.comparisons.get(method, {}).items()}
        words = [" ".join(symbol for symbol, mark in marks.items() if mark == wanted) for wanted in "+-="]
        reference = method == table.against and bool(table.comparisons)
        shown.add_row(
            Text(method), f"{table.ranks[method]:.2f}", *(["(the reference)", "", ""] if reference else words)
        )
    note = " rank: mean over metrics and pairs, 1 is best"
    if table.comparisons:
        note += f"; better, worse: than {table.against}, paired Wilcoxon test at 5 %, corrected after Holm"
    return Group(shown, Text(note))
