"""Pictures that a camera with two sensors numbered one after the other, or within a second of each other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

_TIME = re.compile(r"(?<![0-9])((?:19|20)[0-9]{2})" + "([0-9]{2})" * 2 + r"[-_t ]?" + "([0-9]{2})" * 3 + r"(?![0-9])")
_LAST_NUMBER = re.compile(r"([0-9]{1,18})(?=[^0-9]*$)")
_EPOCH = datetime(1970, 1, 1)
_STEPS = (0, 1, -1)

Match = tuple[int, int]


class Shot(NamedTuple):
    """When a picture was taken, by its name: what is the same for all of its series, second, and number."""

    series: str
    second: int | None
    number: int | None


def shot_of(name: str) -> Shot:
    """Take the time stamp and the last number out of a name without words for a modality.

    >>> shot_of("dji_20230101120000_0007"), shot_of("flir_0007").number
    (Shot(series='dji_<time>_<number>', second=1672574400, number=7), 7)
    """
    taken = None
    if found := _TIME.search(name):
        try:
            year, month, day, hour, minute, second = map(int, found.groups())
            taken = int((datetime(year, month, day, hour, minute, second) - _EPOCH).total_seconds())
            name = f"{name[: found.start()]}<time>{name[found.end() :]}"
        except ValueError:
            pass  # fourteen digits that are no date
    number = None
    if found := _LAST_NUMBER.search(name):
        number = int(found[1])
        name = f"{name[: found.start()]}<number>{name[found.end() :]}"
    return Shot(name, taken, number)


def match_shots(infrared: Sequence[Shot], visible: Sequence[Shot], numbered_alike: Iterable[Shot]) -> list[Match]:
    """Pair what was taken within a second with the same number or the next one, where there is one way to do it.

    Args:
        infrared: pictures without a partner of the same name.
        visible: the same of the other side.
        numbered_alike: pictures that have one: in their series the partner has the same number, so that a neighbouring
            one belongs to another picture.

    Returns:
        Places in ``infrared`` and ``visible``.
    """
    alike = {shot.series for shot in numbered_alike}
    sides: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, shots in enumerate((infrared, visible)):
        for place, shot in enumerate(shots):
            sides[shot.series][side].append(place)
    pairs: list[Match] = []
    for series, (first, second) in sides.items():
        if first and second:
            steps = (0,) if series in alike or "<number>" not in series else _STEPS
            pairs += _match_series(infrared, visible, first, second, steps, untimed=series not in alike)
    return pairs


def _match_series(
    infrared: Sequence[Shot],
    visible: Sequence[Shot],
    first: Sequence[int],
    second: Sequence[int],
    steps: Sequence[int],
    untimed: bool,
) -> list[Match]:
    """Pairs with a single candidate on either side; else those of the one step that leaves nothing over on a side."""
    by_number: dict[int | None, list[int]] = defaultdict(list)
    for place in second:
        by_number[visible[place].number].append(place)
    found = {
        step: [
            (i, v)
            for i in first
            for v in by_number[_stepped(infrared[i].number, step)]
            if _close(infrared[i], visible[v], untimed)
        ]
        for step in steps
    }
    everything = list(dict.fromkeys(match for matches in found.values() for match in matches))
    if _unambiguous(everything):
        return everything
    whole = [
        matches
        for matches in found.values()
        if _unambiguous(matches) and len(matches) == min(len(first), len(second)) and matches
    ]
    return whole[0] if len(whole) == 1 else _single(everything)


def _stepped(number: int | None, step: int) -> int | None:
    return None if number is None else number + step


def _close(infrared: Shot, visible: Shot, untimed: bool) -> bool:
    """Whether two pictures of a series, whose numbers fit, were taken at one time as far as their names say."""
    if infrared.second is None or visible.second is None:
        return infrared.second is visible.second and untimed
    # Without a number the second alone tells them apart, which is not enough where others have the very same one.
    return abs(infrared.second - visible.second) <= 1 and (infrared.number is not None or untimed)


def _unambiguous(matches: Sequence[Match]) -> bool:
    return all(len({match[side] for match in matches}) == len(matches) for side in (0, 1))


def _single(matches: Sequence[Match]) -> list[Match]:
    """Matches whose two pictures occur in no other."""
    seen: tuple[dict[int, int], dict[int, int]] = (defaultdict(int), defaultdict(int))
    for match in matches:
        for side, place in enumerate(match):
            seen[side][place] += 1
    return [(i, v) for i, v in matches if seen[0][i] == 1 and seen[1][v] == 1]
