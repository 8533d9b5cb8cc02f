"""Options of commands that take pairs of two cameras which are not registered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RigOption = Annotated[
    Path | None,
    typer.Option("--rig", metavar="rig.json", help="Align each pair by what imfuse align wrote.", show_default=False),
]
OutsideOption = Annotated[
    str,
    typer.Option(
        "--outside", metavar="crop|visible", help="With --rig: cut to what both show, or keep the visible frame."
    ),
]
