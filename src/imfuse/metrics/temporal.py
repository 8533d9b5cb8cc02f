"""How steady a fused sequence is beside its sources: flicker, pumping, and consistency along the motion.

Pictures are gray levels 0..255, (H, W). Every value compares a frame with the one before it; ``docs/metrics`` has the
formulas. The motion is that of blocks, by full search over both sources together (the classic of Jain and Jain, IEEE
Trans. Commun. 1981), and never of the fused picture, which cannot hide its flicker behind it. The warping error is that
of Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, in absolute levels and with such motion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from imfuse.core.errors import MetricError

Levels: TypeAlias = NDArray[np.uint8]
_Blocks: TypeAlias = NDArray[np.floating[Any]]

BLOCK = 16
REACH = 8
"""Blocks of so many pixels a side are searched for so many pixels in all directions."""

_SHIFTS = sorted(
    ((down, right) for down in range(-REACH, REACH + 1) for right in range(-REACH, REACH + 1)),
    key=lambda shift: (shift[0] ** 2 + shift[1] ** 2, shift),
)


class FrameChange(NamedTuple):
    """How a fused frame differs from the one before it, in gray levels.

    Args:
        change: mean change of the fused pixels.
        source_change: mean over the pixels of the larger change of the two sources.
        flicker: mean over the pixels of what the fused one changes beyond the larger change of the sources.
        pump: change of the mean level of the frame beyond the larger one of the sources.
        warping: mean change of the fused pixels along the motion of the sources.
        inconsistency: mean over the blocks of what that is beyond the larger one of the sources.

    Example:
        >>> FrameChange(3.0, 2.0, 1.2, 0.5, 1.5, 0.1).flicker
        1.2
    """

    change: float
    source_change: float
    flicker: float
    pump: float
    warping: float
    inconsistency: float


class TemporalMeter:
    """Measures fused sequences frame by frame; it keeps one frame of each.

    Example:
        >>> still, meter = np.full((32, 32), 90, np.uint8), TemporalMeter()
        >>> for level in (100, 104):
        ...     meter.add({"ours": np.full((32, 32), level, np.uint8)}, still, still)
        >>> meter.curves["ours"][0].flicker
        4.0
    """

    def __init__(self) -> None:
        self.curves: dict[str, list[FrameChange]] = {}
        """What each method did from frame to frame, under its name: one less than there are frames."""
        self._before: tuple[dict[str, Levels], Levels, Levels] | None = None

    def add(self, fused: Mapping[str, Levels], infrared: Levels, visible: Levels) -> None:
        """Take the next frame.

        Args:
            fused: the frame of each method, by its name; the same names in every frame.
            infrared: the frame of one source.
            visible: the frame of the other.

        Raises:
            MetricError: a frame is not (H, W) uint8, has another size than the others or the one before, or is smaller
                than a block.
        """
        for name, picture in {**fused, "infrared": infrared, "visible": visible}.items():
            _check(name, picture, infrared.shape if self._before is None else self._before[1].shape)
        if self._before is not None:
            last, last_infrared, last_visible = self._before
            sources = _Change((infrared, visible), (last_infrared, last_visible))
            for method, picture in fused.items():
                if method not in last:
                    raise MetricError(f"{method}: is new in this frame; every frame needs the same methods")
                self.curves.setdefault(method, []).append(sources.of(picture, last[method]))
        self._before = dict(fused), infrared, visible


def temporal_summary(curve: list[FrameChange]) -> FrameChange:
    """Means over a sequence.

    Args:
        curve: of a method, as :class:`TemporalMeter` has it.

    Returns:
        The mean of each value.

    Raises:
        MetricError: there is no change to speak of, as of a single frame.

    Example:
        >>> temporal_summary([FrameChange(3, 2, 1, 0, 2, 0), FrameChange(5, 2, 3, 0, 2, 0)]).flicker
        2.0
    """
    if not curve:
        raise MetricError("a sequence of one frame has no change; at least two are needed")
    return FrameChange(*np.mean(np.array(curve, np.float64), axis=0).tolist())


class _Change:
    """What the sources did between two frames."""

    def __init__(self, now: tuple[Levels, Levels], before: tuple[Levels, Levels]) -> None:
        pairs = list(zip(now, before, strict=True))
        self.pixels = np.maximum(*(cv2.absdiff(*pair) for pair in pairs)).astype(np.float64)
        self.level = max(abs(float(one.mean()) - float(other.mean())) for one, other in pairs)
        self.motion = block_motion(now, before)
        self.warped = np.maximum(*(along_motion(one, other, self.motion) for one, other in pairs))

    def of(self, now: Levels, before: Levels) -> FrameChange:
        change = cv2.absdiff(now, before).astype(np.float64)
        warped = along_motion(now, before, self.motion)
        level = abs(float(now.mean()) - float(before.mean()))
        return FrameChange(
            float(change.mean()),
            float(self.pixels.mean()),
            float(np.maximum(change - self.pixels, 0).mean()),
            max(0.0, level - self.level),
            float(warped.mean()),
            float(np.maximum(warped - self.warped, 0).mean()),
        )


def block_motion(now: tuple[Levels, Levels], before: tuple[Levels, Levels]) -> NDArray[np.intp]:
    """Where each whole block of both sources was in the frame before: rows and columns to add, (h, w, 2).

    The shift with the least sum of absolute differences is taken, of equal ones the shortest; one that would leave the
    picture is none.

    Args:
        now: infrared and visible frame.
        before: the same, one frame earlier.

    Returns:
        Shifts in whole pixels, of at most ``REACH``.

    Example:
        >>> before = np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8)
        >>> now = np.roll(before, (2, -3), (0, 1))
        >>> block_motion((now, now), (before, before))[1, 1].tolist()
        [-2, 3]
    """
    rows, columns = (size // BLOCK for size in now[0].shape)
    best = np.full((rows, columns), np.inf, np.float32)
    motion = np.zeros((rows, columns, 2), np.intp)
    tops, lefts = np.arange(rows)[:, None] * BLOCK, np.arange(columns)[None] * BLOCK
    height, width = now[0].shape
    for down, right in _SHIFTS:
        moved = (_moved(picture, down, right) for picture in before)
        difference = sum(_block_means(cv2.absdiff(one, other)) for one, other in zip(now, moved, strict=True))
        inside = (tops + down >= 0) & (tops + down + BLOCK <= height)
        inside = inside & (lefts + right >= 0) & (lefts + right + BLOCK <= width)
        better = inside & (difference < best)
        best = np.where(better, difference, best)
        motion[better] = down, right
    return motion


def along_motion(now: Levels, before: Levels, motion: NDArray[np.intp]) -> _Blocks:
    """Mean absolute change of each block against where it was.

    Args:
        now: a frame.
        before: the one before it.
        motion: of :func:`block_motion`.

    Returns:
        One value for each whole block, (h, w), in levels.

    Example:
        >>> before = np.full((16, 32), 90, np.uint8)
        >>> along_motion(before + 5, before, np.zeros((1, 2, 2), np.intp)).tolist()
        [[5.0, 5.0]]
    """
    shifts = motion.repeat(BLOCK, 0).repeat(BLOCK, 1)
    height, width = shifts.shape[:2]
    rows, columns = np.indices((height, width))
    return _block_means(cv2.absdiff(now[:height, :width], before[rows + shifts[..., 0], columns + shifts[..., 1]]))


def _moved(picture: Levels, down: int, right: int) -> Levels:
    """The picture whose pixel (y, x) is (y + down, x + right); what comes from outside is of no use."""
    return np.asarray(np.roll(picture, (-down, -right), (0, 1)), np.uint8)


def _block_means(difference: Any) -> _Blocks:
    rows, columns = (size // BLOCK for size in difference.shape)
    whole = difference[: rows * BLOCK, : columns * BLOCK].astype(np.float32)
    # The mean of whole blocks is what an area average by a whole factor is.
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float64)


def _check(name: str, picture: Levels, shape: tuple[int, ...]) -> None:
    if picture.ndim != 2 or picture.dtype != np.uint8:
        raise MetricError(f"{name}: (H, W) uint8 is expected of a frame, found {picture.shape} {picture.dtype}")
    if picture.shape != shape:
        raise MetricError(f"{name}: a frame of {picture.shape} among frames of {shape}")
    if min(picture.shape) < BLOCK:
        raise MetricError(f"{name}: frames of at least {BLOCK}x{BLOCK} are needed, found {picture.shape}")
