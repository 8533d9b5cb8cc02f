"""How steady sequences are, measured and printed for ``imfuse score --sequence``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from imfuse.cli._printing import console, say
from imfuse.cli._terminal import count, progress_bar
from imfuse.core.text import printable


def score_frames(
    methods: Mapping[str, Path],
    infrared: Path,
    visible: Path,
    csv: Path | None,
    json: Path | None,
    html: Path | None,
    **settings: Any,
) -> None:
    """Measure, print one row for each method, and write the curves."""
    # Torch takes seconds to import.
    from imfuse.scoring.sequence import MEASURES, score_sequence

    with progress_bar() as progress:
        scores = score_sequence(methods, infrared, visible, progress=progress, **settings)
    table = Table(box=SIMPLE_HEAD)
    for name in ("method", *MEASURES):
        table.add_column(name, justify="left" if name == "method" else "right", overflow="fold")
    for method in methods:
        table.add_row(Text(printable(method)), *(f"{value:.3f}" for value in scores.summary(method)))
    console().print(table)
    say(f" {count(len(scores.frames), 'frame')}; means in gray levels from frame to frame, lower is steadier")
    for target, write in ((csv, scores.to_csv), (json, scores.to_json)):
        if target is not None:
            write(target)
            say(f"{target}: {count(len(scores.frames) - 1, 'change')} of {count(len(methods), 'method')}")
    if html is not None:
        from imfuse.benchmark.report.sequence import write_sequence_page

        write_sequence_page(scores, html)
        say(f"{html}: {count(len(scores.frames), 'frame')}, with curves")
