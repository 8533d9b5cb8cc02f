"""The pairs of two folders: found, looked at before a run begins, and read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imfuse.core.errors import ImfuseError, PairError
from imfuse.core.notes import collected
from imfuse.fusing.engine import Engine
from imfuse.fusing.sides import settled
from imfuse.imaging import Pair, Pairing, match_folders
from imfuse.imaging.inputs import Stored, read
from imfuse.imaging.pairs import pair_with_itself

_LOOKED_AT = 2


def folder_pairs(engine: Engine, infrared: Path, visible: Path) -> Pairing:
    """The pairs of two folders, or of one whose files hold both sides in their bands. Raises ``PairError``."""
    if engine.infrared_bands and engine.visible_bands and infrared.resolve() == visible.resolve():
        return pair_with_itself(infrared)
    return match_folders(infrared, visible, order=engine.order)


def read_pair(engine: Engine, pair: Pair) -> tuple[Stored, Stored]:
    """Both files of a pair, read. Raises ``ImageError``."""
    most = engine.max_pixels
    return (
        read(pair.infrared, most, "infrared", engine.infrared_bands),
        read(pair.visible, most, "visible", engine.visible_bands),
    )


def refuse_swapped(engine: Engine, pairs: Sequence[Pair]) -> None:
    """Look at the first pairs before anything is written.

    Raises:
        PairError: those that can be read look swapped: then the others do as well.
    """
    problems = [_problem(engine, pair) for pair in pairs[:_LOOKED_AT]]
    swapped = [problem for problem in problems if isinstance(problem, PairError)]
    if swapped and None not in problems:
        raise swapped[0]


def _problem(engine: Engine, pair: Pair) -> ImfuseError | None:
    """Why a pair cannot be read, or that it looks swapped."""
    try:
        with collected():
            settled(*read_pair(engine, pair), engine.order, engine.infrared_palette)
    except ImfuseError as error:
        return error
    return None
