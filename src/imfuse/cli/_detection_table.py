"""How well objects are found, as a table on the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from imfuse.cli._printing import console, say
from imfuse.cli._terminal import count
from imfuse.core.text import printable

if TYPE_CHECKING:
    from imfuse.metrics.detection import DetectionScores, Estimate


def print_detection_scores(scores: DetectionScores, lacking: tuple[str, ...] = ()) -> None:
    """Print average precision by classes, with intervals; ``lacking`` are classes that the detector does not know."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("CLASS", "BOXES", "AP@0.5", "95 % interval", "AP@[0.5, 0.95]", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "CLASS" else "right")
    for row in (*scores.classes, scores.mean):
        absent = "not known" if row.name in lacking else "absent"
        cells = [*_cells(row.ap50, absent), *_cells(row.ap, absent)]
        table.add_row(printable(row.name), str(row.truths), *cells, style="bold" if row is scores.mean else None)
    console().print(table)
    say(f"{count(scores.pictures, 'picture')}; classes that are absent or not known do not count in the mean")


def _cells(estimate: Estimate, absent: str) -> tuple[str, str]:
    if math.isnan(estimate.value):
        return absent, ""
    interval = "" if math.isnan(estimate.low) else f"{estimate.low:.3f} to {estimate.high:.3f}"
    return f"{estimate.value:.3f}", interval
