"""A first transform from nothing: every shift, a range of sizes and angles, pooled over frames."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import fft

from imfuse.registration._structure import Picture, seen_by_visible, shrunk, structure
from imfuse.registration.transform import Transform, corners_of

_SIDE = 96
"""Longer side of the visible picture in the search, in pixels."""
_SCALES = tuple(1.07**power for power in range(-9, 10))
_ANGLES = (0.0, 4.0, -4.0, 8.0, -8.0, 12.0, -12.0)
_LEAST_OVERLAP = 0.35
_MOST_FRAMES = 6
Floats = npt.NDArray[np.float32]


def coarse(infrared: Sequence[Picture], visible: Sequence[Picture], most: int = 4) -> list[Transform]:
    """Similarities under which the edges of all frames agree best.

    Both cameras are at first thought to show one field; sizes from a half to twice that and angles to 14 degrees are
    looked at.

    Args:
        infrared: frames of one camera, of one size.
        visible: those of the other at the same times.
        most: how many are returned.

    Returns:
        Transforms between the pictures at their own sizes; the best first, each several pixels of the search from the
        others.
    """
    chosen = np.unique(np.linspace(0, len(visible) - 1, min(len(visible), _MOST_FRAMES)).round().astype(int))
    small = [shrunk(visible[index], _SIDE / max(visible[index].shape)) for index in chosen]
    fine = [shrunk(infrared[index], 2 * _SIDE / max(infrared[index].shape)) for index in chosen]
    size, own = small[0].shape, fine[0].shape
    search = _Search(small)
    found = [
        search.best(fine, _centred(own, size, scale, angle)) for scale, angle in itertools.product(_SCALES, _ANGLES)
    ]
    kept: list[Transform] = []
    for _, transform in sorted(found, key=lambda one: -one[0]):
        if all(_apart(transform, other, own) > 3 for other in kept):
            kept.append(transform)
        if len(kept) == most:
            break
    moving = tuple(whole / side for whole, side in zip(infrared[0].shape[::-1], own[::-1], strict=True))
    fixed = tuple(whole / side for whole, side in zip(visible[0].shape[::-1], size[::-1], strict=True))
    return [one.scaled((moving[0], moving[1]), (fixed[0], fixed[1])) for one in kept]


class _Search:
    """The spectra of the visible frames, which every shift is found by."""

    def __init__(self, visible: Sequence[Picture]) -> None:
        height, width = visible[0].shape
        self.size = height, width
        # Room for the infrared beside the visible picture, so that shifts do not wrap round.
        self.room = fft.next_fast_len(2 * height + 16), fft.next_fast_len(2 * width + 16)
        edges = [structure(one) for one in visible]
        self.spectra = [fft.fft2(one, self.room) for one in edges]
        power = sum(np.abs(one) ** 2 for one in edges)
        self.power = fft.rfft2(power, self.room)
        self.mask = fft.rfft2(np.ones(self.size, np.float32), self.room)

    def best(self, infrared: Sequence[Picture], transform: Transform) -> tuple[float, Transform]:
        """The best score of all shifts after a transform, and it with this shift."""
        height, width = self.room
        origin = np.array([height - self.size[0], width - self.size[1]]) // 2
        moved = _shift(origin[1], origin[0]).after(transform)
        edges = [seen_by_visible(one, moved, self.room) for one in infrared]
        common = fft.ifft2(
            sum(np.conj(fft.fft2(one)) * spectrum for one, spectrum in zip(edges, self.spectra, strict=True))
        ).real
        ones = np.ones(infrared[0].shape, np.float32)
        mask = _warped(ones, moved, self.room)
        power = np.sum([np.abs(one) ** 2 for one in edges], axis=0)
        own = fft.irfft2(np.conj(fft.rfft2(power)) * self.mask, self.room)
        other = fft.irfft2(np.conj(fft.rfft2(mask)) * self.power, self.room)
        overlap = fft.irfft2(np.conj(fft.rfft2(mask)) * self.mask, self.room)
        share = overlap / min(mask.sum(), self.size[0] * self.size[1])
        score = common / np.sqrt(np.maximum(own * other, 1e-6)) * np.sqrt(np.maximum(share, 0))
        score[share < _LEAST_OVERLAP] = -1
        down, across = np.unravel_index(int(score.argmax()), self.room)
        y, x = (_signed(int(place), side) for place, side in ((down, height), (across, width)))
        return float(score[down, across]), _shift(x, y).after(moved)


def _warped(ones: Floats, transform: Transform, room: tuple[int, int]) -> Floats:
    import cv2

    return cast("Floats", cv2.warpPerspective(ones, transform.matrix, room[::-1], flags=cv2.INTER_NEAREST))


def _signed(place: int, side: int) -> int:
    return place - side if place > side // 2 else place


def _centred(moving: tuple[int, ...], fixed: tuple[int, ...], scale: float, angle: float) -> Transform:
    """The moving picture as wide or high as the fixed one, in its middle, then enlarged and turned."""
    factor = scale * max(fixed[0] / moving[0], fixed[1] / moving[1])
    turn = np.deg2rad(angle)
    linear = factor * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = np.eye(3)
    middle = [(np.array(shape[1::-1]) - 1) / 2 for shape in (moving, fixed)]
    matrix[:2, :2], matrix[:2, 2] = linear, middle[1] - linear @ middle[0]
    return Transform(matrix, "similarity")


def _shift(x: float, y: float) -> Transform:
    return Transform(np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]), "shift")


def _apart(first: Transform, second: Transform, size: tuple[int, ...]) -> float:
    corners = corners_of((size[0], size[1]))
    return float(np.linalg.norm(first.apply(corners) - second.apply(corners), axis=1).mean())
