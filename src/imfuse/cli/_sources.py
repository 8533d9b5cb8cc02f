"""What commands take pairs from: two files, two folders, or a list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from imfuse.cli._terminal import are_folders
from imfuse.core.errors import PairError

RecursiveOption = Annotated[
    bool, typer.Option("--recursive", help="Look into sub-folders too; results are in the same sub-folders.")
]
PairsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="List of pairs, CSV or JSON Lines, instead of folders or for files in them."),
]


@dataclass(frozen=True)
class Sources:
    """Where pairs are.

    Attributes:
        infrared: a file or folder; None with a list alone.
        visible: the same.
        pairs: a list of pairs.
        recursive: whether sub-folders count.
        folders: whether there may be several pairs: folders or a list are given, not two files.
    """

    infrared: Path | None
    visible: Path | None
    pairs: Path | None
    recursive: bool
    folders: bool

    @property
    def files(self) -> tuple[Path, Path]:
        """The two files of the one pair; one file twice where it holds both pictures."""
        assert self.infrared is not None
        return self.infrared, self.visible or self.infrared


def given_sources(
    infrared: Path | None,
    visible: Path | None,
    pairs: Path | None,
    recursive: bool,
    *,
    alone: bool = False,
    fused: bool = False,
) -> Sources:
    """Check what a command line says. Raises ``PairError``, or the usage error where there is nothing.

    With ``alone`` the infrared may be given without the visible: its files hold both. ``fused`` says that the command
    takes pictures made elsewhere, too, which were not given.
    """
    given = [path for path in (infrared, visible) if path is not None]
    if (len(given) == 1 and (pairs is not None or not alone)) or (not given and pairs is None):
        elsewhere = ", or --fused DIR" if fused else ""
        raise typer.BadParameter(f"give INFRARED and VISIBLE, or --pairs FILE{elsewhere}")
    folders = are_folders(*given) if given else True
    for flag, wanted in (("--pairs", pairs is not None), ("--recursive", recursive)):
        if wanted and not folders:
            raise PairError(f"{flag}: of folders; two files were given")
    return Sources(infrared, visible, pairs, recursive, folders)
