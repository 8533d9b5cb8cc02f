"""One transform for two fixed cameras, from many frames of them.

Edges of single frames often agree where they should not: a person is warm and not bright, a shadow dark and not cold.
What the cameras share adds up over frames, chance does not, so that agreement is summed over frames before it is looked
for: all shifts, sizes and angles of small pictures first, then blocks of larger ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import RegistrationError
from imfuse.registration._ascent import projected, refined
from imfuse.registration._coarse import coarse
from imfuse.registration._pooling import Agreement, peak
from imfuse.registration._structure import Picture, seen_by_visible, shrunk, structure
from imfuse.registration.transform import MODELS, Model, Transform

_LEVELS = (256, 512, 1024)
"""Longer side of the visible picture, from coarse to fine."""
_LADDER: tuple[Model, ...] = ("shift", "similarity", "affine", "homography")
_CANDIDATES, _MOST_CLIMBING = 2, 12
_FOLDS, _ZONES = 4, 4
LEAST_AGREEMENT = 0.3
"""Agreement of frames that did not choose the transform, in standard deviations, below which nothing is believed."""
LEAST_FRAME = 0.1
MOST_OFF = 6.0
"""How far a frame may lie from the others: pixels of a visible picture that is 512 wide."""


@dataclass(frozen=True)
class FromFrames:
    """A transform from frames, and what speaks for it.

    Args:
        transform: from infrared to visible.
        residual: mean distance, in pixels of the visible picture, at which parts of the picture agree best from where
            they should: what depth and noise leave.
        agreement: mean agreement of frames that had no part in the choice, in standard deviations of chance.
        dropped: frames that were left out, by their place, each with the reason.

    Example:
        ```python
        found = transform_of_frames(infrared, visible)
        ```
    """

    transform: Transform
    residual: float
    agreement: float
    dropped: dict[int, str]


def transform_of_frames(
    infrared: Sequence[Picture], visible: Sequence[Picture], model: Model | None = None
) -> FromFrames:
    """Find how two fixed cameras lie to one another.

    Args:
        infrared: luminances in [0, 1] of at least two frames, of one size.
        visible: those of the other camera at the same times, of one size, which may be another.
        model: the freedom; left out: the least with which frames that had no part in the estimate are as well aligned
            as with more, within one standard error.

    Returns:
        The transform, and what speaks for it.

    Raises:
        RegistrationError: the frames do not agree on one.

    Example:
        ```python
        found = transform_of_frames(infrared, visible)
        print(found.transform.model, found.residual)
        ```
    """
    if len(infrared) != len(visible) or len(infrared) < 2:
        raise RegistrationError(f"{len(infrared)} and {len(visible)} frames: at least 2 of each camera are needed")
    start = _climbed(infrared, visible)
    last = _Level.of(infrared, visible, start, _LEVELS[-1])
    kept, dropped = _agreeing(last, np.arange(len(visible)))
    if len(kept) < 2:
        raise RegistrationError("the frames do not agree with one another: two cameras that are fixed are expected")
    if dropped:
        rest = [[side[index] for index in kept] for side in (infrared, visible)]
        start, _ = _improved(rest[0], rest[1], start, _LEVELS[-2])
        last = _Level.of(infrared, visible, start, _LEVELS[-1])
    choice = _chosen(last, kept, model)
    if choice.agreement < LEAST_AGREEMENT:
        raise RegistrationError(
            f"the edges of {len(kept)} frames agree by {choice.agreement:.2f} standard deviations where at least "
            f"{LEAST_AGREEMENT} are expected: nothing shows how the cameras lie",
            "give more frames with more in them that both cameras see",
            "give points=... or board=...",
        )
    return replace(choice, dropped=dropped)


@dataclass(frozen=True)
class _Level:
    """The agreement of frames at one size of work, and the way back from there."""

    agreement: Agreement
    infrared_size: tuple[int, int]
    back: tuple[tuple[float, float], tuple[float, float]]

    @classmethod
    def of(cls, infrared: Sequence[Picture], visible: Sequence[Picture], start: Transform, side: int) -> _Level:
        """Visible pictures with that longer side, infrared ones as large as they are shown there."""
        factor = min(1.0, side / max(visible[0].shape))
        spans = abs(float(np.linalg.det(start.matrix[:2, :2]))) ** 0.5
        # Where pixels are as large in both, they stay so, which a shift needs.
        spans = 1.0 if abs(spans - 1) < 0.1 else spans
        small = [shrunk(one, factor * spans) for one in infrared], [shrunk(one, factor) for one in visible]
        there, back = (
            [_factors(one[0].shape, other[0].shape) for one, other in zip(first, second, strict=True)]
            for first, second in ((small, (infrared, visible)), ((infrared, visible), small))
        )
        size, own = small[1][0].shape, small[0][0].shape
        begin = start.scaled(there[0], there[1])
        seen = [seen_by_visible(one, begin, (size[0], size[1])) for one in small[0]]
        agreement = Agreement(seen, [structure(one) for one in small[1]], begin)
        return cls(agreement, (own[0], own[1]), (back[0], back[1]))

    def out(self, transform: Transform) -> Transform:
        """A transform of this level for the pictures themselves."""
        return transform.scaled(*self.back)


def _factors(shape: tuple[int, ...], whole: tuple[int, ...]) -> tuple[float, float]:
    return shape[1] / whole[1], shape[0] / whole[0]


def _climbed(infrared: Sequence[Picture], visible: Sequence[Picture]) -> Transform:
    """From nothing to a homography at all sizes but the last, by some of the frames."""
    chosen = np.unique(np.linspace(0, len(visible) - 1, min(len(visible), _MOST_CLIMBING)).round().astype(int))
    infrared, visible = ([side[index] for index in chosen] for side in (infrared, visible))
    starts = [_improved(infrared, visible, one, 128) for one in coarse(infrared, visible, _CANDIDATES)]
    seconds = [_improved(infrared, visible, one, _LEVELS[0]) for one, _ in starts]
    best, _ = max(seconds, key=lambda one: one[1])
    for side in _LEVELS[1:-1]:
        if side <= max(visible[0].shape):
            best, _ = _improved(infrared, visible, best, side)
    return best


def _improved(
    infrared: Sequence[Picture], visible: Sequence[Picture], start: Transform, side: int
) -> tuple[Transform, float]:
    """A transform after one or two rounds at one size, and its agreement: warped anew, more of the edges agree."""
    transform, value = start, 0.0
    for _ in range(2):
        level = _Level.of(infrared, visible, transform, side)
        pooled, found = level.agreement.of(range(len(visible))), level.agreement.start
        for model in _LADDER[1:]:
            found = refined(pooled, found, model)
        transform, value = level.out(found), pooled.value(found)
        if np.abs(pooled.displacements(found)).max() < 2:
            break
    return transform, value


def _agreeing(level: _Level, frames: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], dict[int, str]]:
    """Which frames agree with the transform that all of them gave, and why others do not."""
    dropped: dict[int, str] = {}
    width = max(level.agreement.size)
    for index in frames:
        surface = level.agreement.surfaces[index].mean(axis=0)
        reach = (len(surface) - 1) // 2
        at = surface[reach - 1 : reach + 2, reach - 1 : reach + 2].max()
        best = peak(surface)
        off = float(np.hypot(best.x, best.y))
        if at < LEAST_FRAME:
            where = f", and most {off * level.back[1][0]:.0f} px from there" if best.agreement > 3 * LEAST_FRAME else ""
            dropped[int(index)] = f"its edges agree by {at:.2f} standard deviations, {LEAST_FRAME} are expected{where}"
        elif off > MOST_OFF * width / 512 and best.agreement > 1.2 * at:
            dropped[int(index)] = f"it lies {off * level.back[1][0]:.0f} px from the other frames"
    return np.array([index for index in frames if index not in dropped], np.intp), dropped


def _chosen(level: _Level, frames: npt.NDArray[np.intp], model: Model | None) -> FromFrames:
    """The transform of a model, or of the simplest one that is not worse on frames which were held out."""
    models = [model] if model is not None else [one for one in MODELS if one == "identity" or one in _LADDER]
    folds = [frames[start :: min(_FOLDS, len(frames))] for start in range(min(_FOLDS, len(frames)))]
    scores = np.array([_held_out(level, frames, folds, one) for one in models])
    best = int(scores.mean(axis=1).argmax())
    worse = scores[best] - scores
    error = worse.std(axis=1, ddof=1) / len(frames) ** 0.5
    chosen = int(np.flatnonzero(worse.mean(axis=1) <= error)[0])
    pooled = level.agreement.of(frames)
    transform = _fitted(level, frames, models[chosen])
    zones = [one for one in pooled.zones(transform, _ZONES).values() if one.agreement > LEAST_AGREEMENT]
    off = float(np.mean([np.hypot(one.x, one.y) for one in zones])) if zones else 0.0
    residual = off * max(level.back[1])
    return FromFrames(level.out(transform), residual, float(scores[chosen].mean()), {})


def _held_out(
    level: _Level, frames: npt.NDArray[np.intp], folds: Sequence[npt.NDArray[np.intp]], model: Model
) -> npt.NDArray[np.float64]:
    """The agreement of each frame with the transform of the others."""
    scores = []
    for fold in folds:
        transform = _fitted(level, np.setdiff1d(frames, fold), model)
        scores += [level.agreement.of([index]).value(transform) for index in fold]
    return np.array(scores)


def _fitted(level: _Level, frames: npt.NDArray[np.intp], model: Model) -> Transform:
    """The transform of a model for some frames. ``level.out`` of an identity is one where both pictures are alike."""
    start = projected(level.agreement.start, level.infrared_size, model)
    return refined(level.agreement.of(frames), start, model)
