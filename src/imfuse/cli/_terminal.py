"""What commands that work on folders share: a progress bar, lines on what is wrong, and what is a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from imfuse.cli._flags import in_flags
from imfuse.cli._printing import console, warn
from imfuse.core.errors import PairError
from imfuse.core.files import is_folder
from imfuse.core.text import printable

if TYPE_CHECKING:
    from imfuse.fusing.folder import FolderReport, Progress

LISTED = 5


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None] | None]:
    """A bar with pairs/s and the time left, on a terminal; nothing elsewhere."""
    with bar_of("pairs") as bar:
        yield None if bar is None else lambda step: bar(step.done, step.total)


@contextmanager
def bar_of(things: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar that takes how many are done and how many there are, on a terminal; nothing elsewhere."""
    terminal = console(stderr=True)
    if not terminal.is_terminal:
        yield None
        return
    from rich import progress as rich
    from rich.text import Text

    class Speed(rich.ProgressColumn):
        def render(self, task: rich.Task) -> Text:
            return Text(f"{task.speed:.1f} {things}/s" if task.speed else "", style="progress.data.speed")

    columns = (
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        Speed(),
        rich.TimeRemainingColumn(),
        rich.TextColumn("left"),
    )
    with rich.Progress(*columns, console=terminal, transient=True) as bar:
        task = bar.add_task("fuse", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def count(number: int, noun: str) -> str:
    """A number with its noun, which gets an s where it needs one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def few(names: tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - LISTED
    return ", ".join(map(printable, names[:LISTED])) + (f" and {rest} more" if rest > 0 else "")


def warn_of_doubt(message: str, *where: str) -> None:
    """Print a line on what may be other than was wanted, such as a pair's range, with the flags of this command."""
    warn(in_flags(message), "warning", *where)


def warn_of_failure(message: str, *where: str) -> None:
    """Print a line on what failed, such as a method and a pair, with the flags of this command in the advice."""
    warn(f"failed: {' '.join(map(printable, filter(None, where)))}: {in_flags(message)}")


def warn_of_problems(report: FolderReport) -> None:
    """Lines on the standard error output: files without a partner, of each side; doubts; pairs that failed."""
    for side, names in (("infrared", report.unmatched_infrared), ("visible", report.unmatched_visible)):
        if names:
            warn(f"{count(len(names), f'{side} picture')} without a partner: {few(names)}")
    for name, message in report.warnings:
        warn_of_doubt(message, name)
    for name, message in report.failed:
        warn_of_failure(message, name)


def closing_line(report: FolderReport, done: str, output: Path, noun: str = "pair") -> str:
    """What became of the pairs of two folders, in a line; ``done`` is a word such as "fused"."""
    parts = [f"{count(len(report.written), noun)} {done} into {output}"]
    if report.written:
        parts[0] += f" ({len(report.written) / report.seconds:.1f} {noun}s/s)"
    if report.skipped:
        parts.append(f"{len(report.skipped)} finished before")
    if report.failed:
        parts.append(f"{len(report.failed)} failed")
    return ", ".join(parts)


def are_folders(*paths: Path) -> bool:
    """Whether paths are folders, or files; ``PairError`` where they differ, ``ImageError`` where there is nothing."""
    kinds = [is_folder(path) for path in paths]
    if len(set(kinds)) > 1:
        other = kinds.index(not kinds[0])
        words = ["a folder" if kinds[place] else "a file" for place in (0, other)]
        wanted = "give two files or two folders" if len(paths) == 2 else "give files only, or folders only"
        raise PairError(f"{printable(paths[0])} is {words[0]} but {printable(paths[other])} is {words[1]}; {wanted}")
    return kinds[0]
