"""Which infrared picture belongs to which visible one: pairing two folders by file name."""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imfuse.core.errors import PairError
from imfuse.core.files import os_reason
from imfuse.core.text import printable

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})

_INFRARED = ("infrared", "thermal", "lwir", "nir", "inf", "ir", "t")
_VISIBLE = ("visible", "colour", "color", "vis", "rgb", "vi", "v")
_MEDICAL = ("spect", "mri", "pet", "ct")
_WORDS = "|".join((*_INFRARED, *_VISIBLE, *_MEDICAL))
_SEPARATOR = r"[-_. ]+"
_AT_START = re.compile(rf"({_WORDS})(?:{_SEPARATOR}|(?=[0-9])|$)")
_AT_END = re.compile(rf"{_SEPARATOR}({_WORDS})([0-9]*)$")
_FUSED = re.compile(rf"^(?:fused|fusion){_SEPARATOR}|{_SEPARATOR}(?:fused|fusion)$", re.IGNORECASE)
_COMPARED = 3
_LISTED = 4


@dataclass(frozen=True)
class Pair:
    """Two files that show one scene.

    Args:
        name: what the pair is called: the stem of the visible file.
        infrared: the infrared file.
        visible: the visible file.

    Example:
        >>> Pair("07", Path("ir/07.png"), Path("vis/07.jpg")).name
        '07'
    """

    name: str
    infrared: Path
    visible: Path


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


def match_folders(
    infrared: str | os.PathLike[str], visible: str | os.PathLike[str], *, order: str = "check"
) -> Pairing:
    """Pair the pictures of two folders by name.

    Names match by stem (the extensions may differ), then without regard to case, then without a modality word at
    either end: `IR1.png` and `VIS1.jpg`, `07_ir.png` and `07_vis.png`, `x-thermal.tif` and `x-rgb.png`. Hidden files,
    subfolders and files without an image extension are ignored.

    Args:
        infrared: the folder of infrared pictures.
        visible: the folder of visible pictures.
        order: "given" takes the first folder for the infrared one, whatever the names say.

    Returns:
        The pairs, at least one, and the names of files without a partner.

    Raises:
        PairError: a folder is missing, unreadable or without pictures; both are the same folder or hold the same
            pictures; the folders look swapped; two files of one folder fit the same name; nothing matches.

    Example:
        ```python
        for pair in match_folders("infrared/", "visible/").pairs:
            print(pair.name, pair.infrared, pair.visible)
        ```
    """
    folders = Path(infrared), Path(visible)
    files = _pictures(folders[0], "infrared"), _pictures(folders[1], "visible")
    if folders[0].samefile(folders[1]):
        raise PairError(
            f"{printable(folders[0])}: the same folder is given as infrared and as visible; give two folders"
        )
    for side in files:
        _refuse_duplicates(_group(side, _stem))
    pairs, unmatched = _match(*files)
    if not pairs:
        raise PairError(
            f"no file names match between {printable(folders[0])} ({_few(files[0])}) and {printable(folders[1])} "
            f"({_few(files[1])}); give both files of a pair the same name"
        )
    pairs.sort(key=lambda pair: _natural(pair.name))
    _refuse_same_pictures(pairs, folders)
    if order == "check":
        _refuse_swapped(pairs, folders)
    return Pairing(tuple(pairs), _names(unmatched[0]), _names(unmatched[1]))


def pair_with_itself(folder: str | os.PathLike[str]) -> Pairing:
    """Take each picture of a folder for both sides of a pair, as those whose bands hold both.

    Args:
        folder: the pictures.

    Returns:
        The pairs, at least one.

    Raises:
        PairError: the folder is missing, unreadable or without pictures, or two files have one stem.

    Example:
        ```python
        pairing = pair_with_itself("four_bands/")
        ```
    """
    files = _pictures(Path(folder), "infrared")
    _refuse_duplicates(_group(files, _stem))
    return Pairing(tuple(Pair(path.stem, path, path) for path in files), (), ())


def match_fused(folder: str | os.PathLike[str], pairs: Sequence[Pair]) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Find which picture of a folder was fused from which pair.

    A fused picture is named like the visible one or else like the infrared one, by the rules of `match_folders`; the
    word "fused" at either end is ignored (`07_fused.png`).

    Args:
        folder: the fused pictures.
        pairs: those of `match_folders`.

    Returns:
        The file of each pair's name, for the pairs that have one, and the file names that belong to no pair.

    Raises:
        PairError: the folder is missing, unreadable or without pictures; two files fit one pair; none fits any.

    Example:
        ```python
        pairing = match_folders("infrared/", "visible/")
        fused, unmatched = match_fused("fused/", pairing.pairs)
        ```
    """
    files = unmatched = _pictures(Path(folder), "fused")
    fused: dict[str, Path] = {}
    for side in ("visible", "infrared"):
        sources = {getattr(pair, side): pair.name for pair in pairs if pair.name not in fused}
        matched, (unmatched, _) = _match(unmatched, list(sources), (*_KEYS, _unfused))
        fused |= {sources[match.visible]: match.infrared for match in matched}
    if not fused:
        raise PairError(
            f"no file names match between {printable(folder)} ({_few(files)}) and the pairs "
            f"({_few([pair.visible for pair in pairs])}); give a fused picture the name of its visible picture"
        )
    return fused, _names(unmatched)


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


def _pictures(folder: Path, side: str) -> list[Path]:
    where = printable(folder)
    try:
        pictures = [
            entry
            for entry in folder.iterdir()
            if entry.suffix.lower() in EXTENSIONS and not entry.name.startswith(".") and entry.is_file()
        ]
    except NotADirectoryError as error:
        raise PairError(f"{where}: the {side} argument is a file, a folder of pictures is expected") from error
    except FileNotFoundError as error:
        raise PairError(f"{where}: no such {side} folder") from error
    except (OSError, ValueError) as error:
        raise PairError(f"{where}: the {side} folder cannot be listed: {os_reason(error)}") from error
    if not pictures:
        kinds = " ".join(sorted(EXTENSIONS))
        raise PairError(f"{where}: no pictures in the {side} folder; files ending in {kinds} are expected")
    return sorted(pictures, key=lambda path: _natural(path.name))


def _stem(path: Path) -> str:
    return path.stem


def _folded(path: Path) -> str:
    return path.stem.casefold()


def _split(path: Path) -> tuple[str, frozenset[str]]:
    """Return the stem without the modality words at its ends, and these words."""
    stem, words = path.stem.casefold(), set()
    start = _AT_START.match(stem)
    if start:
        words.add(start[1])
        stem = stem[start.end() :]
    end = _AT_END.search(stem)
    if end:
        words.add(end[1])
        stem = stem[: end.start()] + (f"_{end[2]}" if end[2] else "")
    return stem, frozenset(words)


def _bare(path: Path) -> str:
    return _split(path)[0]


def _unfused(path: Path) -> str:
    return _bare(path.with_name(_FUSED.sub("", path.stem) + path.suffix))


_KEYS = (_stem, _folded, _bare)


def _group(files: Sequence[Path], key: Callable[[Path], str]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(key(path), []).append(path)
    return groups


def _match(
    infrared: list[Path], visible: list[Path], keys: Sequence[Callable[[Path], str]] = _KEYS
) -> tuple[list[Pair], tuple[list[Path], list[Path]]]:
    """Match by the strictest key first; what it leaves over is tried with the next one."""
    pairs: list[Pair] = []
    for key in keys:
        first, second = _group(infrared, key), _group(visible, key)
        common = first.keys() & second.keys()
        _refuse_duplicates({name: first[name] for name in common})
        _refuse_duplicates({name: second[name] for name in common})
        pairs += [Pair(second[name][0].stem, first[name][0], second[name][0]) for name in common]
        infrared = [path for path in infrared if key(path) not in common]
        visible = [path for path in visible if key(path) not in common]
    return pairs, (infrared, visible)


def _refuse_duplicates(groups: dict[str, list[Path]]) -> None:
    for files in groups.values():
        if len(files) > 1:
            first, second = (printable(path.name) for path in files[:2])
            raise PairError(
                f"{printable(files[0].parent)}: {first} and {second} fit the same pair; remove or rename one of them"
            )


def _refuse_same_pictures(pairs: Sequence[Pair], folders: tuple[Path, Path]) -> None:
    try:
        same = all(filecmp.cmp(pair.infrared, pair.visible, shallow=False) for pair in pairs[:_COMPARED])
    except OSError as error:
        raise PairError(f"{printable(error.filename or folders[0])}: cannot be read: {os_reason(error)}") from error
    if same:
        raise PairError(
            f"{printable(folders[0])} and {printable(folders[1])} hold the same pictures; "
            "one folder of infrared and one of visible pictures is expected"
        )


def _refuse_swapped(pairs: Sequence[Pair], folders: tuple[Path, Path]) -> None:
    for pair in pairs:
        infrared, visible = _split(pair.infrared)[1], _split(pair.visible)[1]
        if infrared & set(_VISIBLE) and visible & set(_INFRARED):
            raise PairError(
                f"{printable(folders[0])} and {printable(folders[1])} look swapped: {printable(pair.infrared.name)} is "
                f"given as infrared and {printable(pair.visible.name)} as visible; give the infrared folder first",
                "use order='given' if they are right as they are",
            )


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts], name


def _names(files: Sequence[Path]) -> tuple[str, ...]:
    return tuple(path.name for path in sorted(files, key=lambda path: _natural(path.name)))


def _few(files: Sequence[Path]) -> str:
    shown = ", ".join(printable(path.name) for path in files[:_LISTED])
    return shown if len(files) <= _LISTED else f"{shown}, ... {len(files)} files"
