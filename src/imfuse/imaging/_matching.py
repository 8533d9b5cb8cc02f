"""Matching two lists of pictures by their names, the strictest rule first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from imfuse.core.errors import PairError
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging._listing import PictureFile
from imfuse.imaging._names import folded, side_of, split_name, without_zeros
from imfuse.imaging._neighbours import Shot, match_shots, shot_of

Match = tuple[PictureFile, PictureFile, str]
"""Two pictures, and the rule that found them."""
Left = tuple[list[PictureFile], list[PictureFile]]
"""Pictures without a partner."""
_Key = Callable[[PictureFile], str]
_Rule = tuple[str, _Key]

_SEPARATOR = r"[-_. ]+"
_FUSED = re.compile(rf"^(?:fused|fusion){_SEPARATOR}|{_SEPARATOR}(?:fused|fusion)$", re.IGNORECASE)
NUMBERS, NEIGHBOURS = "numbers", "neighbours"
_DOUBTS = {
    NUMBERS: "whose numbers differ by leading zeros",
    NEIGHBOURS: "that were numbered one after the other or taken within a second",
}


def _name(picture: PictureFile) -> str:
    return picture.name


def _folded(picture: PictureFile) -> str:
    return folded(picture.name)


def _bare(picture: PictureFile) -> str:
    return picture.said[0]


def _unfused(picture: PictureFile) -> str:
    folder, slash, stem = picture.name.rpartition("/")
    if not _FUSED.search(stem):
        return _bare(picture)
    return split_name(folder + slash + _FUSED.sub("", stem))[0]


_STRICT: tuple[_Rule, ...] = (("name", _name), ("case", _folded), ("side words", _bare))
_FUSED_TOO: tuple[_Rule, ...] = (*_STRICT, ("fused", _unfused))


def match_strictly(
    first: Sequence[PictureFile], second: Sequence[PictureFile], fused: bool = False
) -> tuple[list[Match], Left]:
    """Match equal names, then names that are equal but for case, then but for words for a side.

    Args:
        first: the pictures of one side.
        second: those of the other.
        fused: the word "fused" does not count either.

    Raises:
        PairError: two pictures of a side fit the same partner.
    """
    matches: list[Match] = []
    for rule, key in _FUSED_TOO if fused else _STRICT:
        (one, more_of_one), (other, more_of_other) = _indexed(first, key), _indexed(second, key)
        common = one.keys() & other.keys()
        for more in (more_of_one, more_of_other):
            _refuse_duplicates([pictures for name, pictures in more.items() if name in common])
        matches += [(picture, other[name], rule) for name, picture in one.items() if name in common]
        first, second = _rest(one, more_of_one, common), _rest(other, more_of_other, common)
    return matches, (list(first), list(second))


def match_numbers(first: Sequence[PictureFile], second: Sequence[PictureFile], where: str) -> tuple[list[Match], Left]:
    """Match names whose numbers differ by leading zeros, ``001`` and ``1``. A note says so, of the place ``where``.

    What fits several pictures is left without a partner.
    """
    (one, more_of_one), (other, more_of_other) = _indexed(first, _number), _indexed(second, _number)
    common = (one.keys() & other.keys()) - more_of_one.keys() - more_of_other.keys()
    matches = [(picture, other[name], NUMBERS) for name, picture in one.items() if name in common]
    _tell(matches, where)
    return matches, (_rest(one, more_of_one, common), _rest(other, more_of_other, common))


def match_neighbours(
    infrared: Sequence[PictureFile], visible: Sequence[PictureFile], matched: Sequence[Match], where: str
) -> tuple[list[Match], Left]:
    """Match what a camera with two sensors numbered one after the other, or within a second. A note says so.

    Only names that say their side are matched, ``DJI_0001_T`` with ``DJI_0002_W``; ``matched`` are the pairs of the
    other rules, by which the numbering of the camera is known.
    """
    said = [[picture for picture in side if side_of(picture.said[1]) == name]
            for name, side in (("infrared", infrared), ("visible", visible))]  # fmt: skip
    if not all(said):
        return [], (list(infrared), list(visible))
    places = match_shots(_shots(said[0]), _shots(said[1]), _shots([picture for picture, _, _ in matched]))
    matches = [(said[0][i], said[1][v], NEIGHBOURS) for i, v in places]
    paired = {picture for one, other, _ in matches for picture in (one, other)}
    _tell(matches, where)
    return matches, (
        [picture for picture in infrared if picture not in paired],
        [picture for picture in visible if picture not in paired],
    )


def _number(picture: PictureFile) -> str:
    return without_zeros(_unfused(picture))


def _shots(pictures: Sequence[PictureFile]) -> list[Shot]:
    return [shot_of(_bare(picture)) for picture in pictures]


def _indexed(pictures: Sequence[PictureFile], key: _Key) -> tuple[dict[str, PictureFile], dict[str, list[PictureFile]]]:
    """One picture of each key, and all pictures of the keys that several have."""
    keys = [key(picture) for picture in pictures]
    single = dict(zip(keys, pictures, strict=True))
    several: dict[str, list[PictureFile]] = {}
    if len(single) < len(keys):
        repeated = {name for name, number in Counter(keys).items() if number > 1}
        for name, picture in zip(keys, pictures, strict=True):
            if name in repeated:
                several.setdefault(name, []).append(picture)
    return single, several


def _rest(
    single: dict[str, PictureFile], several: dict[str, list[PictureFile]], common: Collection[str]
) -> list[PictureFile]:
    """Pictures of the keys that are not ``common``."""
    left = [several.get(name, [picture]) for name, picture in single.items() if name not in common]
    return [picture for pictures in left for picture in pictures]


def refuse_equal_stems(pictures: Sequence[PictureFile]) -> None:
    """Raise ``PairError`` where two files of a folder differ by their extension alone."""
    _refuse_duplicates(_indexed(pictures, _name)[1].values())


def _refuse_duplicates(groups: Iterable[Sequence[PictureFile]]) -> None:
    for pictures in groups:
        folder = Path(pictures[0].path).parent
        first, second = (printable(picture.file) for picture in pictures[:2])
        raise PairError(f"{printable(folder)}: {first} and {second} fit the same pair; remove or rename one of them")


def _tell(matches: Sequence[Match], where: str) -> None:
    if matches:
        first, second, rule = matches[0]
        pairs = f"{len(matches)} pair{'s' if len(matches) > 1 else ''}"
        note(
            f"{where}: {pairs} of files {_DOUBTS[rule]}, such as {printable(first.file)} and {printable(second.file)}",
            "list the pairs in a file (pairs=...) where that is wrong",
        )
