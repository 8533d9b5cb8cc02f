"""Petrovic's account of edges: what fusion keeps, loses and adds, three shares with sum 1."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.metrics._pictures import Picture, parts
from imfuse.metrics._sobel import Responses, agreement, arctangent, edges, ratio, root, sigmoid_, sobel


class Account(NamedTuple):
    """Shares of edges, one value per image. ``added_in_full``: each source's loss with the weights of both."""

    lost: Tensor
    added: Tensor
    added_in_full: Tensor


def account(fused: Picture, infrared: Picture, visible: Picture) -> Account:
    """Shares of the edges of both sources, remembered by the fused picture."""
    return fused.once(("account", infrared, visible), lambda: account_of(fused, infrared, visible))


def account_of(fused: Picture, infrared: Picture, visible: Picture, responses: Responses = sobel) -> Account:
    """The same, computed anew."""
    f, a, b = (edges(x, "mirror", _angle, responses) for x in (fused, infrared, visible))
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
    return Account(*(sums[1:] / sums[0]))


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
