"""Boxes over each row's picture of a scene: which are right, which are false, and which true ones are missed."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from imfuse.benchmark.places import checked_file
from imfuse.benchmark.tasks.results import TaskResults, View
from imfuse.benchmark.tasks.tables import marks
from imfuse.core.boxes import Boxes
from imfuse.core.errors import BenchmarkError, ImfuseError
from imfuse.core.text import printable
from imfuse.imaging import write_file
from imfuse.imaging.inputs import MAX_PIXELS, read
from imfuse.metrics.detection import box_iou
from imfuse.scoring.levels import FULL, to_levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN = 0.3
"""Boxes of smaller scores would hide the picture."""
OVERLAP = 0.5
STYLES = {"right": ("#2ee66b", "solid"), "false": ("#ff4d4d", "dashed"), "missed": ("#ffd21f", "dotted")}
"""Colour and line of each kind of box: told apart without colours, too."""
_COLUMNS, _CELL, _HEAD = 3, 4.2, 0.22
_MOST_PIXELS = 12_000_000


@dataclass(frozen=True)
class Judged:
    """A box that is drawn: what became of it, its corners, and its words."""

    kind: str
    corners: tuple[float, float, float, float]
    words: str


def judge(found: Boxes, known: Boxes, names: Sequence[str], smallest: float = DRAWN) -> list[Judged]:
    """What became of the boxes of a picture.

    The surest first, each takes the free true box of its class that it overlaps most, if by half at least.

    Args:
        found: detections.
        known: true boxes.
        names: of the classes, by number.
        smallest: the smallest score of a detection that is looked at.

    Returns:
        The right ones, the false ones, and the true ones that are missed.

    Example:
        >>> known = Boxes.of([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0])
        >>> found = Boxes.of([[0, 0, 10, 9], [40, 0, 50, 10]], [0, 0], [0.9, 0.8])
        >>> [one.kind for one in judge(found, known, ["person"])]
        ['right', 'false', 'missed']
    """
    sure = found.where(found.scores >= smallest)
    sure = sure.where(np.argsort(-sure.scores, kind="stable"))
    free = np.ones(len(known), bool)
    judged = []
    for i, overlaps in enumerate(box_iou(sure.corners, known.corners)):
        possible = np.where(free & (known.classes == sure.classes[i]), overlaps, 0)
        hit = bool(possible.size) and possible.max() >= OVERLAP
        if hit:
            free[possible.argmax()] = False
        words = f"{names[sure.classes[i]]} {sure.scores[i]:.2f}"
        judged.append(Judged("right" if hit else "false", _corners(sure, i), words))
    judged += [Judged("missed", _corners(known, int(i)), names[known.classes[i]]) for i in np.flatnonzero(free)]
    return judged


@dataclass(frozen=True)
class Panel:
    """A row's picture of a scene, (H, W) or (H, W, 3) uint8, with its boxes."""

    title: str
    picture: npt.NDArray[np.uint8]
    boxes: tuple[Judged, ...]


def panels_of(results: TaskResults, view: View, folder: Path) -> Iterator[Panel]:
    """Every picture of a scene that there is. Raises ``ImfuseError``."""
    for row, shown in view.pictures.items():
        picture = to_levels(read(checked_file(folder, Path(shown.file), shown.sha256), MAX_PIXELS), FULL)
        boxes: tuple[Judged, ...] = ()
        if shown.found is not None and view.known is not None:
            boxes = tuple(judge(shown.found.boxes, view.known.boxes, results.classes))
        yield Panel(row + marks(results.rows[row]), picture, boxes)


def write_task_figure(results: TaskResults, folder: Path, output: Path, names: Sequence[str] = ()) -> Path:
    """Write the pictures of all rows side by side, with their boxes, as PNG.

    Args:
        results: of a benchmark of a task.
        folder: that of the results, where their pictures are.
        output: the file.
        names: of the scenes; none are all that are kept.

    Returns:
        The file.

    Raises:
        BenchmarkError: there is no such scene, or none at all.
        ImageError: a picture cannot be read, or the file cannot be written.
        ImfuseError: matplotlib is not installed.

    Example:
        ```python
        write_task_figure(read_task_results(Path("runs/m3fd"), "detect"), Path("runs/m3fd"), Path("boxes.png"))
        ```
    """
    views = {view.name: view for view in results.views}
    if unknown := [name for name in names if name not in views] or not views:
        found = f"no scene {unknown[0]!r}" if isinstance(unknown, list) else "no scene is kept"
        raise BenchmarkError(f"{found}; there are {', '.join(map(printable, views)) or 'none'}")
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ImfuseError("a figure needs another package: pip install 'imfuse[report]'") from None
    scenes = [list(panels_of(results, views[name], folder)) for name in names or views]
    heights = [_CELL * max(one.picture.shape[0] / one.picture.shape[1] for one in scene) + _HEAD for scene in scenes]
    lines = [math.ceil(len(scene) / _COLUMNS) for scene in scenes]
    total = sum(height * count for height, count in zip(heights, lines, strict=True)) + 2 * _HEAD
    figure = Figure(figsize=(_COLUMNS * _CELL, total))
    top = total - 2 * _HEAD
    if results.task == "detect":
        _legend(figure)
    for scene, height in zip(scenes, heights, strict=True):
        for i, panel in enumerate(scene):
            left, bottom = i % _COLUMNS * _CELL, top - (i // _COLUMNS + 1) * height
            size = (0.98 / _COLUMNS, (height - _HEAD) / total)
            axes: Any = figure.add_axes((left / (_COLUMNS * _CELL), bottom / total, *size))
            _draw(axes, panel)
        top -= math.ceil(len(scene) / _COLUMNS) * height
    content = io.BytesIO()
    dots = min(120.0, math.sqrt(_MOST_PIXELS / (_COLUMNS * _CELL * total)))
    figure.savefig(content, format="png", dpi=dots, metadata={"Software": None})
    write_file(output, content.getvalue(), through_links=False)
    return output


def _draw(axes: Axes, panel: Panel) -> None:
    from matplotlib.patches import Rectangle

    axes.set_axis_off()
    axes.set_title(printable(panel.title), fontsize=9, pad=3, parse_math=False)
    height, width = panel.picture.shape[:2]
    axes.imshow(panel.picture, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    for one in panel.boxes:
        left, top, right, bottom = one.corners
        colour, line = STYLES[one.kind]
        how: Any = {"fill": False, "edgecolor": colour, "linestyle": line, "linewidth": 1.3}
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, **how))


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D

    styles: list[dict[str, Any]] = [{"color": colour, "linestyle": line} for colour, line in STYLES.values()]
    lines = [Line2D([], [], **style) for style in styles]
    figure.legend(lines, list(STYLES), loc="upper center", ncols=3, frameon=False, fontsize=9)


def _corners(boxes: Boxes, i: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(float(side), 1) for side in boxes.corners[i])
    return left, top, right, bottom
