"""Where the pictures of a data set lie: the layouts that the field's sets are published in, recognised by folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imfuse.core.errors import PairError
from imfuse.core.files import open_input, split_extension
from imfuse.core.text import printable
from imfuse.imaging import EXTENSIONS, side_of_name

Sides = tuple[str, str]
Part = Literal["train", "test"]

# Infrared (or the side without colour), then visible. CT stands for the infrared picture beside MRI, since MRI has the
# structure; beside PET and SPECT MRI does, since these two have the colours that are kept.
_PLAIN: tuple[Sides, ...] = (("ir", "vi"), ("ir", "vis"), ("infrared", "visible"), ("thermal", "visible"))
_MEDICAL: tuple[Sides, ...] = (("ct", "mri"), ("mri", "pet"), ("mri", "spect"))
_LABELS = ("labels", "segmentation_labels", "label")
_STACKED = "images"
_LISTED = 8
_MAX_LIST = 1 << 20


@dataclass(frozen=True)
class KnownSet:
    """A published data set: how it is called, and its folders besides the common ones; PART is train or test."""

    title: str
    sides: tuple[Sides, ...] = ()


KNOWN: dict[str, KnownSet] = {
    "tno": KnownSet("TNO", (("thermal", "visual"),)),
    "roadscene": KnownSet("RoadScene", (("cropinfrared", "crop_lr_visible"),)),
    "msrs": KnownSet("MSRS"),
    "mfnet": KnownSet("MFNet"),
    "m3fd": KnownSet("M3FD", (("m3fd_fusion/ir", "m3fd_fusion/vis"),)),
    "llvip": KnownSet("LLVIP", (("infrared/PART", "visible/PART"),)),
    "nir_country": KnownSet("EPFL NIR country"),
    "mri_ct": KnownSet("Harvard MRI-CT", (_MEDICAL[0],)),
    "mri_pet": KnownSet("Harvard MRI-PET", (_MEDICAL[1],)),
    "mri_spect": KnownSet("Harvard MRI-SPECT", (_MEDICAL[2],)),
}
"""Published sets, by the name that a benchmark gives them."""


@dataclass(frozen=True)
class DataFolders:
    """The two folders of a data set, and its name in words."""

    title: str
    infrared: Path
    visible: Path


def find_folders(folder: Path, part: Part, name: str = "", recursive: bool = False) -> DataFolders:
    """Find the infrared and the visible folder of a data set, in its part for training or testing where it has one.

    Training and benchmarks accept the same layouts; letter case of folders does not count. Where no layout is
    recognised, two folders whose names say their sides will do (`tir` and `rgb`, `红外` and `可见光`), or one folder of
    pictures whose names do.

    Args:
        folder: that of the data set.
        part: the folder between that is looked into before the folder itself.
        name: what the user calls the set; one of ``KNOWN`` has its own layout tried first.
        recursive: the pictures are in sub-folders, in which folders of the two sides may lie as well.

    Returns:
        The folders, and the title of the set where it is known, else its name.

    Raises:
        PairError: there is no such folder, or none of the layouts in it; the message lists both.

    Example:
        >>> find_folders(Path("nowhere"), "test", "mine")
        Traceback (most recent call last):
        imfuse.core.errors.PairError: nowhere: no such folder, the folder of a data set is expected
    """
    if not folder.is_dir():
        raise PairError(f"{folder}: no such folder, the folder of a data set is expected")
    for title, infrared, visible in _candidates(part, name):
        sides = _below(folder, infrared), _below(folder, visible)
        if sides[0] is not None and sides[1] is not None:
            return DataFolders(title, sides[0], sides[1])
    for start in (_below(folder, part), folder):
        if start is not None and (named := _named_sides(start, recursive)):
            return DataFolders(_title(name), *named)
    raise PairError(
        f"{printable(folder)}: no layout of a data set is recognised; expected the folders {_expected(part)}, directly "
        f"or in {part}; there are {_content(folder)}",
        "give the two folders as infrared=... and visible=...",
        "name them in a file of settings, config=...",
    )


def _named_sides(folder: Path, recursive: bool) -> tuple[Path, Path] | None:
    """The two folders whose names say their sides, if there is one of each; else the folder itself, if its files do."""
    entries = [path for path in _listed(folder) if not path.name.startswith(".")]
    sides = {path: side_of_name(path.name) for path in entries if path.is_dir()}
    infrared, visible = ([path for path, said in sides.items() if said == side] for side in ("infrared", "visible"))
    if len(infrared) == len(visible) == 1:
        return infrared[0], visible[0]
    said = {side_of_name(path.stem) for path in entries if split_extension(path.name)[1] in EXTENSIONS}
    if said == {"infrared", "visible"} or (recursive and sides and not said):
        return folder, folder
    return None


def find_stacked(folder: Path, part: Part, name: str = "") -> DataFolders | None:
    """Find the pictures of a data set whose files hold both sides, as the four bands of MFNet's ``images`` do.

    Args:
        folder: that of the data set.
        part: the folder between that is looked into first.
        name: what the user calls the set.

    Returns:
        The one folder for both sides, and the title of the set; ``None`` where there is no ``images``.

    Raises:
        PairError: a folder cannot be read.

    Example:
        ```python
        find_stacked(Path("mfnet"), "test", "mfnet").visible  # mfnet/images
        ```
    """
    for start in (_below(folder, part), folder):
        if start is not None and (images := _below(start, _STACKED)):
            return DataFolders(_title(name), images, images)
    return None


def labels_beside(infrared: Path) -> Path | None:
    """The folder of labels beside the infrared one: ``labels``, ``Segmentation_labels`` or ``Label``."""
    folders = (_below(infrared.parent, name) for name in _LABELS)
    return next((folder for folder in folders if folder is not None), None)


def find_labels(folder: Path, part: Part) -> tuple[Path, frozenset[str] | None]:
    """Find the labels of a data set, and which pictures are in a part of it.

    MSRS has ``train/Segmentation_labels`` and ``test/Segmentation_labels``; MFNet has one folder of ``labels`` for all
    and the names of each part in ``train.txt`` and ``test.txt``, which may lie in ``split`` too.

    Args:
        folder: of the labels themselves, or of the data set.
        part: which part is meant.

    Returns:
        The folder of labels, and the names of the part where there is such a list.

    Raises:
        PairError: the list cannot be read.

    Example:
        ```python
        folder, names = find_labels(Path("mfnet"), "test")  # mfnet/labels, {"00001D", ...}
        ```
    """
    for start in (_below(folder, part), folder) if folder.is_dir() else ():
        found = start and next((below for name in _LABELS if (below := _below(start, name))), None)
        if found:
            lists = (folder / place / f"{part}.txt" for place in ("", "split"))
            listed = next((path for path in lists if path.is_file()), None)
            return found, _names(listed) if listed else None
    return folder, None


def _names(path: Path) -> frozenset[str]:
    """Names of pictures, one a line, with or without an extension."""
    with open_input(path, PairError, "a list of names", _MAX_LIST) as stream:
        text = stream.read(_MAX_LIST).decode("utf-8", errors="replace")
    return frozenset(re.sub(r"\.(png|jpe?g)$", "", line.strip()) for line in text.splitlines() if line.strip())


def _title(name: str) -> str:
    """A set's name in words, where it is known."""
    own = KNOWN.get(name.casefold())
    return own.title if own else name


def _candidates(part: Part, name: str) -> Iterator[tuple[str, str, str]]:
    """Title and sides, the most particular layout first."""
    own = KNOWN.get(name.casefold())
    sets = [own, *KNOWN.values()] if own else list(KNOWN.values())
    # A layout that is one set's alone tells which set it is.
    particular = [(own.title if own else known.title, sides) for known in sets for sides in known.sides]
    common = [(own.title if own else name, sides) for sides in (*_PLAIN, *_MEDICAL)]
    for layouts in (particular, common):
        for start in (f"{part}/", ""):
            for title, (infrared, visible) in layouts:
                yield title, start + infrared.replace("PART", part), start + visible.replace("PART", part)


def _expected(part: Part) -> str:
    sides = dict.fromkeys((*_PLAIN, *_MEDICAL, *(sides for known in KNOWN.values() for sides in known.sides)))
    words = [f"{infrared} and {visible}".replace("PART", part) for infrared, visible in sides]
    return f"{', '.join(words[:-1])}, or {words[-1]}"


def _content(folder: Path) -> str:
    names = [path.name for path in _listed(folder) if path.is_dir()]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more if names else "no folders in it"


def _below(folder: Path, relative: str) -> Path | None:
    """A folder below, without regard to letter case."""
    for word in relative.split("/"):
        children = [path for path in _listed(folder) if path.name.casefold() == word]
        if not children or not children[0].is_dir():
            return None
        folder = children[0]
    return folder


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise PairError(f"{folder}: cannot be read: {error.strerror or error}") from error
