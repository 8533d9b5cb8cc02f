"""A transform made better from coarse to fine: least squares on features, by Levenberg and Marquardt's method."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.registration.features import Float, at_long_side, factors, self_similarity
from imfuse.registration.transform import Points, Transform

_STEPS = 15
_LEAST_OVERLAP = 0.2
"""Share of the fixed picture below which a transform is not followed."""
_BEYOND_AFFINE = 10.0
"""Weight of the squared last row of the homography, whose terms are 0 without perspective; the fixed picture is 2 wide.
A pair of cameras beside each other needs hardly any, and what no edge holds would otherwise drift at the corners."""


class _State(NamedTuple):
    """The pictures under one transform: its cost, and all that the next step needs."""

    cost: float
    features: Tensor
    residual: Tensor
    inside: Tensor
    place: tuple[Tensor, Tensor, Tensor]


class Level:
    """A pair of pictures at one working size.

    Args:
        moving: luminance (H, W) in [0, 1].
        fixed: luminance of any other size.
        long: pixels of the longer sides, where the pictures have as many.
    """

    def __init__(self, moving: Float, fixed: Float, long: int) -> None:
        small = at_long_side(moving, long), at_long_side(fixed, long)
        self.moving, self.fixed = (torch.from_numpy(self_similarity(picture)) for picture in small)
        self._factors = factors(small[0], moving), factors(small[1], fixed)
        height, width = small[1].shape
        self._normal = np.array([[2 / width, 0, (1 - width) / width], [0, 2 / width, (1 - height) / width], [0, 0, 1]])
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        self._x, self._y = (x - (width - 1) / 2) * 2 / width, (y - (height - 1) / 2) * 2 / width
        across, down = torch.zeros_like(self.moving), torch.zeros_like(self.moving)
        across[:, :, 1:-1] = (self.moving[:, :, 2:] - self.moving[:, :, :-2]) / 2
        down[:, 1:-1] = (self.moving[:, 2:] - self.moving[:, :-2]) / 2
        self._slopes = torch.cat([self.moving, across, down])

    def small(self, transform: Transform) -> Transform:
        """A transform of the whole pictures as that of the small ones."""
        return transform.scaled(*self._factors)

    def warped(self, transform: Transform) -> tuple[Tensor, Tensor]:
        """Features of the moving picture (C, H, W) on the pixels of the fixed one, and where it has any (H, W)."""
        return self._sample(self._backward(transform), self.moving)[:2]

    def refined(self, transform: Transform) -> Transform:
        """The homography near a transform under which the features differ least.

        Large differences count little, as those of things that one camera alone sees. Where the two pictures hardly
        overlap the transform stays as it is.
        """
        matrix, damping = self._backward(transform), 1e-2
        state = self._state(matrix)
        for _ in range(_STEPS if state else 0):
            assert state is not None
            curvature, slope = self._normal_equations(matrix, state)
            before = state.cost
            for _ in range(5):
                step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), slope)
                tried = matrix + np.append(step, 0).reshape(3, 3)
                next_state = self._state(tried)
                if next_state is not None and next_state.cost < before:
                    break
                damping *= 6
            else:
                break
            matrix, state, damping = tried, next_state, max(damping / 4, 1e-4)
            if before - state.cost < 1e-5:
                break
        small = Transform(np.linalg.inv(matrix @ self._normal))
        (a, b), (c, d) = self._factors
        return small.scaled((1 / a, 1 / b), (1 / c, 1 / d))

    def _backward(self, transform: Transform) -> Points:
        """Matrix from normalised places in the fixed picture to pixels of the moving one; the last entry is 1."""
        matrix = np.linalg.inv(self._normal @ self.small(transform).matrix)
        return np.asarray(matrix / matrix[2, 2], np.float64)

    def _sample(self, matrix: Points, features: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Features there, where the moving picture reaches, and the places with their divisors."""
        x, y, z = (row[0] * self._x + row[1] * self._y + row[2] for row in matrix.tolist())
        z = z.clamp(min=1e-3)
        x, y = x / z, y / z
        height, width = features.shape[1:]
        inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
        return F.grid_sample(features[None], grid[None], align_corners=False)[0], inside, (x, y, z)

    def _state(self, matrix: Points) -> _State | None:
        features, inside, place = self._sample(matrix, self._slopes)
        if inside.float().mean() < _LEAST_OVERLAP:
            return None
        residual = self.fixed - features[: len(self.fixed)]
        squared = (residual**2).sum(0)[inside]
        cost = float((squared / (1 + squared)).mean()) + _BEYOND_AFFINE * float((matrix[2, :2] ** 2).sum())
        return _State(cost, features, residual, inside, place)

    def _normal_equations(self, matrix: Points, state: _State) -> tuple[Points, Points]:
        """Curvature (8, 8) and slope (8) of the cost by the entries of the matrix, weighted as Geman and McClure do."""
        count, inside = len(self.fixed), state.inside
        residual = state.residual[:, inside]
        across, down = state.features[count : 2 * count, inside], state.features[2 * count :, inside]
        weight = 1 / (1 + (residual**2).sum(0)) ** 2 / residual.shape[1]
        x, y, z = (part[inside] for part in state.place)
        u, v, none = self._x[inside], self._y[inside], torch.zeros_like(x)
        by_x = torch.stack([u, v, none + 1, none, none, none, -x * u, -x * v]) / z
        by_y = torch.stack([none, none, none, u, v, none + 1, -y * u, -y * v]) / z
        mixed = (by_x * ((across * down).sum(0) * weight)) @ by_y.T
        curvature = (by_x * ((across**2).sum(0) * weight)) @ by_x.T + mixed + mixed.T
        curvature += (by_y * ((down**2).sum(0) * weight)) @ by_y.T
        slope = by_x @ ((across * residual).sum(0) * weight) + by_y @ ((down * residual).sum(0) * weight)
        perspective = np.array([0.0] * 6 + [_BEYOND_AFFINE] * 2)
        smooth = np.diag(perspective + 1e-12)
        return curvature.double().numpy() + smooth, slope.double().numpy() - perspective * matrix.ravel()[:8]
