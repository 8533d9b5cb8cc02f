"""Frames of two cameras of any rates, paired by their times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imfuse.core.errors import VideoError
from imfuse.video.frames import Frame

MAX_GAP = 0.1
"""Seconds that two frames of a pair may lie apart."""


@dataclass
class PairCounts:
    """What became of the frames so far.

    Args:
        paired: visible frames with a partner; each is fused.
        dropped_visible: visible frames without an infrared one near enough.
        dropped_infrared: infrared frames that no visible one was nearest to.
        late: frames of either side that came behind a later one of theirs, left out.
        widest: the most that the two of a pair lay apart, in seconds.
        seconds: time of the last visible frame that was paired.

    Example:
        >>> import numpy as np
        >>> counts = PairCounts()
        >>> first, second = ([Frame(np.zeros((1, 1)), time) for time in times] for times in ((0.0, 0.1), (0.0, 0.5)))
        >>> len(list(pair_frames(first, second, counts=counts))), counts.paired
        (1, 1)
    """

    paired: int = 0
    dropped_visible: int = 0
    dropped_infrared: int = 0
    late: int = 0
    widest: float = 0.0
    seconds: float = 0.0


def pair_frames(
    infrared: Iterable[Frame], visible: Iterable[Frame], max_gap: float = MAX_GAP, counts: PairCounts | None = None
) -> Iterator[tuple[Frame, Frame]]:
    """Give each visible frame the infrared one that was taken nearest to it.

    An infrared frame serves several visible ones where its camera is the slower. It ends with the shorter of the two.

    Args:
        infrared: frames by their times.
        visible: as well.
        max_gap: a visible frame without an infrared one within so many seconds is dropped.
        counts: what is counted.

    Returns:
        Pairs, infrared first, as the visible frames come.

    Raises:
        VideoError: ``max_gap`` is no positive number.

    Example:
        >>> import numpy as np
        >>> slow, fast = ([Frame(np.zeros((1, 1)), i / rate) for i in range(n)] for n, rate in ((3, 10), (6, 20)))
        >>> [(round(a.time, 2), round(b.time, 2)) for a, b in pair_frames(slow, fast)][:4]
        [(0.0, 0.0), (0.0, 0.05), (0.1, 0.1), (0.1, 0.15)]
    """
    if not (max_gap >= 0 and math.isfinite(max_gap)):
        raise VideoError(f"max_gap={max_gap!r}: seconds are expected")
    return _pairs(infrared, visible, max_gap, PairCounts() if counts is None else counts)


def _pairs(
    infrared: Iterable[Frame], visible: Iterable[Frame], max_gap: float, counts: PairCounts
) -> Iterator[tuple[Frame, Frame]]:
    others = _on_time(infrared, counts)
    near, following, used = next(others, None), next(others, None), False
    for frame in _on_time(visible, counts):
        if near is None:
            return
        while following is not None and abs(following.time - frame.time) < abs(near.time - frame.time):
            counts.dropped_infrared += not used
            near, following, used = following, next(others, None), False
        gap = abs(near.time - frame.time)
        if gap <= max_gap + 1e-9:
            used = True
            counts.paired += 1
            counts.widest, counts.seconds = max(counts.widest, gap), frame.time
            yield near, frame
        elif following is None and frame.time > near.time:
            return
        else:
            counts.dropped_visible += 1


def _on_time(frames: Iterable[Frame], counts: PairCounts) -> Iterator[Frame]:
    last = -math.inf
    for frame in frames:
        if frame.time <= last:
            counts.late += 1
            continue
        last = frame.time
        yield frame
