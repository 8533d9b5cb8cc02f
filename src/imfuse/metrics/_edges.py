"""How much of the sources' edges the fused picture keeps: sums over pixels, with the rules that programs differ in."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from imfuse.metrics._pictures import Picture, parts, ratio_or_nan
from imfuse.metrics._sobel import Responses, agreement, arctangent, edges, ratio, sigmoid_, sobel

_FLAT = 1e-5

Ratio = Callable[[Tensor, Tensor], Tensor]
"""From the strengths of a source and of the fused picture to that of the smaller by the greater."""


def kept_edges(fused: Picture, *sources: Picture, ratio_rule: Ratio = ratio, responses: Responses = sobel) -> Tensor:
    """Share of the strength of all edges that is kept: Xydeas and Petrovic's Qabf."""
    f, *others = (edges(image, "zero", _upright, responses) for image in (fused, *sources))
    kept, total = torch.zeros(2, len(f[0]), dtype=torch.float64, device=f[0].device)
    for source in others:
        for g, angle, g_f, angle_f in parts(*source, *f):
            similar = ratio_rule(g, g_f)
            aligned = (angle - angle_f).abs_().mul_(-2 / math.pi).add_(1)
            quality = sigmoid_(similar, 15, 0.5) * sigmoid_(aligned, 22, 0.8)
            kept = kept + quality.mul_(g).sum((1, 2, 3))
            total = total + g.sum((1, 2, 3))
    return 0.9994 * 0.9879 * ratio_or_nan(kept, total)


def _upright(down: Tensor, across: Tensor) -> Tensor:
    """Angles of edges from -pi/2, which also stands for no change across, to pi/2.

    The authors' kernels are turned by convolution: their angles are the negative of these, and +pi/2 without a change.
    """
    if not down.requires_grad:
        return arctangent((down / across).nan_to_num_(-math.inf, -math.inf, -math.inf))
    constant = across == 0
    return arctangent((down / across.masked_fill(constant, 1)).masked_fill(constant, -math.inf))


def ratio_with_floor(g: Tensor, g_f: Tensor) -> Tensor:
    """The ratio of two strengths that are 1e-5 at least."""
    return ratio(g.clamp_min(_FLAT), g_f.clamp_min(_FLAT))


def edges_kept_per_pixel(
    fused: Picture, infrared: Picture, visible: Picture, ratio_of_infrared: Ratio = ratio_with_floor
) -> Tensor:
    """Mean over pixels of the share of the edge that is kept: the survey's QG."""
    f, a, b = (edges(image, "zero", _nearly_upright) for image in (fused, infrared, visible))
    score = torch.zeros(len(f[0]), dtype=torch.float64, device=f[0].device)
    for g_f, angle_f, g_a, angle_a, g_b, angle_b in parts(*f, *a, *b):
        kept, total = torch.zeros_like(g_f), torch.zeros_like(g_f)
        for g, angle, ratio_rule in ((g_a, angle_a, ratio_of_infrared), (g_b, angle_b, ratio_with_floor)):
            weight = g.clamp_min(_FLAT)
            quality = sigmoid_(ratio_rule(g, g_f), 10, 0.5) * sigmoid_(agreement(angle, angle_f), 20, 0.75)
            kept += quality.mul_(weight)
            total += weight
        score = score + kept.div_(total).sum((1, 2, 3))
    return score / f[0][0].numel()


def _nearly_upright(down: Tensor, across: Tensor) -> Tensor:
    return arctangent(down / across.masked_fill(across == 0, _FLAT))
