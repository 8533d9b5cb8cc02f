"""Information and entropy of Tsallis, from the histograms of pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics._histograms import histogram, joint_histogram
from imfuse.metrics._pictures import Picture


def check_order(order: float) -> None:
    """Raise ``MetricError`` for an order without a meaning."""
    if order <= 0 or order == 1:
        raise MetricError(f"the order of Tsallis information must be positive and not 1, found {order}")


def relative_information(first: Picture, second: Picture, order: float, exchanged: bool = False) -> Tensor:
    """Tsallis information of two pictures.

    Where ``exchanged``, each level counts with the share that it has in the other picture.
    """
    down, across = (_powers(histogram(image), 1 - order) for image in (first, second))
    if exchanged:
        down, across = across, down
    cells = joint_histogram(first, second).pow(order)
    # The sum over cells is a product of vector, table and vector.
    return (1 - torch.einsum("ni,nij,nj->n", down, cells, across)) / (1 - order)


def entropy(image: Picture, order: float) -> Tensor:
    """Tsallis entropy."""
    return (1 - _powers(histogram(image), order).sum(1)) / (order - 1)


def _powers(shares: Tensor, exponent: float) -> Tensor:
    """Powers of the shares above zero, and 0 for the others."""
    return torch.where(shares > 0, shares, 1).pow(exponent).where(shares > 0, 0)


def quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Quotient of either sign, and nan where the denominator is zero."""
    return torch.where(denominator != 0, numerator / denominator, torch.nan)
