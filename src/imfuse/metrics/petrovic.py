"""Petrovic's account of edges: what fusion keeps, loses and adds, three shares with sum 1."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.metrics._pictures import Image, Picture, parts, pictures
from imfuse.metrics._sobel import Summation, agreement, arctangent, edges, ratio, root, sigmoid_


class _Account(NamedTuple):
    """Shares of edges, one value per image. ``added_in_full``: each source's loss with the weights of both."""

    lost: Tensor
    added: Tensor
    added_in_full: Tensor


def total_performance(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Petrovic's total performance Qabf': ``sum(q_a w_a + q_b w_b) / sum(w_a + w_b)``. Higher is better.

    Sobel / 8, mirrored border: strengths g, angles a = atan(gy / gx). A source's edge is kept by
    ``q = sqrt(0.9999 sigmoid(19 (G - 0.5)) * 0.9995 sigmoid(22 (D - 0.5)))`` with the ratio G of the smaller to the
    greater strength, 0 where one is 0, and ``D = ||a_s - a_f| - pi/2| / (pi/2)``. It weighs ``w = g^1.5``, or 0.001
    where g < 2.

    In (0, 0.9997]; with Labf and Nabf it adds up to 1. 0.0087 where all three images are constant. Never nan.
    Petrovic and Xydeas, Information Fusion 2005; as coded by Shreyamsha Kumar, SIViP 2013.

    >>> import torch
    >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4, 1)[None, None]
    >>> round(total_performance(step, step, step).item(), 4)
    0.9997
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    account = _account(f, a, b)
    return 1 - account.lost - account.added


def fusion_loss(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Petrovic's fusion loss Labf: ``sum r ((1 - q_a) w_a + (1 - q_b) w_b) / sum(w_a + w_b)``. Lower is better.

    r is 1 where an edge of at least one source is as strong as the fused one, else 0; q and w as in
    :func:`total_performance`. In [0, 1]; 0.991 where all three images are constant. Never nan.
    Petrovic and Xydeas, Information Fusion 2005.

    >>> import torch
    >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4, 1)[None, None]
    >>> round(fusion_loss(torch.zeros_like(step), step, step).item(), 4)
    1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    return _account(f, a, b).lost


def fusion_artefacts(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    original: bool = False,
    infrared_as_fused: bool = False,
    summation: Summation | None = None,
) -> Tensor:
    """Fusion artefacts Nabf: ``sum n ((1 - q_a) w_a + (1 - q_b) w_b) / sum(w_a + w_b)``. Lower is better.

    n is 1 where the fused edge is stronger than those of both sources, else 0; q and w as in
    :func:`total_performance`. In [0, 1]; 0 where the fused image is constant. Never nan.
    Shreyamsha Kumar, SIViP 2013.

    Args:
        fused: (N, 1, H, W) in [0, data_range].
        infrared: its first source.
        visible: its second source.
        data_range: highest value of the images.
        original: Petrovic's form of 2005, ``sum n (2 - q_a - q_b) (w_a + w_b) / sum(w_a + w_b)``, in [0, 2].
        infrared_as_fused: an accident: arguments in the wrong order, the infrared image is scored as if it were fused
            from the visible and the fused.
        summation: an accident: score levels / 255, where no edge reaches the strength 2 and all weights are 0.001, with
            responses added in this order.

    >>> import torch
    >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4, 1)[None, None]
    >>> round(fusion_artefacts(step, step / 2, step / 2).item(), 4)
    0.2866
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    account = _account(f, a, b, infrared_as_fused, summation)
    return account.added_in_full if original else account.added


def _account(
    fused: Picture, infrared: Picture, visible: Picture, turned: bool = False, summation: Summation | None = None
) -> _Account:
    """Shares that the fused picture remembers; ``turned`` ones are those of the infrared from the visible and fused."""

    def compute() -> _Account:
        triple = (infrared, visible, fused) if turned else (fused, infrared, visible)
        f, a, b = (edges(x, "mirror", _angle, summation) for x in triple)
        sums = torch.zeros(4, len(f[0]), dtype=torch.float64, device=f[0].device)
        for g_f, angle_f, g_a, angle_a, g_b, angle_b in parts(*f, *a, *b):
            w_a, w_b = _weight(g_a), _weight(g_b)
            loss_a, loss_b = _loss(g_a, angle_a, g_f, angle_f), _loss(g_b, angle_b, g_f, angle_f)
            excess = (g_f > torch.maximum(g_a, g_b)).double()
            weight, in_full = w_a + w_b, (loss_a + loss_b).mul_(excess)
            loss = loss_a.mul_(w_a).add_(loss_b.mul_(w_b))
            added = loss * excess
            terms = weight, loss - added, added, in_full * weight
            sums = sums + torch.stack([term.sum((1, 2, 3)) for term in terms])
        return _Account(*(sums[1:] / sums[0]))

    return fused.once(("account", infrared, visible, turned, summation), compute)


def _loss(g: Tensor, angle: Tensor, g_f: Tensor, angle_f: Tensor) -> Tensor:
    """How much of a source's edges the fused picture does not keep: 1 - q."""
    quality = sigmoid_(ratio(g, g_f), 19, 0.5) * sigmoid_(agreement(angle, angle_f), 22, 0.5)
    return root(quality.mul_(0.9999 * 0.9995)).neg_().add_(1)


def _weight(g: Tensor) -> Tensor:
    """What the edges of a source count, times 8^1.5 as the strengths are times 8: 0.01^1.5 is 0.001."""
    counted = F.threshold(g, math.nextafter(8 * 2, 0), 8 * 0.01)
    return counted * root(counted)


def _angle(down: Tensor, across: Tensor) -> Tensor:
    """Angles of edges from -pi/2 to pi/2; 0 where there is none."""
    if not down.requires_grad:
        return arctangent((across / down).nan_to_num_(0, math.inf, -math.inf))
    level = down == 0
    return arctangent((across / down.masked_fill(level, 1)).masked_fill(level & (across != 0), math.inf))
