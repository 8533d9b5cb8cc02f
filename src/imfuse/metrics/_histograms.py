"""Histograms of gray levels and what follows from them, each computed once per picture or pair of pictures.

Counting pixels at a level has no gradient, and so nothing here has one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imfuse.metrics._pictures import Picture

BINS = 256


def integers(picture: Picture) -> Tensor:
    """Gray levels as int32, (N, 1, H, W)."""
    return picture.once("integers", lambda: picture.levels.detach().int())


def histogram(picture: Picture) -> Tensor:
    """Share of the pixels at each level, (N, 256) float64."""
    return picture.once("histogram", lambda: _count(integers(picture), BINS) / _pixels(picture))


def joint_histogram(first: Picture, second: Picture) -> Tensor:
    """Share of the pixels at each pair of levels, (N, 256, 256) float64: rows are the levels of ``first``.

    Remembered in this order only: take (fused, source) and (infrared, visible), never the reverse.
    """

    def compute() -> Tensor:
        places = torch.add(integers(second), integers(first), alpha=BINS)
        counts = _count(places, BINS**2).view(-1, BINS, BINS)
        pixels = _pixels(first)
        first.once("histogram", lambda: counts.sum(2) / pixels)
        second.once("histogram", lambda: counts.sum(1) / pixels)
        return counts / pixels

    return first.once(("joint", second), compute)


def _pixels(picture: Picture) -> int:
    return picture.levels[0].numel()


def _count(places: Tensor, bins: int) -> Tensor:
    """How often each number below ``bins`` occurs in each image, (N, bins) float64."""
    images, places = len(places), places.flatten(1)
    if images > 1:
        places = places + bins * torch.arange(images, dtype=places.dtype, device=places.device)[:, None]
    return torch.bincount(places.flatten(), minlength=images * bins).view(images, bins).double()


def entropy_of(shares: Tensor) -> Tensor:
    """Entropy of a distribution per image, (N, ...) to (N,), in bit."""
    bits: Tensor = torch.special.entr(shares).flatten(1).sum(1) / math.log(2)
    return bits


def entropy_in(picture: Picture) -> Tensor:
    """Entropy of the gray levels, in bit."""
    return picture.once("entropy", lambda: entropy_of(histogram(picture)))


def shared_information(first: Picture, second: Picture) -> Tensor:
    """Mutual information of two pictures, ``H(X) + H(Y) - H(X, Y)``, in bit; rounding takes it never below 0."""

    def compute() -> Tensor:
        joint = entropy_of(joint_histogram(first, second))
        return (entropy_in(first) + entropy_in(second) - joint).clamp(min=0)

    return first.once(("information", second), compute)
