"""Options of commands that read files of sensors: which picture of a file is meant, and what its values are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imfuse.core.errors import PairError

if TYPE_CHECKING:
    from imfuse.imaging.sensors.conditions import Conditions

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
EmissivityOption = Annotated[
    float | None, typer.Option(help="Of a radiometric file of FLIR, instead of what it recorded.", show_default=False)
]
DistanceOption = Annotated[
    float | None, typer.Option(metavar="METRES", help="The same: distance of the object.", show_default=False)
]
ReflectedOption = Annotated[
    str | None, typer.Option(metavar="20C", help="The same: temperature that the object reflects.", show_default=False)
]
AmbientOption = Annotated[
    str | None, typer.Option(metavar="20C", help="The same: temperature of the air.", show_default=False)
]
HumidityOption = Annotated[
    float | None, typer.Option(help="The same: humidity of the air, from 0 to 1.", show_default=False)
]


def conditions_of(
    emissivity: float | None, distance: float | None, reflected: str | None, ambient: str | None, humidity: float | None
) -> Conditions:
    """The conditions that options name. Raises ``ImageError`` for impossible ones."""
    from imfuse.imaging.sensors.conditions import Conditions, parse_temperature

    return Conditions(
        emissivity,
        distance,
        None if reflected is None else parse_temperature(reflected, "reflected"),
        None if ambient is None else parse_temperature(ambient, "ambient"),
        humidity,
    )


def refuse_units(units: str, fused: Path | None) -> None:
    """Raise ``PairError`` where the units of an infrared picture are named and there is none."""
    if units != "auto" and fused is not None:
        raise PairError(f"--units {units}: of infrared pictures in pairs; pictures of --fused are taken as they are")
