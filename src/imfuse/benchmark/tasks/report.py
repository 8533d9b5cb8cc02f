"""``task_report.html``: one page that opens from disk, with the tables of a task and boxes over every picture."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imfuse.benchmark.report import check_report, page_environment, source
from imfuse.benchmark.report.pictures import as_webp
from imfuse.benchmark.tasks import tables
from imfuse.benchmark.tasks.results import TaskResults
from imfuse.benchmark.tasks.views import DRAWN, STYLES, Panel, panels_of
from imfuse.core.errors import ImfuseError
from imfuse.core.notes import note
from imfuse.imaging import write_file

_DASHES = {"solid": "none", "dashed": "7 4", "dotted": "2 3"}


def write_task_report(results: TaskResults, folder: Path, output: Path | None = None) -> Path:
    """Write ``task_report.html``, one page that opens from disk.

    Args:
        results: of a benchmark of a task.
        folder: that of the results, where their pictures are.
        output: the folder to write into; by default that of the results.

    Returns:
        The file.

    Raises:
        ImfuseError: Jinja2 is not installed, or the disk refuses.

    Example:
        ```python
        write_task_report(read_task_results(Path("runs/m3fd"), "detect"), Path("runs/m3fd"))
        ```
    """
    check_report()
    styles = {kind: (colour, _DASHES[line]) for kind, (colour, line) in STYLES.items()}
    page = (
        page_environment()
        .get_template("task.html")
        .render(
            results=results,
            tables=tables,
            style=source("page.css"),
            styles=styles,
            smallest=DRAWN,
            scenes=list(_scenes(results, folder)),
        )
    )
    file = (output or folder) / "task_report.html"
    write_file(file, page.encode("utf-8", "backslashreplace"), through_links=False)
    return file


def _scenes(results: TaskResults, folder: Path) -> Iterator[dict[str, Any]]:
    for view in results.views:
        try:
            panels = [_embedded(panel) for panel in panels_of(results, view, folder)]
        except ImfuseError as error:
            note(f"task_report.html: {view.name} cannot be shown: {error.message}")
            continue
        yield {"name": view.name, "panels": panels}


def _embedded(panel: Panel) -> dict[str, Any]:
    height, width = panel.picture.shape[:2]
    picture = base64.b64encode(as_webp(panel.picture)).decode("ascii")
    return {"title": panel.title, "width": width, "height": height, "picture": picture, "boxes": panel.boxes}
