"""``imfuse convert``: an author's checkpoint to a weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imfuse.cli._printing import say


def convert(
    checkpoint: Annotated[list[Path], typer.Argument(help="The checkpoint's files, or the folder that holds them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .safetensors file to write.")],
    model: Annotated[str | None, typer.Option(help="The method, where it shall not be recognised by its keys.")] = None,
) -> None:
    """Turn a published checkpoint into safetensors. Every name and shape is checked; nothing in it is executed."""
    from imfuse.models._convert import convert as run

    name = run(checkpoint, output, model)
    say(f"{output}: {name}")
    say(f"use: imfuse fuse INFRARED VISIBLE --model {name} --weights {output}")
