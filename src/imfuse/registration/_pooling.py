"""How well a transform agrees with the edges of frames: blocks of the visible picture, looked for in the infrared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from imfuse.registration._structure import Structure
from imfuse.registration.transform import Points, Transform

_BLOCK, _REACH = 32, 16
_PATCH = _BLOCK + 2 * _REACH
_MOST_BLOCKS = 400
_SIDE = 2 * _REACH + 1
_EDGE = 1.0
"""How far from the edge of a surface it is read at most, so that its spline does not reach into the next one."""
Floats = npt.NDArray[np.float32]
Frames = Sequence[int] | npt.NDArray[np.intp]


class Best(NamedTuple):
    """Where edges agree best, in pixels from where they should, and by how many standard deviations of chance."""

    x: float
    y: float
    agreement: float


class Agreement:
    """Correlations of the edges of blocks at every displacement to 16 pixels round a first transform.

    Each surface, of one block in one frame, is given the mean 0 and the deviation 1, so that neither strong edges nor
    noise count more than others; what blocks see in common then adds up over blocks and frames, and chance does not.

    Args:
        infrared: edges of frames of one camera, as the first transform puts them into the pictures of the other.
        visible: edges of those, of the same size.
        start: the first transform, from infrared to visible.
    """

    def __init__(self, infrared: Iterable[Structure], visible: Iterable[Structure], start: Transform) -> None:
        self.start = start
        pairs = list(zip(infrared, visible, strict=True))
        self.size = pairs[0][1].shape[0], pairs[0][1].shape[1]
        corners = _corners(self.size)
        self.centres: Points = corners[:, ::-1].astype(np.float64) + (_BLOCK - 1) / 2
        surfaces = [_standardised(_correlations(second, first, corners)) for first, second in pairs]
        self.surfaces = np.stack(surfaces)
        self.splines = np.stack([_spline(one) for one in surfaces])

    def of(self, frames: Frames) -> Pooled:
        """That of some frames."""
        return Pooled(self, np.asarray(frames, np.intp))


class Pooled:
    """The mean agreement of some frames, for any transform near the first one."""

    def __init__(self, whole: Agreement, frames: npt.NDArray[np.intp]) -> None:
        self.whole, self.frames = whole, frames
        # Blocks one below the other: SciPy's splines are of all axes of an array, and blocks are none of them.
        self.sheet = whole.splines[frames].mean(axis=0).reshape(-1, _SIDE)
        self.rows = np.arange(len(whole.centres)) * _SIDE

    def blocks(self, transform: Transform) -> npt.NDArray[np.float64]:
        """Agreement of each block, in standard deviations."""
        x, y = self.displacements(transform).T
        y, x = (np.clip(side + _REACH, _EDGE, _SIDE - 1 - _EDGE) for side in (y, x))
        return np.asarray(ndimage.map_coordinates(self.sheet, [self.rows + y, x], prefilter=False), np.float64)

    def displacements(self, transform: Transform) -> Points:
        """(B, 2): where the infrared as it was warped shows the centre of each block, if a transform is right."""
        centres = self.whole.centres
        moved = self.whole.start.apply(transform.inverse().apply(centres)) - centres
        return np.where(np.isfinite(moved), moved, 1e6)

    def value(self, transform: Transform) -> float:
        """The mean over all blocks."""
        return float(self.blocks(transform).mean())

    def zones(self, transform: Transform, count: int) -> dict[tuple[int, int], Best]:
        """Where the edges of parts of the picture agree best, ``count`` by ``count`` of them.

        Args:
            transform: what says where they should.
            count: rows, and columns, of parts.

        Returns:
            By row and column: the best place from where the transform says, which depth moves, and the agreement there.
        """
        surfaces, moved = self.whole.surfaces[self.frames].mean(axis=0), self.displacements(transform)
        height, width = self.whole.size
        x, y = self.whole.centres.T
        places = np.stack([y * count // height, x * count // width], axis=1).astype(int)
        found = {}
        for row, column in sorted(set(map(tuple, places.tolist()))):
            part = (places == (row, column)).all(axis=1)
            x, y, agreement = peak(surfaces[part].mean(axis=0))
            across, down = moved[part].mean(axis=0)
            found[row, column] = Best(x - float(across), y - float(down), agreement)
        return found


def peak(surface: Floats) -> Best:
    """Where a surface is highest, from its middle, to a part of a pixel."""
    down, across = np.unravel_index(int(surface.argmax()), surface.shape)
    row, column = (int(np.clip(place, 1, len(surface) - 2)) for place in (down, across))
    x = across + _vertex(*surface[row, column - 1 : column + 2]) * (column == across)
    y = down + _vertex(*surface[row - 1 : row + 2, column]) * (row == down)
    return Best(float(x) - _REACH, float(y) - _REACH, float(surface.max()))


def _vertex(before: float, at: float, after: float) -> float:
    """Where a parabola through three values is highest, from the middle one, which is the highest of them."""
    bend = before - 2 * at + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _corners(size: tuple[int, int]) -> npt.NDArray[np.intp]:
    """Upper left corners (row, column) of the blocks."""
    step = max(_BLOCK // 2, round((size[0] * size[1] / _MOST_BLOCKS) ** 0.5))
    rows, columns = (np.arange(0, max(1, side - _BLOCK + 1), step) for side in size)
    return cast("npt.NDArray[np.intp]", np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2))


def _correlations(visible: Structure, infrared: Structure, corners: npt.NDArray[np.intp]) -> Floats:
    """(B, 33, 33), of one frame."""
    inner = np.pad(visible, ((0, _BLOCK), (0, _BLOCK)))
    outer = np.pad(infrared, ((_REACH, _PATCH), (_REACH, _PATCH)))
    small, large = (
        np.lib.stride_tricks.sliding_window_view(one, (side, side))[corners[:, 0], corners[:, 1]]
        for one, side in ((inner, _BLOCK), (outer, _PATCH))
    )
    spectrum = np.conj(fft.fft2(small, (_PATCH, _PATCH))) * fft.fft2(large)
    return cast("Floats", fft.ifft2(spectrum).real[:, :_SIDE, :_SIDE])


def _standardised(surfaces: Floats) -> Floats:
    mean, deviation = surfaces.mean((1, 2), keepdims=True), surfaces.std((1, 2), keepdims=True)
    # A block without edges has no deviation, and no say.
    return cast("Floats", (surfaces - mean) / np.maximum(deviation, 1e-3 * _BLOCK))


def _spline(surfaces: Floats) -> Floats:
    """Coefficients of cubic splines; their means are those of mean surfaces."""
    across = ndimage.spline_filter1d(surfaces, axis=2, output=np.float32)
    return cast("Floats", ndimage.spline_filter1d(across, axis=1, output=np.float32))
