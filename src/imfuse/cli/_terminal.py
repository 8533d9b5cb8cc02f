"""What commands that work on folders share: a progress bar, lists of names in a line, and what is a folder."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from imfuse.core.errors import ImageError, PairError

if TYPE_CHECKING:
    from imfuse.fusing.folder import Progress

LISTED = 5


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None] | None]:
    """A bar with pairs/s and the time left, on a terminal; nothing elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich import progress as rich
    from rich.text import Text

    class Speed(rich.ProgressColumn):
        def render(self, task: rich.Task) -> Text:
            return Text(f"{task.speed:.1f} pairs/s" if task.speed else "", style="progress.data.speed")

    columns = (
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        Speed(),
        rich.TimeRemainingColumn(),
        rich.TextColumn("left"),
    )
    with rich.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("fuse", total=None)

        def update(step: Progress) -> None:
            bar.update(task, completed=step.done, total=step.total)

        yield update


def count(number: int, noun: str) -> str:
    """A number with its noun, which gets an s where it needs one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def few(names: tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest} more" if rest > 0 else "")


def are_folders(infrared: Path, visible: Path) -> bool:
    """Whether two paths are folders, or files; ``PairError`` where they differ."""
    first, second = _is_folder(infrared), _is_folder(visible)
    if first != second:
        words = ["a folder" if kind else "a file" for kind in (first, second)]
        raise PairError(f"{infrared} is {words[0]} but {visible} is {words[1]}; give two files or two folders")
    return first


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path}: {reason}; give two files or two folders") from error
