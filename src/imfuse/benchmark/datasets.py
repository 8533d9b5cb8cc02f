"""Where the pictures of a data set lie: the layouts that the field's sets are published in, recognised by folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imfuse.core.errors import PairError

Sides = tuple[str, str]

# Infrared (or the side without colour), then visible. CT stands for the infrared picture beside MRI, since MRI has the
# structure; beside PET and SPECT MRI does, since these two have the colours that are kept.
_PLAIN: tuple[Sides, ...] = (("ir", "vi"), ("ir", "vis"), ("infrared", "visible"), ("thermal", "visible"))
_MEDICAL: tuple[Sides, ...] = (("ct", "mri"), ("mri", "pet"), ("mri", "spect"))
_PARTS = ("test", "")


@dataclass(frozen=True)
class KnownSet:
    """A published data set: how it is called, and the folders of its test pictures besides the common ones."""

    title: str
    sides: tuple[Sides, ...] = ()


KNOWN: dict[str, KnownSet] = {
    "tno": KnownSet("TNO", (("thermal", "visual"),)),
    "roadscene": KnownSet("RoadScene", (("cropinfrared", "crop_lr_visible"),)),
    "msrs": KnownSet("MSRS"),
    "m3fd": KnownSet("M3FD", (("m3fd_fusion/ir", "m3fd_fusion/vis"),)),
    "llvip": KnownSet("LLVIP", (("infrared/test", "visible/test"),)),
    "nir_country": KnownSet("EPFL NIR country"),
    "mri_ct": KnownSet("Harvard MRI-CT", (_MEDICAL[0],)),
    "mri_pet": KnownSet("Harvard MRI-PET", (_MEDICAL[1],)),
    "mri_spect": KnownSet("Harvard MRI-SPECT", (_MEDICAL[2],)),
}
"""Published sets, by the name to give them in ``--data NAME=DIR``."""


@dataclass(frozen=True)
class DataFolders:
    """The two folders of a data set, and its name in words."""

    title: str
    infrared: Path
    visible: Path


def find_data(name: str, folder: Path) -> DataFolders:
    """Find the infrared and the visible folder under ``folder``, in its test part where it has one.

    ``name`` is the user's; one of ``KNOWN`` has its own layout tried first. Letter case of folders does not count.
    Raises ``PairError`` that says what was expected.

    >>> find_data("mine", Path("nowhere"))
    Traceback (most recent call last):
    imfuse.core.errors.PairError: nowhere: no such folder, the folder of the data set 'mine' is expected
    """
    if not folder.is_dir():
        raise PairError(f"{folder}: no such folder, the folder of the data set {name!r} is expected")
    for title, infrared, visible in _candidates(name):
        sides = _below(folder, infrared), _below(folder, visible)
        if sides[0] is not None and sides[1] is not None:
            return DataFolders(title, sides[0], sides[1])
    raise PairError(
        f"{folder}: no layout of a data set is recognised; expected are folders ir and vi (or infrared and visible, or "
        "mri and pet, ...), in it or in its folder test; docs/datasets.md lists the layouts, and a YAML file can name "
        "any two folders"
    )


def _candidates(name: str) -> Iterator[tuple[str, str, str]]:
    """Title and sides, the most particular layout first."""
    own = KNOWN.get(name.casefold())
    for known in (own, *KNOWN.values()) if own else KNOWN.values():
        # A layout that is one set's alone tells which set it is.
        yield from ((own.title if own else known.title, *sides) for sides in known.sides)
    for part in _PARTS:
        for infrared, visible in (*_PLAIN, *_MEDICAL):
            start = f"{part}/" if part else ""
            yield own.title if own else name, start + infrared, start + visible


def _below(folder: Path, relative: str) -> Path | None:
    """A folder below, without regard to letter case."""
    found = folder
    for word in relative.split("/"):
        try:
            children = sorted(path for path in found.iterdir() if path.name.casefold() == word)
        except OSError as error:
            raise PairError(f"{found}: cannot be read: {error.strerror or error}") from error
        if not children or not children[0].is_dir():
            return None
        found = children[0]
    return found
