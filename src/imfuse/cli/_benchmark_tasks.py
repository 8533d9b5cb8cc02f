"""``imfuse benchmark --task``: what its options mean, and what is printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from imfuse.cli._benchmark_tables import print_whole
from imfuse.cli._printing import console, say
from imfuse.cli._terminal import progress_bar, warn_of_failure
from imfuse.core.errors import BenchmarkError
from imfuse.core.text import printable

if TYPE_CHECKING:
    from imfuse.benchmark.tasks.results import TaskResults


def run_task(settings: dict[str, Any], output: Path, *, report: bool) -> None:
    """Run a benchmark of a task, print its table, and write its files. Raises ``ImfuseError``."""
    from imfuse.benchmark.tasks.plan import TaskPlan

    plan = TaskPlan(**settings)
    # Torch takes seconds to import: what is wrong with the command line comes first.
    from imfuse.benchmark.tasks.run import run_task_benchmark
    from imfuse.benchmark.tasks.tables import write_task_tables

    with progress_bar() as progress:
        results = run_task_benchmark(plan, output, progress=progress)
    for row, failed in results.failed.items():
        for name, reason in failed.items():
            warn_of_failure(reason, results.title, row, name)
    print_task(results)
    for file in (results.write(output), *write_task_tables(results, output)):
        say(file)
    if report:
        from imfuse.benchmark.tasks.report import write_task_report

        say(write_task_report(results, output))
    if results.failed:
        raise typer.Exit(1)


def reproduce_task(
    name: str,
    data: Path | None,
    models: str,
    fused: dict[str, Path],
    detector: Path | None,
    device: str,
    output: Path,
) -> None:
    """Print a published table of a task, beside ours where there is a data set. Raises ``ImfuseError``."""
    from imfuse.benchmark.plan import parse_models
    from imfuse.benchmark.published import get_published_task
    from imfuse.benchmark.tasks.plan import TaskPlan

    published = get_published_task(name)
    results = None
    if data is not None:
        chosen: Any = {"data": (published.data, data), "fused": fused, "detector": detector}
        plan = TaskPlan("detect", parse_models(models), protocol=published.protocol, device=device, **chosen)
        from imfuse.benchmark.tasks.run import run_task_benchmark

        with progress_bar() as progress:
            results = run_task_benchmark(plan, output, progress=progress)
        results.write(output)
    from imfuse.benchmark.tasks.reproduce import comparison, markdown, measures_of, notes_of
    from imfuse.imaging import write_file

    shown = Table(box=SIMPLE_HEAD, padding=(0, 1), header_style="bold")
    for i, heading in enumerate((published.name, "", *measures_of(published))):
        shown.add_column(heading, justify="right" if i > 1 else "left", no_wrap=True)
    for row in comparison(published, results):
        shown.add_row(*(Text(printable(word)) for word in row))
    print_whole(shown)
    for note in notes_of(published, results):
        console().print(Text(f" {printable(note)}"))
    if results is not None:
        write_file(output / "reproduce.md", markdown(published, results).encode(), through_links=False)
        say(output / "reproduce.md")


def task_figure(folder: Path, task: str, names: list[str], output: Path | None) -> Path:
    """Write what a network found in the pictures of every row side by side. Raises ``ImfuseError``."""
    from imfuse.benchmark.tasks.views import write_task_figure

    target = output or folder / f"figure_{task}"
    return write_task_figure(_results(folder, task), folder, target.with_name(f"{target.name}.png"), names)


def task_files(folder: Path, task: str, output: Path | None) -> list[Path]:
    """Write the tables and the report of a task again. Raises ``ImfuseError``."""
    from imfuse.benchmark.tasks.report import write_task_report
    from imfuse.benchmark.tasks.tables import write_task_tables

    results = _results(folder, task)
    return [*write_task_tables(results, output or folder), write_task_report(results, folder, output)]


def _results(folder: Path, task: str) -> TaskResults:
    from imfuse.benchmark.tasks.plan import checked_task
    from imfuse.benchmark.tasks.results import read_task_results

    return read_task_results(folder, checked_task(task))


def one_data_set(data: dict[str, Path] | None) -> tuple[str, Path] | None:
    """The only data set; raises ``BenchmarkError`` for more."""
    if data and len(data) > 1:
        raise BenchmarkError(f"{len(data)} data sets are given, a benchmark of a task takes one")
    return next(iter(data.items())) if data else None


def print_task(results: TaskResults) -> None:
    """The table: means over classes with intervals, differences from the chosen control, and scores of classes."""
    from imfuse.benchmark.tasks.tables import (
        caption,
        difference_text,
        marks,
        notes,
        reading,
        score_text,
        title,
        truths,
    )

    terminal = console()
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1), header_style="bold")
    shown.add_column("", style="bold", no_wrap=True)
    head = results.headlines[0]
    for name in results.measures:
        shown.add_column(Text(printable(name)), justify="right", no_wrap=True)
        if name == head:
            shown.add_column(Text(printable(f"less {results.against}")), justify="right", no_wrap=True)
    for row, used in results.rows.items():
        cells = [Text(printable(row + marks(used)))]
        for name, measure in used.measures.items():
            cells.append(Text(score_text(measure)))
            if name == head:
                gain = measure.differences.get(results.against)
                cells.append(Text(difference_text(gain) if gain else ""))
        shown.add_row(*cells)
    say("")
    terminal.print(Text(printable(title(results)), style="bold"))
    print_whole(shown)
    for words in (caption(results), truths(results), *(f"{one.mark} {one.note}" for one in notes(results))):
        terminal.print(Text(f" {printable(words)}"))
    terminal.print(Text(f" {printable(reading(results))}"))
