"""The qualitative figure of papers: rows are pairs, columns are methods, with magnified details, as PNG and PDF."""

from __future__ import annotations

import io
import itertools
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from imfuse.benchmark.origins import footnotes, labels_of
from imfuse.benchmark.places import fused_of, infrared_of, visible_of
from imfuse.benchmark.results import Results
from imfuse.core.errors import BenchmarkError, ImfuseError
from imfuse.core.text import printable
from imfuse.imaging import parse_range, write_file
from imfuse.imaging.inputs import MAX_PIXELS, read
from imfuse.scoring.levels import FULL, to_levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Levels = npt.NDArray[np.uint8]

_WIDTH = 7.16  # inches: two columns of an IEEE page
_SETTINGS: tuple[dict[str, Any], ...] = (
    {"dpi": 300, "metadata": {"Software": None}},
    {"metadata": {"CreationDate": None, "Producer": None}},
)
"""Of the PNG and of the PDF, which have no date in them."""
_FONT = 7.0  # points
_NOTE_FONT, _NOTE_LINE, _NOTE_LETTERS = 5.5, 0.11, 165
_COLOURS = ("#ff3b30", "#34c759", "#ffcc00")
_INSET = 0.44
_GAP = 0.012
_MOST_COLUMNS = 100
_DEFAULT_SIZE = 0.16
_PAIR = re.compile(r"(?:(?P<data>[^/@]+)/)?(?P<name>[^@]+)(?P<details>(?:@[^@]+)*)")


@dataclass(frozen=True)
class Detail:
    """A square to magnify: its centre as parts of width and height, its side as a part of the shorter side."""

    x: float
    y: float
    size: float = _DEFAULT_SIZE


@dataclass(frozen=True)
class Row:
    """A pair of a data set, and what to magnify of it; without details, where the infrared picture stands out most."""

    data: str
    name: str
    details: tuple[Detail, ...] = ()


def parse_row(pair: str, results: Results) -> Row:
    """``[DATA/]NAME[@X,Y[,SIZE]]...``; raises ``BenchmarkError`` for what the results do not have."""
    match = _PAIR.fullmatch(pair)
    words: dict[str, str | None] = match.groupdict() if match else {"name": pair}
    data, name = words.get("data") or next(iter(results.data)), words["name"] or ""
    if data not in results.data:
        raise BenchmarkError(f"pair={pair!r}: no data set {data!r}; there are {_some(results.data)}")
    if name not in results.data[data].pairs:
        some = _some(results.data[data].pairs)
        raise BenchmarkError(f"pair={pair!r}: no pair {name!r} in {printable(data)}; there are {some}")
    try:
        details = tuple(Detail(*map(float, one.split(","))) for one in (words.get("details") or "").split("@")[1:])
    except (TypeError, ValueError):
        raise BenchmarkError(f"pair={pair!r}: [DATA/]NAME@X,Y,SIZE is expected, such as tno/05@0.4,0.6,0.15") from None
    for one in details:
        if not (0 <= one.x <= 1 and 0 <= one.y <= 1 and 0 < one.size <= 1):
            raise BenchmarkError(f"pair={pair!r}: X, Y and SIZE are parts of the picture, from 0 to 1")
    if len(details) > len(_COLOURS):
        raise BenchmarkError(f"pair={pair!r}: at most {len(_COLOURS)} details are magnified")
    return Row(data, name, details)


def write_figure(
    results: Results, folder: Path, rows: Sequence[Row], methods: Sequence[str], output: Path
) -> list[Path]:
    """Write the figure as PNG and as PDF.

    Args:
        results: of a benchmark.
        folder: that of the results.
        rows: the pairs, and what to magnify of them.
        methods: the columns behind infrared and visible; none are all.
        output: the two files without their extensions.

    Returns:
        The two files.

    Raises:
        BenchmarkError: the results do not have one of the methods, or there are too many for a page.
        ImageError: a picture cannot be read, or a file cannot be written.
        ImfuseError: matplotlib is not installed.

    Example:
        ```python
        results = read_results(Path("runs/tno"))
        rows = [parse_row("05@0.4,0.6,0.15", results)]
        write_figure(results, Path("runs/tno"), rows, ["auif", "didfuse"], Path("figure"))
        ```
    """
    unknown = [method for method in methods if method not in results.methods]
    if unknown:
        raise BenchmarkError(f"no method {unknown[0]!r} in the results; there are {_some(results.methods)}")
    columns = methods or list(results.methods)
    if len(columns) > _MOST_COLUMNS:
        shown = f"{len(columns)} methods, at most {_MOST_COLUMNS} are legible side by side"
        raise BenchmarkError(shown, "choose some by methods=...")
    try:
        figure = _draw(results, folder, rows, columns)
    except ModuleNotFoundError:
        raise ImfuseError("a figure needs another package: pip install 'imfuse[report]'") from None
    targets = [output.with_name(output.name + extension) for extension in (".png", ".pdf")]
    for target, settings in zip(targets, _SETTINGS, strict=True):
        content = io.BytesIO()
        figure.savefig(content, format=target.suffix[1:], **settings)
        # A link that lies there is replaced, not what it leads to.
        write_file(target, content.getvalue(), through_links=False)
    return targets


def _some(names: Iterable[str], most: int = 20) -> str:
    """The first of the names that results of others have."""
    first = list(itertools.islice(names, most + 1))
    return ", ".join(map(printable, first[:most])) + (" ..." if len(first) > most else "")


def standing_out(infrared: Levels) -> Detail:
    """Where the infrared picture is brightest against its surroundings, as a person or an engine is."""
    gray = infrared.astype(np.float32) if infrared.ndim == 2 else infrared.mean(2, dtype=np.float32)
    side = min(gray.shape)
    near = cv2.GaussianBlur(gray, (0, 0), max(0.5, side / 40))
    far = cv2.GaussianBlur(gray, (0, 0), max(1.0, side / 8))
    # Blurs know less of the surroundings at the rim.
    rim = side // 10
    contrast = (near - far)[rim : gray.shape[0] - rim, rim : gray.shape[1] - rim]
    y, x = np.unravel_index(int(contrast.argmax()), contrast.shape)
    return Detail(float(x + rim) / gray.shape[1], float(y + rim) / gray.shape[0])


def _draw(results: Results, folder: Path, rows: Sequence[Row], methods: Sequence[str]) -> Figure:
    from matplotlib.figure import Figure

    pictures = [_pictures(results, folder, row, methods) for row in rows]
    titles = ["infrared", "visible", *methods]
    labels = labels_of(results.methods)
    cell = (_WIDTH - _GAP * (len(titles) - 1)) / len(titles)
    # A row is as high as its pictures are at the width of a column.
    heights = [cell * row["infrared"].shape[0] / row["infrared"].shape[1] for row in pictures]
    # What is in brackets has a line of its own, and the longest line fits its column.
    titles_shown = [printable(labels.get(title, title)).replace(" (", "\n(") for title in titles]
    longest = max(len(line) for title in titles_shown for line in title.splitlines())
    font = min(_FONT, 72 * cell / (0.6 * longest))
    head = 0.1 + 0.1 * max(len(title.splitlines()) for title in titles_shown)
    notes = _notes(results, methods)
    total = head + sum(heights) + _GAP * (len(rows) - 1) + _NOTE_LINE * len(notes)
    figure = Figure(figsize=(_WIDTH, total))
    for number, line in enumerate(reversed(notes)):
        figure.text(0, (number + 0.25) * _NOTE_LINE / total, line, fontsize=_NOTE_FONT)
    top = total - head
    for row, levels, height in zip(rows, pictures, heights, strict=True):
        details = row.details or (standing_out(levels["infrared"]),)
        for column, (title, shown) in enumerate(zip(titles, titles_shown, strict=True)):
            left = column * (cell + _GAP)
            place = (left / _WIDTH, (top - height) / total, cell / _WIDTH, height / total)
            axes: Any = figure.add_axes(place)
            axes.set_axis_off()
            if row is rows[0]:
                axes.set_title(shown, fontsize=font, pad=3, parse_math=False)
            if title in levels:
                _panel(axes, levels[title], details)
        top -= height + _GAP
    return figure


def _notes(results: Results, methods: Sequence[str]) -> list[str]:
    """Whose weights the columns have, as lines below the rows."""
    marked = footnotes(results.methods[method] for method in methods)
    return textwrap.wrap("; ".join(f"{origin.mark} {origin.note}" for origin in marked), _NOTE_LETTERS)


def _pictures(results: Results, folder: Path, row: Row, methods: Sequence[str]) -> dict[str, Levels]:
    data = results.data[row.data]
    infrared = read(infrared_of(folder, data, row.name), MAX_PIXELS)
    visible = to_levels(read(visible_of(folder, data, row.name), MAX_PIXELS))
    levels = {"infrared": to_levels(infrared, parse_range(results.range)), "visible": visible}
    if results.rig is not None:
        levels["infrared"] = results.rig.warped(levels["infrared"], (visible.shape[0], visible.shape[1]))[0]
    for method in methods:
        # A method without this picture leaves its place empty.
        if picture := data.pictures.get(method, {}).get(row.name):
            levels[method] = to_levels(read(fused_of(folder, picture), MAX_PIXELS), FULL)
    return levels


def _panel(axes: Axes, picture: Levels, details: Sequence[Detail]) -> None:
    """A picture with frames round its details, and these magnified in its lower corners."""
    height, width = picture.shape[:2]
    settings: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}
    axes.imshow(picture, aspect="auto", interpolation="antialiased", **settings)
    for detail, colour, corner in zip(details, _COLOURS, _corners(details, width / height), strict=False):
        half = detail.size * min(height, width) / 2
        x, y = (min(max(part * side, half), side - half) for part, side in ((detail.x, width), (detail.y, height)))
        axes.add_patch(_frame((x - half - 0.5, y - half - 0.5), 2 * half, colour))
        inset: Any = axes.inset_axes((*corner, _INSET, _INSET * width / height))
        left, top = round(x - half), round(y - half)
        side = max(1, round(2 * half))
        inset.imshow(picture[top : top + side, left : left + side], aspect="auto", interpolation="bicubic", **settings)
        inset.set_xticks([])
        inset.set_yticks([])
        for spine in inset.spines.values():
            spine.set(edgecolor=colour, linewidth=1.1)


def _corners(details: Sequence[Detail], aspect: float) -> list[tuple[float, float]]:
    """Lower left ends of the insets, as parts from below: the corners that hide the details least."""
    free = [(x, y) for y in (0.0, 1 - _INSET * aspect) for x in (0.0, 1 - _INSET)]

    def distance(corner: tuple[float, float]) -> float:
        middle = corner[0] + _INSET / 2, 1 - corner[1] - _INSET * aspect / 2
        return min(math.hypot(one.x - middle[0], (one.y - middle[1]) / aspect) for one in details)

    return sorted(free, key=distance, reverse=True)


def _frame(corner: tuple[float, float], side: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=0.9)
