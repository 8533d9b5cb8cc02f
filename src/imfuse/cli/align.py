"""``imfuse align``: how two cameras lie to one another, kept in a rig.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imfuse.cli._printing import say, warn
from imfuse.cli._terminal import count
from imfuse.core.text import printable

if TYPE_CHECKING:
    from imfuse.registration.align import Frames
    from imfuse.registration.rig import Rig

_DEPTH = 2.0
"""Pixels between parts of the picture from which on depth is spoken of."""
_LISTED = 5


def align(
    infrared: Annotated[Path, typer.Argument(help="Folder of frames of the infrared camera, or one picture.")],
    visible: Annotated[Path, typer.Argument(help="Frames of the visible camera, paired by name, or one picture.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The rig that is written.")] = Path("rig.json"),
    points: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Matched points: x_visible,y_visible,x_infrared,y_infrared."),
    ] = None,
    board: Annotated[
        str | None, typer.Option(metavar="9x6", help="Inner corners of a board that both cameras see.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="shift|rigid|similarity|affine|homography", help="Freedom of the transform. Default: what serves."
        ),
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write overlays and what is left for each frame into a folder.")
    ] = None,
) -> None:
    """Find how two fixed cameras lie to one another, from many frames, matched points or a board.

    fuse, segment, detect and others take the result as --rig.
    """
    from imfuse.registration.align import align as align_files
    from imfuse.registration.align import read_frames

    rig = align_files(infrared, visible, points=points, board=board, model=model)
    rig.write(output)
    _tell(rig, output)
    if check is not None:
        _check(rig, read_frames(infrared, visible), check)


def _tell(rig: Rig, output: Path) -> None:
    for one in rig.dropped[:_LISTED]:
        warn(f"not used: {one.reason}", one.frame)
    if len(rig.dropped) > _LISTED:
        warn(f"not used: {len(rig.dropped) - _LISTED} more, which {printable(output)} lists")
    left, top, right, bottom = rig.valid
    used = f" from {count(len(rig.frames), 'frame')}" if rig.frames else f" from {rig.method}"
    residual = "" if rig.residual is None else f", residual {rig.residual:.2f} px"
    say(f"{printable(output)}: {rig.model}{used}{residual}")
    moved = rig.transform.moved(rig.infrared.size)
    say(
        f"infrared {rig.infrared.width}x{rig.infrared.height} moved by {moved:.1f} px on visible "
        f"{rig.visible.width}x{rig.visible.height}; common area {right - left}x{bottom - top} from {left},{top}"
    )


def _check(rig: Rig, frames: Frames, folder: Path) -> None:
    from imfuse.registration.check import write_check

    found = write_check(folder, rig, frames.names, frames.infrared, frames.visible)
    known = [off for off in found.off if off is not None]
    say(
        f"{printable(folder)}: {count(len(frames.names), 'overlay')}, frames.csv, zones.csv; "
        f"the infrared covers {found.common:.0%} of the visible picture"
    )
    if known:
        say(f"frames lie {sum(known) / len(known):.1f} px from the rig in the mean, {max(known):.1f} px at most")
    if found.parallax > _DEPTH:
        warn(
            f"parts of the picture lie up to {found.parallax:.1f} px apart (zones.csv): a transform is right at one "
            "depth, and what is nearer or further stays off"
        )
