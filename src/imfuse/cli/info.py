"""``imfuse info``: what the readers know of a file, and its temperatures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from imfuse.cli._printing import say, warn
from imfuse.cli._reading import (
    AmbientOption,
    DistanceOption,
    EmissivityOption,
    FrameOption,
    HumidityOption,
    ReflectedOption,
    SliceOption,
    UnitsOption,
    WindowOption,
    conditions_of,
)


def info(
    file: Annotated[Path, typer.Argument(help="A picture, or a file of a thermal camera or a scanner.")],
    celsius: Annotated[
        Path | None, typer.Option(metavar="OUT.tif", help="Write the temperatures, as TIFF of float32.")
    ] = None,
    units: UnitsOption = "auto",
    frame: FrameOption = None,
    slice_: SliceOption = None,
    window: WindowOption = None,
    emissivity: EmissivityOption = None,
    distance: DistanceOption = None,
    reflected: ReflectedOption = None,
    ambient: AmbientOption = None,
    humidity: HumidityOption = None,
) -> None:
    """Print all that is known of a file as JSON."""
    from imfuse.imaging.sensors.celsius import read_celsius, write_celsius
    from imfuse.imaging.sensors.info import describe
    from imfuse.imaging.sensors.sensor import View

    conditions = conditions_of(emissivity, distance, reflected, ambient, humidity)
    view = View(frame, slice_, window, units, conditions)
    facts = describe(file, view)
    if celsius is not None:
        write_celsius(celsius, read_celsius(file, units=units, conditions=conditions))
        warn(f"{celsius}: degrees Celsius written")
    for line in json.dumps(facts, indent=2, ensure_ascii=True).splitlines():
        say(line)
