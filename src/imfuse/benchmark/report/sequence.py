"""A page for the scores of a sequence: infrared, visible and fused frames in step, and the curves of each method."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imfuse.benchmark.report import page_environment, source
from imfuse.core.text import printable
from imfuse.imaging import write_file
from imfuse.imaging.inputs import PathLike
from imfuse.scoring.sequence import MEASURES, SequenceScores


def write_sequence_page(scores: SequenceScores, path: PathLike) -> None:
    """Write a page with a slider over the frames. It shows the pictures where they lie, so keep it beside them.

    Args:
        scores: of :func:`imfuse.scoring.score_sequence`.
        path: of the page.

    Raises:
        ImageError: the file cannot be written.

    Example:
        ```python
        scores = imfuse.scoring.score_sequence("fused", "infrared", "visible")
        write_sequence_page(scores, "sequence.html")
        ```
    """
    page = (
        page_environment()
        .get_template("sequence.html")
        .render(scores=scores, measures=MEASURES, content=_content(scores, Path(path)), script=source("sequence.js"))
    )
    write_file(path, page.encode("utf-8", "backslashreplace"))


def _content(scores: SequenceScores, page: Path) -> dict[str, Any]:
    """What the script draws from."""
    panels = {"infrared": scores.infrared, "visible": scores.visible, **scores.fused}
    curves = scores.curves.values()
    return {
        "frames": [printable(name) for name in scores.frames],
        "panels": [{"title": printable(title), "files": _addresses(files, page)} for title, files in panels.items()],
        "curves": {
            measure: [[round(change[i], 4) for change in curve] for curve in curves]
            for i, measure in enumerate(MEASURES)
        },
    }


def _addresses(files: Sequence[Path], page: Path) -> list[str]:
    """Pictures as the page, which lies in a folder of its own, finds them."""
    folder = page.absolute().parent
    return [quote(Path(os.path.relpath(file.absolute(), folder)).as_posix()) for file in files]
