"""The pairs of two folders: found, looked at before a run begins, and read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from imfuse.core.errors import ImfuseError, PairError
from imfuse.core.notes import collected
from imfuse.core.text import printable
from imfuse.fusing.engine import Engine
from imfuse.fusing.sides import settled
from imfuse.imaging import Pair, Pairing, find_pairing
from imfuse.imaging.carried import Carried, read_carried, with_identifiers
from imfuse.imaging.inputs import Stored, read, read_both
from imfuse.imaging.pairs import pair_with_itself

_LOOKED_AT = 2


def folder_pairs(
    engine: Engine,
    infrared: Path | None,
    visible: Path | None,
    *,
    recursive: bool = False,
    pairs: Path | None = None,
    without: Collection[Path] = (),
) -> Pairing:
    """The pairs of two folders or a list, or of one folder whose files hold both sides. Raises ``PairError``."""
    both_in_bands = bool(engine.infrared_bands and engine.visible_bands)
    with engine.doubts():
        if pairs is None and infrared is not None:
            if visible is None and not both_in_bands:
                pairing = pair_with_itself(infrared, recursive=recursive, without=without)
                _refuse_alone(engine, infrared, pairing.pairs)
                return pairing
            if visible is None or (both_in_bands and is_same(infrared, visible)):
                return pair_with_itself(infrared, recursive=recursive, without=without)
        return find_pairing(infrared, visible, recursive=recursive, pairs=pairs, without=without, order=engine.order)


def source_folders(pairing: Pairing, infrared: Path | None, visible: Path | None) -> dict[Path, str]:
    """The folders that no result may go into, with what they hold: those given, and those of every picture."""
    folders = {pair.visible.parent: "visible" for pair in pairing.pairs}
    folders |= {pair.infrared.parent: "infrared" for pair in pairing.pairs}
    given = ((visible, "visible"), (infrared, "infrared"))
    return folders | {folder: side for folder, side in given if folder is not None}


def is_same(first: Path, second: Path) -> bool:
    """Whether two paths lead to one file or folder; never where one of them does not exist."""
    try:
        return first.samefile(second)
    except (OSError, ValueError):
        return False


def read_pair(engine: Engine, pair: Pair) -> tuple[Stored, Stored]:
    """Both files of a pair, read. Raises ``ImageError``."""
    most, view = engine.max_pixels, engine.view
    if pair.infrared == pair.visible and not (engine.infrared_bands or engine.visible_bands):
        return read_both(pair.infrared, most, view)
    return (
        read(pair.infrared, most, "infrared", engine.infrared_bands, view),
        read(pair.visible, most, "visible", engine.visible_bands, view.of_visible),
    )


def carried_of(pair: Pair, pictures: tuple[Stored, Stored], deidentify: bool) -> Carried:
    """The metadata that a result of a pair keeps: those of the visible picture, in one file with the position of it.

    Patient and study are kept on request alone; of scans of one patient either may be the DICOM file.
    """
    carried, sensor = read_carried(pair.visible), pictures[0].sensor
    for path in () if deidentify else (pair.infrared, pair.visible):
        carried = with_identifiers(carried, path)
    if sensor is not None and pictures[0].same_field and (position := sensor.facts.get("position")):
        return carried.with_position(position["latitude"], position["longitude"], position["altitude_m"])
    return carried


def _refuse_alone(engine: Engine, folder: Path, pairs: Sequence[Pair]) -> None:
    """Look at the first files of a folder that shall hold both sides.

    Raises:
        PairError: those that can be read hold no visible picture: then the others do not, either.
    """
    found = [_holds_visible(engine, pair) for pair in pairs[:_LOOKED_AT]]
    if False in found and True not in found:
        raise PairError(
            f"{printable(folder)}: its files hold no visible picture beside the infrared one",
            "give infrared=... and visible=..., or pairs=...",
        )


def _holds_visible(engine: Engine, pair: Pair) -> bool | None:
    """Whether a file holds a visible picture beside its own; ``None`` where it cannot be read."""
    try:
        with collected():
            sensor = read(pair.infrared, engine.max_pixels, view=engine.view).sensor
    except ImfuseError:
        return None
    return sensor is not None and sensor.visible is not None


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
