"""Which picture of a folder was fused from which pair, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imfuse.core.errors import PairError
from imfuse.core.files import stem_of
from imfuse.core.text import printable
from imfuse.imaging._listing import PictureFile, few, labels, list_pictures
from imfuse.imaging._matching import match_numbers, match_strictly
from imfuse.imaging.pairs import Pair, PathLike


def match_fused(folder: PathLike, pairs: Sequence[Pair]) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Find which picture of a folder was fused from which pair.

    A fused picture is named like the pair, like the visible picture or else like the infrared one, by the rules of
    `match_folders` except that of neighbouring numbers; the word "fused" at either end is ignored (`07_fused.png`).
    Where pairs come from sub-folders, so do fused pictures.

    Args:
        folder: the fused pictures.
        pairs: those of `match_folders`.

    Returns:
        The file of each pair's name, for the pairs that have one, and the file names that belong to no pair.

    Raises:
        PairError: the folder is missing, unreadable or without pictures; two files fit one pair; none fits any.

    Warns:
        ImfuseWarning: numbers differ by leading zeros, or pictures were found in sub-folders.

    Example:
        ```python
        pairing = match_folders("infrared/", "visible/")
        fused, unmatched = match_fused("fused/", pairing.pairs)
        ```
    """
    files = unmatched = list_pictures(Path(folder), "fused", recursive=any("/" in pair.name for pair in pairs))
    fused: dict[str, Path] = {}
    for weak in (False, True):
        for called in (_by_name, _by_visible, _by_infrared):
            sources = {called(pair): pair.name for pair in pairs if pair.name not in fused}
            if weak:
                matched, (unmatched, _) = match_numbers(unmatched, list(sources), printable(folder))
            else:
                matched, (unmatched, _) = match_strictly(unmatched, list(sources), fused=True)
            fused |= {sources[source]: Path(picture.path) for picture, source, _ in matched}
    if not fused:
        raise PairError(
            f"no file names match between {printable(folder)} ({few(files)}) and the pairs "
            f"({few([_by_visible(pair) for pair in pairs])}); give a fused picture the name of its visible picture"
        )
    return fused, labels(unmatched)


def _by_name(pair: Pair) -> PictureFile:
    return PictureFile(str(pair.visible), pair.name, pair.name)


def _by_visible(pair: Pair) -> PictureFile:
    return _called(pair, pair.visible)


def _by_infrared(pair: Pair) -> PictureFile:
    return _called(pair, pair.infrared)


def _called(pair: Pair, source: Path) -> PictureFile:
    """A pair under the name of one of its files, in the sub-folder that the name of the pair has."""
    folder, slash, _ = pair.name.rpartition("/")
    return PictureFile(str(source), folder + slash + stem_of(source), folder + slash + source.name)
