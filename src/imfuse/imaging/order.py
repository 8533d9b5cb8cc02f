"""Whether a pair was given the wrong way round: what names say, and what colours show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from imfuse.core.errors import PairError
from imfuse.core.text import printable
from imfuse.imaging._names import Side, split_name
from imfuse.imaging.inputs import Stored
from imfuse.imaging.palette import coloured_share, is_painted

Order = Literal["check", "given"]
ORDERS: tuple[Order, ...] = ("check", "given")
"""``check`` refuses pairs that look swapped; for ``given`` the first picture is the infrared one, whatever it shows."""

# Words that leave no doubt on their own. The near infrared is the visible side of some pairs, the infrared of others.
_PLAIN: dict[Side, frozenset[str]] = {
    "infrared": frozenset({"infrared", "thermal", "lwir", "mwir", "tir", "ir"}),
    "visible": frozenset({"visible", "colour", "color", "rgb", "vis", "vi"}),
}
# Functional scans come in false colours, and go on either side.
_MEDICAL = frozenset({"mri", "ct", "pet", "spect"})
_ADVICE = ("give the infrared picture first", "use order='given' if they are right as they are")
_COLOURED, _GRAY = 0.1, 0.002
_TOKEN, _LONGEST = re.compile(r"[^\W_]+"), 2


def check_names(infrared: Path, visible: Path) -> None:
    """Refuse two files of which one says that it is the other side, in its name or else in that of its folder.

    One file that holds both sides is none of them.

    Raises:
        PairError: it does.
    """
    if infrared == visible:
        return
    # A folder that both lie in says nothing of either.
    apart = infrared.parent != visible.parent
    for path, side in ((infrared, "infrared"), (visible, "visible")):
        said = _side_said(path, apart)
        if said not in (None, side):
            raise PairError(
                f"{printable(infrared)} and {printable(visible)} look swapped: the name {printable(_telling(path))} "
                f"says {said}, but the picture is given as the {side} one",
                *_ADVICE,
            )


def check_colours(infrared: Stored, visible: Stored) -> None:
    """Refuse an infrared picture in natural colours beside a visible one that is gray, or in false colours.

    Raises:
        PairError: it is one.
    """
    if are_scans(infrared, visible) or coloured_share(infrared.pixels) < _COLOURED or is_painted(infrared.pixels):
        return
    if coloured_share(visible.pixels) < _GRAY:
        found = "has none"
    elif is_painted(visible.pixels):
        found = "is painted in false ones"
    else:
        return
    raise PairError(
        f"{printable(infrared.name)} and {printable(visible.name)} look swapped: the infrared picture has natural "
        f"colours, the visible one {found}",
        *_ADVICE,
    )


def check_sensors(infrared: Stored, visible: Stored) -> None:
    """Refuse a file with a thermal plane as the visible picture of one that has none.

    Raises:
        PairError: it is one.
    """
    if visible.sensor is not None and visible.sensor.thermal and infrared.sensor is None:
        raise PairError(
            f"{printable(infrared.name)} and {printable(visible.name)} look swapped: a thermal plane is in "
            f"{printable(visible.name)}, which is given as the visible picture",
            *_ADVICE,
        )


def are_scans(infrared: Stored, visible: Stored) -> bool:
    """Whether the name of either picture, or of its folder, says that it is a medical scan."""
    words = {word for stored in (infrared, visible) if stored.path for word in _words(stored.path)}
    return bool(words & _MEDICAL)


def _plain_folder(path: Path) -> str:
    """The name of a file's folder, where it is hardly more than a word: a longer one tells of a project or a camera."""
    name = path.parent.name
    return name if len(_TOKEN.findall(name)) <= _LONGEST else ""


def _words(path: Path) -> tuple[str, ...]:
    return (*split_name(path.stem)[1], *split_name(path.parent.name)[1])


def _telling(path: Path) -> str:
    """The name that says a side: that of the file, else of its folder."""
    return path.name if _sides(path.stem) else path.parent.name


def _side_said(path: Path, apart: bool) -> Side | None:
    sides = _sides(path.stem) or (_sides(_plain_folder(path)) if apart else set())
    return sides.pop() if len(sides) == 1 else None


def _sides(name: str) -> set[Side]:
    words = set(split_name(name)[1])
    return {side for side, plain in _PLAIN.items() if words & plain}
