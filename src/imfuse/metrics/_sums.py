"""Sums of levels and of products of levels, each computed once per picture or pair of pictures.

Levels are whole numbers, and so the sums are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imfuse.metrics._pictures import Picture, ratio_or_nan
from imfuse.metrics._sobel import root


class Sums:
    """Second moments of images, and of their sums and differences, from the sums of products of every two.

    These are whole numbers, and stay so when levels are counted from the rounded means instead of 0. That takes out
    what is large before anything is rounded: no small variance is lost, and that of a constant is exactly zero.
    """

    def __init__(self, *images: Picture) -> None:
        self.pixels = pixels_of(images[0])
        count = range(len(images))
        rows = [[_product(images[min(i, j)], images[max(i, j)]) for j in count] for i in count]
        products = torch.stack([torch.stack(row, -1) for row in rows], -2)
        totals = torch.stack([total(image) for image in images], -1)
        means = (totals.detach() / self.pixels).round()
        self.totals = totals - self.pixels * means
        self.products = products - means[..., None] * self.totals[:, None] - totals[..., None] * means[:, None]

    def scatter(self, first: Sequence[int], second: Sequence[int]) -> Tensor:
        """Sum over the pixels of the products of two combinations of the images, each less its mean."""
        u, v = self.totals.new_tensor(first), self.totals.new_tensor(second)
        return self.products @ v @ u - (self.totals @ u) * (self.totals @ v) / self.pixels

    def correlation(self, first: Sequence[int], second: Sequence[int]) -> Tensor:
        """Pearson's r of two combinations of the images; nan where one is constant."""
        variances = self.scatter(first, first) * self.scatter(second, second)
        return ratio_or_nan(self.scatter(first, second), root(variances))


def pixels_of(image: Picture) -> int:
    """Number of pixels of each image."""
    return image.levels[0].numel()


def total(image: Picture) -> Tensor:
    """Sum of the levels, (N,)."""
    return image.once("total", lambda: image.levels.sum((1, 2, 3)))


def squared_deviations(image: Picture) -> Tensor:
    """Sum of the squared deviations from the mean, (N,)."""
    return Sums(image).scatter((1,), (1,))


def squared_errors(fused: Picture, sources: Sequence[Picture]) -> Tensor:
    """Sum of the squared differences from each source, (sources, N)."""
    own = _product(fused, fused)
    return torch.stack([own - 2 * _product(fused, source) + _product(source, source) for source in sources])


def _product(first: Picture, second: Picture) -> Tensor:
    """Sum of the products of levels, (N,); remembered in this order only."""
    # A picture must not remember itself: it would outlive its last use.
    key = "square" if first is second else ("product", second)
    return first.once(key, lambda: torch.einsum("nchw,nchw->n", first.levels, second.levels))
