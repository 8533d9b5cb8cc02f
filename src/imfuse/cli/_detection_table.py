"""How well objects are found, as a table on the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from imfuse.cli._printing import console, say
from imfuse.cli._terminal import count
from imfuse.core.text import printable

if TYPE_CHECKING:
    from imfuse.metrics.detection import DetectionScores, Estimate

_MOST_EMPTY = 10
"""Classes without a true box that are shown: most of COCO's 80 are in no set of pairs."""


def print_detection_scores(scores: DetectionScores, lacking: tuple[str, ...] = ()) -> None:
    """Print average precision by classes, with intervals; ``lacking`` are classes that the detector does not know."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("CLASS", "BOXES", "AP@0.5", "95 % interval", "AP@[0.5, 0.95]", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "CLASS" else "right")
    empty = [row.name for row in scores.classes if not row.truths]
    hidden = empty if len(empty) > _MOST_EMPTY else []
    for row in (*scores.classes, scores.mean):
        if row.name in hidden and row is not scores.mean:
            continue
        word = "not known" if row.name in lacking else "absent"
        cells = [*_cells(row.ap50, word), *_cells(row.ap, word)]
        table.add_row(printable(row.name), str(row.truths), *cells, style="bold" if row is scores.mean else None)
    console().print(table)
    if hidden:
        say(f"{len(hidden)} classes are not shown: no label has them, or the detector does not know them")
    say(f"{count(scores.pictures, 'picture')}; classes that are absent or not known do not count in the mean")


def _cells(estimate: Estimate, absent: str) -> tuple[str, str]:
    if math.isnan(estimate.value):
        return absent, ""
    interval = "" if math.isnan(estimate.low) else f"{estimate.low:.3f} to {estimate.high:.3f}"
    return f"{estimate.value:.3f}", interval
