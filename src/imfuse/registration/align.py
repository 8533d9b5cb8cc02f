"""A rig from files: many frames of two cameras, one pair, matched points, or a board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from imfuse.core.errors import ImfuseError, RegistrationError
from imfuse.core.files import is_folder, stem_of
from imfuse.core.notes import collected
from imfuse.core.text import printable
from imfuse.imaging import Pair, find_pairing, luminance, parse_range
from imfuse.imaging.inputs import MAX_PIXELS, PathLike, read
from imfuse.imaging.nodata import fill_no_data
from imfuse.imaging.sensors.display import shown
from imfuse.registration._structure import Picture
from imfuse.registration.board import board_of, transform_of_board
from imfuse.registration.estimate import estimate
from imfuse.registration.frames import transform_of_frames
from imfuse.registration.points import read_points, transform_of_points
from imfuse.registration.rig import Dropped, Rig
from imfuse.registration.transform import MODELS, Model

MOST_FRAMES = 40
"""Frames that a rig is estimated from: evenly chosen of more, which tell little new."""


@dataclass(frozen=True)
class Frames:
    """Frames of two cameras, those of each of one size, and why others are none.

    Args:
        names: of the pairs.
        infrared: luminances in [0, 1].
        visible: those of the other camera.
        dropped: pairs that cannot be used.

    Example:
        ```python
        frames = read_frames("infrared", "visible")
        ```
    """

    names: list[str]
    infrared: list[Picture]
    visible: list[Picture]
    dropped: list[Dropped]


def align(
    infrared: PathLike,
    visible: PathLike,
    *,
    points: PathLike | None = None,
    board: str | None = None,
    model: str | None = None,
) -> Rig:
    """Find how two cameras that are fixed to one another lie, and return it as a rig.

    Args:
        infrared: a folder of frames of the infrared camera, or one picture.
        visible: the frames of the visible camera at the same times, paired by their names, or one picture.
        points: a CSV file of points that were matched by hand, x_visible,y_visible,x_infrared,y_infrared; of the
            pictures only the size counts then.
        board: inner corners of a board that both cameras see, such as "9x6".
        model: freedom of the transform: shift, rigid, similarity, affine or homography; left out: the least that
            serves.

    Returns:
        The rig; ``rig.write("rig.json")`` keeps it.

    Raises:
        RegistrationError: nothing shows how the cameras lie, or the points or the board cannot be used.
        ImageError: a picture cannot be read.
        PairError: the folders do not belong together.

    Example:
        ```python
        rig = imfuse.align("frames/infrared", "frames/visible")
        rig.write("rig.json")
        imfuse.Fuser(rig=rig).folder("frames/infrared", "frames/visible", "fused")
        ```
    """
    freedom = checked_model(model)
    if points is not None and board is not None:
        raise RegistrationError("points=... and board=...: one of the two is expected")
    frames = read_frames(infrared, visible, most=1 if points is not None else MOST_FRAMES)
    if points is not None:
        return rig_of_points(points, frames, freedom)
    if board is not None:
        return rig_of_board(board_of(board), frames, freedom)
    return rig_of_frames(frames, freedom)


def checked_model(model: str | None) -> Model | None:
    """The name of a model, or nothing. Raises ``RegistrationError``."""
    if model is not None and model not in MODELS:
        raise RegistrationError(f"model={model!r}: one of {', '.join(MODELS)} is expected")
    return model


def read_frames(infrared: PathLike, visible: PathLike, most: int = MOST_FRAMES) -> Frames:
    """Read the frames of two folders, or one pair.

    Args:
        infrared: folder, or file.
        visible: the same.
        most: how many are read, evenly chosen.

    Returns:
        The frames. Those that cannot be read, and those of another size than most, are dropped.

    Raises:
        ImageError: a file of one pair cannot be read, or none of two folders can.
        PairError: the folders do not belong together.
        RegistrationError: one path is a folder, and the other none.

    Example:
        ```python
        frames = read_frames("infrared", "visible", most=20)
        ```
    """
    folders = [is_folder(path) for path in (infrared, visible)]
    if folders[0] != folders[1]:
        raise RegistrationError(
            f"{printable(infrared)} and {printable(visible)}: two folders or two pictures are expected"
        )
    if not folders[0]:
        pairs: Sequence[Pair] = [Pair(stem_of(Path(visible)), Path(infrared), Path(visible))]
    else:
        pairs = find_pairing(infrared, visible).pairs
    if not pairs:
        raise RegistrationError(f"{printable(infrared)} and {printable(visible)}: no pair of pictures in them")
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), most)).round().astype(int))
    frames = Frames([], [], [], [])
    problem: ImfuseError | None = None
    for pair in (pairs[index] for index in chosen):
        try:
            pictures = _luminance(pair.infrared, thermal=True), _luminance(pair.visible, thermal=False)
        except ImfuseError as error:
            problem = error
            frames.dropped.append(Dropped(frame=pair.name[:4096], reason=str(error)[:4096]))
            continue
        frames.names.append(pair.name)
        frames.infrared.append(pictures[0])
        frames.visible.append(pictures[1])
    if problem is not None and not frames.names:
        raise problem
    return _of_one_size(frames)


def rig_of_frames(frames: Frames, model: Model | None = None) -> Rig:
    """The rig of many frames, or of one pair. Raises ``RegistrationError``."""
    if len(frames.names) == 1:
        return _rig_of_pair(frames)
    found = transform_of_frames(frames.infrared, frames.visible, model)
    known = {"residual": found.residual, "agreement": found.agreement, "method": "frames"}
    return Rig.of(
        found.transform, _size(frames.infrared[0]), _size(frames.visible[0]), **known, **_used(frames, found.dropped)
    )


def rig_of_points(path: PathLike, frames: Frames, model: Model | None = None) -> Rig:
    """The rig that matched points decide. Raises ``RegistrationError``."""
    infrared, visible = read_points(path)
    transform, residual = transform_of_points(infrared, visible, model)
    return Rig.of(transform, _size(frames.infrared[0]), _size(frames.visible[0]), residual=residual, method="points")


def rig_of_board(board: tuple[int, int], frames: Frames, model: Model | None = None) -> Rig:
    """The rig that views of a board decide. Raises ``RegistrationError``."""
    found = transform_of_board(frames.infrared, frames.visible, board, model)
    known = {"residual": found.residual, "method": "board"}
    return Rig.of(found.transform, found.infrared, found.visible, **known, **_used(frames, found.dropped))


def _rig_of_pair(frames: Frames) -> Rig:
    infrared, visible = frames.infrared[0], frames.visible[0]
    found = estimate(infrared, visible)
    if not found.accepted:
        raise RegistrationError(found.reason, "give folders with many frames", "give points=...")
    used = {"method": "pair", "frames": tuple(frames.names)}
    return Rig.of(found.transform, _size(infrared), _size(visible), **used)


def _used(frames: Frames, dropped: dict[int, str]) -> dict[str, Any]:
    """Fields of a rig that say which frames were used."""
    more = [Dropped(frame=frames.names[index][:4096], reason=reason) for index, reason in dropped.items()]
    names = tuple(name for index, name in enumerate(frames.names) if index not in dropped)
    return {"frames": names, "dropped": (*frames.dropped, *more)}


def _of_one_size(frames: Frames) -> Frames:
    """The frames of the sizes that most have."""
    sizes = [(_size(ir), _size(vi)) for ir, vi in zip(frames.infrared, frames.visible, strict=True)]
    usual = Counter(sizes).most_common(1)[0][0]
    keep = [index for index, size in enumerate(sizes) if size == usual]
    others = [
        Dropped(
            frame=frames.names[index][:4096], reason=f"{_sizes(size)}, most are {_sizes(usual)} (infrared, visible)"
        )
        for index, size in enumerate(sizes)
        if size != usual
    ]
    infrared, visible = ([side[index] for index in keep] for side in (frames.infrared, frames.visible))
    return Frames([frames.names[index] for index in keep], infrared, visible, [*frames.dropped, *others])


def _sizes(size: tuple[tuple[int, int], tuple[int, int]]) -> str:
    return " and ".join(f"{width}x{height}" for height, width in size)


def _size(picture: Picture) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]


def _luminance(path: Path, *, thermal: bool) -> Picture:
    """A picture as edges are looked for in it: gray, in [0, 1], without holes."""
    with collected():
        stored = read(path, MAX_PIXELS)
        values = shown(stored.pixels, stored.sensor, parse_range("auto"), stored.name)
        unit, _ = values.to_unit(thermal=thermal, name=stored.name)
        gray = unit if unit.ndim == 2 else luminance(unit)
        return cast("Picture", np.ascontiguousarray(fill_no_data(gray, stored.name)[0], np.float32))
