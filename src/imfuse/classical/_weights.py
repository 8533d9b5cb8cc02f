"""Weights of two detail maps by their principal component (Karhunen-Loeve transform)."""

from __future__ import annotations

import torch
from torch import Tensor


def principal_weights(first: Tensor, second: Tensor, faithful: bool) -> tuple[Tensor, Tensor]:
    """Two weights with sum 1, (N, 1, 1, 1) each, of detail maps (N, 1, H, W).

    They are the components of the eigenvector that belongs to the larger eigenvalue of the 2x2 covariance of the maps:
    the map that varies more gets more. Where the maps oppose each other (negative covariance) the components have
    opposite signs; ``faithful`` divides by their sum all the same, which leaves [0, 1] and may explode, else their
    magnitudes count. Maps of which none is preferred, constant ones among them, get 1/2 each.

    >>> wide, narrow = torch.tensor([0.0, 2.0, 4.0]), torch.tensor([0.0, 1.0, 2.0])
    >>> [w.item() for w in principal_weights(wide.view(1, 1, 1, 3), narrow.view(1, 1, 1, 3), faithful=False)]
    [0.6666666865348816, 0.3333333432674408]
    """
    centred = [(x - x.mean((-2, -1), keepdim=True)).flatten(1) for x in (first, second)]
    (a, b), c = ((x * x).sum(1) for x in centred), (centred[0] * centred[1]).sum(1)
    angle = torch.atan2(2 * c, a - b) / 2
    vector = torch.stack([angle.cos(), angle.sin()])
    if not faithful:
        vector = vector.abs()
    weights = torch.where((c == 0) & (a == b), 0.5, vector / vector.sum(0))
    one, other = weights[..., None, None, None]
    return one, other
