"""Whether a transform is right: how many blocks of two pictures find each other where it says."""

from __future__ import annotations

import numpy as np

from imfuse.registration.features import Float
from imfuse.registration.refine import Level
from imfuse.registration.transform import Transform, corners_of

_STRIDE, _REACH, _CLOSE = 10, 8, 2
"""Pixels of the working size: distance of the blocks, which are twice as wide, how far each is looked for, and how far
from where the transform says it may be found. By chance 13 of 289 places are close enough: 4 % of the blocks."""
_AREAS = (0.25, 4.0)
"""Areas that the moving picture may have in the fixed one, of that of the fixed one."""


def agreement(level: Level, transform: Transform) -> float:
    """Share of the blocks of the fixed picture that are most like the moving one where the transform brings it.

    Each block is compared with the moved picture at all shifts of up to 8 pixels, on its own, so that a wrong transform
    gets little of this share, however well the pictures as wholes correlate.

    Args:
        level: the pair, best with 160 pixels on the longer side.
        transform: from its moving picture to its fixed one.

    Returns:
        Of all blocks; of those that a smaller moving picture could cover where it covers less of the scene. 0 where the
        transform enlarges, shrinks or folds the picture beyond what two cameras do.
    """
    area = _area(level, transform)
    if not _AREAS[0] <= area <= _AREAS[1]:
        return 0.0
    fixed = level.fixed.numpy()
    moved, inside = (part.numpy() for part in level.warped(transform))
    moved = np.pad(moved * inside, ((0, 0), (_REACH, _REACH), (_REACH, _REACH)))
    height, width = inside.shape
    energy, moved_energy = _blocks((fixed**2).sum(0)), (moved**2).sum(0)
    scores, steps = [], range(2 * _REACH + 1)
    for y in steps:
        for x in steps:
            there = np.s_[y : y + height, x : x + width]
            together = np.einsum("chw,chw->hw", fixed, moved[:, there[0], there[1]])
            scores.append(_blocks(together) / np.sqrt(energy * _blocks(moved_energy[there]) + 1e-9))
    y, x = np.divmod(np.argmax(scores, axis=0), len(steps))
    close = (np.hypot(y - _REACH, x - _REACH) <= _CLOSE) & (_blocks(inside.astype(np.float32)) > 0.99)
    return float(close.sum() / (close.size * min(1.0, area)))


def _blocks(image: Float) -> Float:
    """Means of an image (H, W) over blocks that overlap by half."""
    rows, columns = (side // _STRIDE for side in image.shape)
    cells = image[: rows * _STRIDE, : columns * _STRIDE].reshape(rows, _STRIDE, columns, _STRIDE).mean((1, 3))
    return np.asarray((cells[1:, 1:] + cells[:-1, 1:] + cells[1:, :-1] + cells[:-1, :-1]) / 4, np.float32)


def _area(level: Level, transform: Transform) -> float:
    """Of the moving picture in the fixed one, of that of the fixed one; 0 where its corners are not in order."""
    small = level.small(transform)
    height, width = level.moving.shape[1:]
    x, y = small.apply(corners_of((height, width))).T
    if not np.isfinite(x).all():
        return 0.0
    sides = np.roll(x, -1) - x, np.roll(y, -1) - y
    turns = sides[0] * np.roll(sides[1], -1) - sides[1] * np.roll(sides[0], -1)
    if not (turns > 0).all():
        return 0.0
    doubled = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
    return doubled / 2 / (level.fixed.shape[1] * level.fixed.shape[2])
