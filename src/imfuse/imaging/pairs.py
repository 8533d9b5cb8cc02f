"""Which infrared picture belongs to which visible one: pairing by file names, or by a list."""

from __future__ import annotations

import filecmp
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from imfuse.core.errors import PairError
from imfuse.core.files import os_reason
from imfuse.core.text import printable
from imfuse.imaging._listing import PictureFile, few, labels, list_pictures, natural
from imfuse.imaging._matching import Left, Match, match_neighbours, match_numbers, match_strictly, refuse_equal_stems
from imfuse.imaging._names import Side, look_swapped, side_of, split_name
from imfuse.imaging._pair_list import read_list

PathLike: TypeAlias = "str | os.PathLike[str]"

_SIDES: tuple[Side, Side] = ("infrared", "visible")
_COMPARED = 3
_LIST_THEM = "or list the pairs in a file (pairs=...)"


@dataclass(frozen=True)
class Pair:
    """Two files that show one scene.

    Args:
        name: what the pair is called: the stem of the visible file, after its sub-folder where there is one.
        infrared: the infrared file.
        visible: the visible file.
        rule: by what the two were paired: "name", "case", "side words", "numbers", "neighbours" or "list".

    Example:
        >>> Pair("07", Path("ir/07.png"), Path("vis/07.jpg")).name
        '07'
    """

    name: str
    infrared: Path
    visible: Path
    rule: str = "name"


@dataclass(frozen=True)
class Pairing:
    """The pairs of two folders, and the files that found no partner.

    Args:
        pairs: in natural order of their names (2 before 10).
        unmatched_infrared: names of infrared files without a partner.
        unmatched_visible: names of visible files without a partner.

    Example:
        >>> len(Pairing((), ("1.png", "2.png"), ()).unmatched_infrared)
        2
    """

    pairs: tuple[Pair, ...]
    unmatched_infrared: tuple[str, ...]
    unmatched_visible: tuple[str, ...]

    @property
    def rules(self) -> dict[str, int]:
        """How many pairs each rule found."""
        return dict(Counter(pair.rule for pair in self.pairs))


def find_pairing(
    infrared: PathLike | None,
    visible: PathLike | None,
    *,
    recursive: bool = False,
    pairs: PathLike | None = None,
    without: Collection[Path] = (),
    order: str = "check",
) -> Pairing:
    """Pair two folders by name, or as a list says.

    Args:
        infrared: the folder of infrared pictures; may be left out with a list.
        visible: the folder of visible pictures; the same.
        recursive: look into their sub-folders as well.
        pairs: a list of pairs, as for :func:`read_pairs`.
        without: folders to leave out, such as that of the results.
        order: "given" takes the first folder for the infrared one, whatever the names say.

    Returns:
        The pairs, at least one, and the names of files without a partner.

    Raises:
        PairError: as :func:`match_folders` or :func:`read_pairs`, or neither folders nor a list are given.

    Warns:
        ImfuseWarning: as :func:`match_folders`.

    Example:
        ```python
        pairing = find_pairing(None, None, pairs="pairs.csv")
        ```
    """
    if pairs is not None:
        return read_pairs(pairs, infrared, visible, recursive=recursive, without=without)
    if infrared is None or visible is None:
        raise PairError(
            "two folders or a list of pairs are expected", "give infrared=... and visible=...", "or give pairs=..."
        )
    return match_folders(infrared, visible, recursive=recursive, without=without, order=order)


def match_folders(
    infrared: PathLike,
    visible: PathLike,
    *,
    recursive: bool = False,
    without: Collection[Path] = (),
    order: str = "check",
) -> Pairing:
    """Pair the pictures of two folders by name.

    Names match by stem (the extensions may differ), then without regard to case, then without the words that tell the
    sides apart: `IR1.png` and `VIS1.jpg`, `07_tir.png` and `07_eo.png`, `11IR.png` and `11RGB.png`, `DJI_0001_T.JPG`
    and `DJI_0001_W.JPG`. What is left over is matched where numbers differ only by leading zeros, and where a camera
    numbered its two sensors one after the other or within a second; a note says so, with an example. What could belong
    to more than one file is refused, or left without a partner, never chosen.

    One folder for both sides will do where every name says its side. Hidden files and files without an image extension
    are ignored, sub-folders as well unless a folder holds nothing else.

    Args:
        infrared: the folder of infrared pictures.
        visible: the folder of visible pictures.
        recursive: look into sub-folders as well; a picture and its partner are in sub-folders of the same name, words
            for a side aside (`seq1/ir/07.png` and `seq1/vis/07.png`).
        without: folders to leave out, such as that of the results.
        order: "given" takes the first folder for the infrared one, whatever the names say.

    Returns:
        The pairs, at least one, and the names of files without a partner.

    Raises:
        PairError: a folder is missing, unreadable or without pictures; both are the same folder and names do not say
            their side, or hold the same pictures; the folders look swapped; two files of one folder fit the same name;
            nothing matches.

    Warns:
        ImfuseWarning: pairs were found by a rule that may be wrong, or in sub-folders.

    Example:
        ```python
        for pair in match_folders("infrared/", "visible/").pairs:
            print(pair.name, pair.infrared, pair.visible, pair.rule)
        ```
    """
    folders = Path(infrared), Path(visible)
    files = _sides(folders, recursive, without)
    for side in files:
        refuse_equal_stems(side)
    matches, unmatched = _match(*files, _together(folders))
    if not matches:
        raise PairError(
            f"no file names match between {printable(folders[0])} ({few(files[0])}) and {printable(folders[1])} "
            f"({few(files[1])}); give both files of a pair the same name",
            _LIST_THEM,
        )
    matches.sort(key=lambda match: natural(match[1].name))
    pairs = tuple(Pair(second.name, Path(first.path), Path(second.path), rule) for first, second, rule in matches)
    _refuse_same_pictures(pairs, folders)
    if order == "check":
        _refuse_swapped(matches, folders)
    return Pairing(pairs, labels(unmatched[0]), labels(unmatched[1]))


def read_pairs(
    path: PathLike,
    infrared: PathLike | None = None,
    visible: PathLike | None = None,
    *,
    recursive: bool = False,
    without: Collection[Path] = (),
) -> Pairing:
    """Read a list of pairs, CSV with a line of headings or one JSON object per line.

    Columns or keys are `infrared` and `visible`, the paths of the two files, and `name`, which may be left out: a pair
    is then called by the stem of its visible file, and where stems repeat by its path from the folder that all have in
    common. Paths are taken from the folder of the list, or from the two folders where these are given.

    Args:
        path: the list, in UTF-8.
        infrared: the folder of infrared pictures, if the list does not say where they are.
        visible: the folder of visible pictures.
        recursive: look for pictures that the list does not name in sub-folders of the two folders as well.
        without: folders to leave out there.

    Returns:
        The pairs, and those pictures of the folders that the list does not name.

    Raises:
        PairError: the list is no such file, or lines of it are wrong; the message gives their numbers.

    Warns:
        ImfuseWarning: the list has columns without a meaning.

    Example:
        ```python
        pairing = read_pairs("pairs.csv")    # infrared,visible / ir/0001.tif,vis/0002.jpg / ...
        ```
    """
    folders = tuple(None if folder is None else Path(folder) for folder in (infrared, visible))
    listed = sorted(read_list(Path(path), (folders[0], folders[1])), key=lambda pair: natural(pair.name))
    unlisted: list[tuple[str, ...]] = []
    for folder, side in zip(folders, _SIDES, strict=True):
        named = {str(getattr(pair, side)) for pair in listed}
        pictures = [] if folder is None else list_pictures(folder, side, recursive, without)
        unlisted.append(labels([picture for picture in pictures if os.path.normpath(picture.path) not in named]))
    pairs = tuple(Pair(pair.name, pair.infrared, pair.visible, "list") for pair in listed)
    return Pairing(pairs, unlisted[0], unlisted[1])


def pair_with_itself(
    folder: PathLike, side: str = "infrared", *, recursive: bool = False, without: Collection[Path] = ()
) -> Pairing:
    """Take each picture of a folder for both sides of a pair, as those whose bands hold both.

    Args:
        folder: the pictures.
        side: what it holds, for messages.
        recursive: look into its sub-folders as well.
        without: folders to leave out, such as that of the results.

    Returns:
        The pairs, at least one.

    Raises:
        PairError: the folder is missing, unreadable or without pictures, or two files have one stem.

    Example:
        ```python
        pairing = pair_with_itself("four_bands/")
        ```
    """
    files = list_pictures(Path(folder), side, recursive, without)
    refuse_equal_stems(files)
    return Pairing(tuple(Pair(file.name, Path(file.path), Path(file.path)) for file in files), (), ())


def side_of_name(name: str) -> Side | None:
    """The side that a name says it shows.

    Args:
        name: of a file, without its extension, or of a folder.

    Returns:
        "infrared" or "visible"; ``None`` where it says neither, or both.

    Example:
        >>> side_of_name("0007_tir"), side_of_name("11RGB"), side_of_name("tree")
        ('infrared', 'visible', None)
    """
    return side_of(split_name(name)[1])


def check_same_size(
    first_shape: Sequence[int],
    second_shape: Sequence[int],
    first_name: str | os.PathLike[str] = "infrared",
    second_name: str | os.PathLike[str] = "visible",
    why: str | None = None,
) -> None:
    """Check that two pictures have one height and width.

    Args:
        first_shape: (H, W) or (H, W, C) of one.
        second_shape: the same of the other.
        first_name: what the error calls the one, usually its file.
        second_name: what it calls the other.
        why: the reason that the error gives; by default that of a pair to fuse, with advice.

    Raises:
        PairError: they differ; the message names both sizes.

    Example:
        >>> check_same_size((480, 640), (480, 640, 3))
        >>> check_same_size((3, 4), (6, 8), "a.png", "b.png", "frames of one video have one size")
        Traceback (most recent call last):
        imfuse.core.errors.PairError: a.png is 4x3 but b.png is 8x6 (width x height); frames of one video have one size
    """
    if tuple(first_shape[:2]) == tuple(second_shape[:2]):
        return
    sizes = [f"{shape[1]}x{shape[0]}" for shape in (first_shape, second_shape)]
    message = f"{printable(first_name)} is {sizes[0]} but {printable(second_name)} is {sizes[1]} (width x height)"
    if why is not None:
        raise PairError(f"{message}; {why}")
    raise PairError(
        f"{message}; a registered pair has one size: register the pictures first",
        "use resize=True if they show the same view",
    )


def _sides(
    folders: tuple[Path, Path], recursive: bool, without: Collection[Path]
) -> tuple[list[PictureFile], list[PictureFile]]:
    """The pictures of the two sides; of one folder for both by what their names say."""
    infrared = list_pictures(folders[0], "infrared", recursive, without)
    if not _same_folder(*folders):
        return infrared, list_pictures(folders[1], "visible", recursive, without)
    sides = [side_of(picture.said[1]) for picture in infrared]
    if unsaid := [picture for picture, side in zip(infrared, sides, strict=True) if side is None]:
        raise PairError(
            f"{printable(folders[0])}: the same folder is given as infrared and as visible, and not every name says "
            f"its side as 07_ir.png and 07_vis.png do: {few(unsaid)}; give two folders",
            _LIST_THEM,
        )
    first, second = (
        [picture for picture, said in zip(infrared, sides, strict=True) if said == side] for side in _SIDES
    )
    return first, second


def _same_folder(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return False


def _match(infrared: Sequence[PictureFile], visible: Sequence[PictureFile], where: str) -> tuple[list[Match], Left]:
    matches, left = match_strictly(infrared, visible)
    numbered, left = match_numbers(*left, where)
    neighbours, left = match_neighbours(*left, [*matches, *numbered], where)
    return [*matches, *numbered, *neighbours], left


def _refuse_same_pictures(pairs: Sequence[Pair], folders: tuple[Path, Path]) -> None:
    try:
        same = all(filecmp.cmp(pair.infrared, pair.visible, shallow=False) for pair in pairs[:_COMPARED])
    except OSError as error:
        raise PairError(f"{printable(error.filename or folders[0])}: cannot be read: {os_reason(error)}") from error
    if same:
        raise PairError(
            f"{_together(folders)} hold the same pictures; one folder of infrared and one of visible pictures is "
            "expected"
        )


def _refuse_swapped(matches: Sequence[Match], folders: tuple[Path, Path]) -> None:
    for infrared, visible, _ in matches:
        if look_swapped(infrared.said[1], visible.said[1]):
            raise PairError(
                f"{_together(folders)} look swapped: {printable(infrared.file)} is given as infrared and "
                f"{printable(visible.file)} as visible; give the infrared folder first",
                "use order='given' if they are right as they are",
            )


def _together(folders: tuple[Path, Path]) -> str:
    return " and ".join(dict.fromkeys(printable(folder) for folder in folders))
