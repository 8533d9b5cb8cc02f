"""Weights of two detail maps from their principal component (Karhunen-Loeve transform)."""

from __future__ import annotations

import torch
from torch import Tensor


def principal_weights(first: Tensor, second: Tensor, faithful: bool) -> tuple[Tensor, Tensor]:
    """Weights of two detail maps: the map that varies more gets the larger one.

    They are the components of the eigenvector of the larger eigenvalue of the 2x2 covariance of the maps, divided by
    their sum. If the covariance is negative, the components have opposite signs; then their magnitudes count. If
    neither map is preferred, as with constant maps, both weights are 1/2.

    Args:
        first: (N, 1, H, W).
        second: (N, 1, H, W).
        faithful: uses signed components in any case, as published: weights then leave [0, 1] and may be very large.

    Returns:
        The two weights, (N, 1, 1, 1) each, with sum 1.

    Example:
        >>> strong, weak = torch.tensor([0.0, 2.0, 4.0]), torch.tensor([0.0, 1.0, 2.0])
        >>> [w.item() for w in principal_weights(strong.view(1, 1, 1, 3), weak.view(1, 1, 1, 3), faithful=False)]
        [0.6666666865348816, 0.3333333432674408]
    """
    centred = [(x - x.mean((-2, -1), keepdim=True)).flatten(1) for x in (first, second)]
    (a, b), c = ((x * x).sum(1) for x in centred), (centred[0] * centred[1]).sum(1)
    angle = torch.atan2(2 * c, a - b) / 2
    vector = torch.stack([angle.cos(), angle.sin()])
    if not faithful:
        vector = vector.abs()
    weights = torch.where((c == 0) & (a == b), 0.5, vector / vector.sum(0))
    first_weight, second_weight = weights[..., None, None, None]
    return first_weight, second_weight
