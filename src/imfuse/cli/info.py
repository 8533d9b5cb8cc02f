"""``imfuse info``: what the readers know of a file, and its temperatures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from imfuse.cli._printing import say, warn

FrameOption = Annotated[
    int | None, typer.Option(min=0, help="Which frame or time of several; the first is 0.", show_default=False)
]
SliceOption = Annotated[
    str | None, typer.Option("--slice", metavar="AXIS:N", help="Which slice of a volume, such as axial:40.")
]
WindowOption = Annotated[
    str | None, typer.Option(metavar="CENTRE,WIDTH|NAME", help="Of CT and MR: brain, bone, lung, soft or numbers.")
]
UnitsOption = Annotated[
    str, typer.Option(metavar="auto|NAME|SCALE,OFFSET", help="What values of a thermal picture are: centikelvin ...")
]


def info(
    file: Annotated[Path, typer.Argument(help="A picture, or a file of a thermal camera or a scanner.")],
    celsius: Annotated[
        Path | None, typer.Option(metavar="OUT.tif", help="Write the temperatures, as TIFF of float32.")
    ] = None,
    units: UnitsOption = "auto",
    frame: FrameOption = None,
    slice_: SliceOption = None,
    window: WindowOption = None,
) -> None:
    """Print all that is known of a file as JSON."""
    from imfuse.imaging.sensors.celsius import read_celsius, write_celsius
    from imfuse.imaging.sensors.info import describe
    from imfuse.imaging.sensors.sensor import View

    facts = describe(file, View(frame, slice_, window, units))
    if celsius is not None:
        write_celsius(celsius, read_celsius(file, units=units))
        warn(f"{celsius}: degrees Celsius written")
    for line in json.dumps(facts, indent=2, ensure_ascii=True).splitlines():
        say(line)
