"""``imfuse convert``: an author's checkpoint to a weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imfuse.cli._printing import say
from imfuse.core.errors import WeightsError


def convert(
    checkpoint: Annotated[list[Path], typer.Argument(help="The checkpoint's files, or the folder that holds them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .safetensors file to write.")],
    model: Annotated[str | None, typer.Option(help="The method, where it shall not be recognised by its keys.")] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(metavar="NAME|auto", help="It is of a segmentation network, such as segformer_b2."),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", help="Means (0..255) of what that network was trained on. Default: ImageNet."),
    ] = None,
    deviation: Annotated[str | None, typer.Option(metavar="R,G,B", help="Standard deviations of the same.")] = None,
) -> None:
    """Turn a published checkpoint into safetensors. Every name and shape is checked; nothing in it is executed."""
    if segmenter is not None:
        _convert_segmenter(checkpoint, output, segmenter, mean, deviation)
        return
    for flag, value in (("--mean", mean), ("--deviation", deviation)):
        if value is not None:
            raise WeightsError(f"{flag} {value}: of a segmentation network; give --segmenter")
    from imfuse.models._convert import convert as run

    name = run(checkpoint, output, model)
    say(f"{output}: {name}")
    say(f"use: imfuse fuse INFRARED VISIBLE --model {name} --weights {output}")


def _convert_segmenter(
    checkpoint: list[Path], output: Path, segmenter: str, mean: str | None, deviation: str | None
) -> None:
    from imfuse.tasks.segment.convert import IMAGENET_DEVIATION, IMAGENET_MEAN, convert_segmenter

    if len(checkpoint) != 1:
        raise WeightsError("--segmenter: one checkpoint is expected")
    means = _levels("--mean", mean) or IMAGENET_MEAN
    deviations = _levels("--deviation", deviation) or IMAGENET_DEVIATION
    name = convert_segmenter(checkpoint[0], output, None if segmenter == "auto" else segmenter, means, deviations)
    say(f"{output}: {name}")
    say(f"use: imfuse segment --fused DIR --segmenter {output}")


def _levels(flag: str, text: str | None) -> tuple[float, ...] | None:
    """Numbers of a list in gray levels, as shares of white."""
    if text is None:
        return None
    try:
        return tuple(float(part) / 255 for part in text.split(","))
    except ValueError:
        raise WeightsError(f"{flag} {text}: numbers are expected, such as 57.3,65.8,56.8") from None
