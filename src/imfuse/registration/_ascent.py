"""From a transform that is nearly right to the one of a model that agrees best."""

from __future__ import annotations

import numpy as np
from scipy import optimize

from imfuse.core.errors import RegistrationError
from imfuse.registration._pooling import Pooled
from imfuse.registration.transform import LEAST_POINTS, Model, Points, Transform, corners_of, fit_transform, identity


def refined(pooled: Pooled, start: Transform, model: Model) -> Transform:
    """The transform of a model near a first one with the greatest agreement.

    A few points of the infrared picture, as many as decide the model, are moved in the visible one.

    Args:
        pooled: the agreement of frames.
        start: where it begins.
        model: the freedom.
    """
    if model == "identity":
        return identity()
    points = _points(start, pooled.whole.size, LEAST_POINTS[model])
    begin = start.apply(points)

    def loss(moves: Points) -> float:
        try:
            return -pooled.value(fit_transform(points, begin + moves.reshape(-1, 2), model))
        except RegistrationError:
            return 0.0

    options = {"eps": 0.05, "gtol": 2e-4, "maxiter": 40}
    still = np.zeros(begin.size)
    found = optimize.minimize(loss, still, method="BFGS", options=options).x
    best = found if loss(found) < loss(still) else still
    return fit_transform(points, begin + best.reshape(-1, 2), model)


def _points(start: Transform, size: tuple[int, int], count: int) -> Points:
    """Points of the infrared picture that decide a transform well: near the corners of the visible one, far apart."""
    corners = corners_of(size)
    middle = corners.mean(0)
    spread = {1: middle[None], 2: corners[[0, 2]], 3: corners[:3], 4: corners}[count]
    return start.inverse().apply(middle + 0.7 * (spread - middle))


def projected(transform: Transform, size: tuple[int, int], model: Model) -> Transform:
    """The transform of a model that is closest to another, over an infrared picture of (height, width)."""
    corners = corners_of(size)
    return fit_transform(corners, transform.apply(corners), model)
