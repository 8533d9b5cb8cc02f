"""Visual information fidelity of pictures: moments on four scales, each computed once, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from imfuse.metrics._pictures import Picture, ratio_or_nan
from imfuse.ops import vif
from imfuse.ops.windows import filter_separable

SCALES = range(len(vif.WINDOWS))

Product = Callable[[Tensor, Tensor, int], Tensor]
"""How levels of two pictures are multiplied on a scale, 0 for the finest: moments are means of products."""


def product(first: Tensor, second: Tensor, scale: int) -> Tensor:
    """The product as it should be."""
    return first.square() if first is second else first * second


def information_share(source: Picture, fused: Picture, product: Product = product) -> Tensor:
    """Information on the source in the fused picture, as a share of that in the source itself, (N,)."""

    def in_fused(scale: int) -> Tensor:
        return vif.information(vif.signal_to_noise(*channel(source, fused, scale, product)))

    def in_source(scale: int) -> Tensor:
        return vif.information(_moments(source, scale, product)[1] / vif.EYE)

    whole = source.once(("VIF information", product), lambda: _sum_over_scales(in_source))
    return ratio_or_nan(_sum_over_scales(in_fused), whole)


def channel(source: Picture, fused: Picture, scale: int, product: Product = product) -> tuple[Tensor, Tensor, Tensor]:
    """Gain of the source in the fused picture, variance of the noise there, and variance of the source."""
    (m1, v1), (m2, v2) = _moments(source, scale, product), _moments(fused, scale, product)
    mean = _window_mean(product(_at_scale(source, scale), _at_scale(fused, scale), scale), scale)
    return *vif.gain_and_noise(v1, v2, mean.addcmul_(m1, m2, value=-1)), v1


def _moments(picture: Picture, scale: int, product: Product) -> tuple[Tensor, Tensor]:
    """Mean and variance in the windows of a scale."""

    def compute() -> tuple[Tensor, Tensor]:
        levels = _at_scale(picture, scale)
        mean = _window_mean(levels, scale)
        square = _window_mean(product(levels, levels, scale), scale)
        return mean, vif.without_noise(square.addcmul_(mean, mean, value=-1))

    return picture.once(("VIF moments", scale, product), compute)


def _window_mean(x: Tensor, scale: int) -> Tensor:
    return filter_separable(x, vif.window_taps(vif.WINDOWS[scale]))


def _at_scale(picture: Picture, scale: int) -> Tensor:
    """Levels at a scale: each is the finer one, seen through its own window at every second pixel."""
    if scale == 0:
        return picture.levels
    finer = _at_scale(picture, scale - 1)
    return picture.once(("VIF levels", scale), lambda: _window_mean(finer, scale)[..., ::2, ::2].contiguous())


def _sum_over_scales(term: Callable[[int], Tensor]) -> Tensor:
    return torch.stack([term(scale) for scale in SCALES]).sum(0)
