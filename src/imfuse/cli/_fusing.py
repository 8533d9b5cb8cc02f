"""Options of commands that fuse: the method, what becomes of sizes, order and colours, and the machine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from imfuse.core.errors import ImfuseError, ModelError
from imfuse.core.registry import DEFAULT_MODEL

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help=f"Method; imfuse models lists them. Default: {DEFAULT_MODEL}, or what a file of weights is for.",
        show_default=False,
    ),
]
WeightsOption = Annotated[str, typer.Option("--weights", help="Name of shipped weights, or a .safetensors file.")]
MethodOption = Annotated[
    list[str] | None,
    typer.Option("-O", "--option", metavar="KEY=VALUE", help="Option of the method, such as rule=average."),
]
GrayOption = Annotated[bool, typer.Option("--gray", help="Gray results, without the colours of the visible one.")]
TileOption = Annotated[str, typer.Option("--tile", metavar="N|auto|off", help="Side of tiles for large pictures.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 ...")]
DtypeOption = Annotated[str, typer.Option("--dtype", help="auto or one that imfuse models lists, such as bfloat16.")]
RANGES = "auto, full, percentile, minmax, LOW,HIGH, or in degrees LOWC,HIGHC"
ResizeOption = Annotated[
    str | None,
    typer.Option(
        "--resize",
        metavar="stretch|crop|pad",
        help="Bring the infrared to the size of the visible one; a word says how where the aspect ratios differ.",
        show_default=False,
    ),
]
OrderOption = Annotated[
    str, typer.Option("--order", metavar="check|given", help="given: take pairs that look swapped as they are.")
]
RangeOption = Annotated[str, typer.Option("--range", help=f"What of the infrared becomes black and white: {RANGES}.")]
VisibleRangeOption = Annotated[str, typer.Option("--visible-range", help="The same for the visible picture.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="A pair with a warning is an error.")]
PaletteOption = Annotated[
    str,
    typer.Option(
        "--infrared-palette",
        metavar="auto|none|NAME",
        help="What the colours of an infrared picture mean, such as ironbow.",
    ),
]


def parse_options(words: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` words; raises ``ModelError``."""
    pairs = [word.partition("=") for word in words]
    for word, (key, equals, _) in zip(words, pairs, strict=True):
        if not key.isidentifier() or not equals:
            raise ModelError(f"--option {word!r}: KEY=VALUE is expected, such as rule=average")
    return {key: value for key, _, value in pairs}


def parse_tile(text: str) -> Any:
    """Side of tiles; raises ``ModelError``."""
    if text in ("auto", "off"):
        return text
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ModelError(f"--tile {text!r}: a number of pixels, auto or off is expected")
    return int(text)


def parse_bits(bits: int) -> Literal[8, 16]:
    """Bits of a result; raises ``ImfuseError``."""
    if bits == 8:
        return 8
    if bits == 16:
        return 16
    raise ImfuseError(f"--bits {bits}: 8 or 16 is expected")


def set_threads(threads: int) -> None:
    """So many threads for networks and pictures."""
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
