"""Whether a transform is right: how many blocks of two pictures find each other where it says."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.registration.refine import Level
from imfuse.registration.transform import Transform, corners_of

_BLOCK, _STRIDE, _REACH, _CLOSE = 20, 10, 8, 2
"""Pixels of the working size: side and distance of the blocks, how far each is looked for, and how far from where the
transform says it may be found. By chance 13 of 289 places are close enough: 4 % of the blocks."""
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
    moved, inside = level.warped(transform)
    moved = moved * inside
    energy = _blocks((level.fixed**2).sum(0))
    scores = []
    shifts = [(y, x) for y in range(-_REACH, _REACH + 1) for x in range(-_REACH, _REACH + 1)]
    for shift in shifts:
        there = torch.roll(moved, shift, (1, 2))
        scores.append(_blocks((level.fixed * there).sum(0)) / torch.sqrt(energy * _blocks((there**2).sum(0)) + 1e-6))
    distances = torch.tensor(shifts, dtype=torch.float32).norm(dim=1)[torch.stack(scores).argmax(0)]
    close = (distances <= _CLOSE) & (_blocks(inside.float()) > 0.99)
    return float(close.sum() / (close.numel() * min(1.0, area)))


def _blocks(image: Tensor) -> Tensor:
    """Means of an image (H, W) over the blocks."""
    return F.avg_pool2d(image[None, None], _BLOCK, _STRIDE)[0, 0]


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
