"""Metrics that ask how much of the sources' edges, by strength and direction, the fused image keeps."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from imfuse.metrics._pictures import Image, parts, pictures, ratio_or_nan
from imfuse.metrics._sobel import Summation, agreement, arctangent, edges, ratio, sigmoid_

_FLAT = 1e-5


def gradient_quality(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    ties: Literal["one", "strength"] = "one",
    summation: Summation | None = None,
) -> Tensor:
    """Gradient quality Qabf: ``sum(q_a g_a + q_b g_b) / sum(g_a + g_b)`` over all pixels. Higher is better.

    Sobel strengths g and angles a = atan(gy / gx), zero border. A source's edge is kept by
    ``q = 0.9994 sigmoid(15 (G - 0.5)) * 0.9879 sigmoid(22 (D - 0.8))`` with the ratio G of the smaller to the greater
    strength and ``D = 1 - |a_s - a_f| / (pi/2)``. Angles do not wrap: +89 and -89 degrees are opposites.

    In [0, 0.9748], the value of three images that are the same. nan where both sources are 0; another constant still
    has edges, against the zero border. Xydeas and Petrovic, Electronics Letters 2000.

    Args:
        fused: (N, 1, H, W) in [0, data_range].
        infrared: its first source.
        visible: its second source.
        data_range: highest value of the images.
        ties: what G is where both strengths are equal. ``strength`` is an accident: the strength itself.
        summation: an accident: score levels / 255 with responses added in this order, where zeros that come out as
            1e-17 have angles by chance.

    >>> import torch
    >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4, 1)[None, None]
    >>> round(gradient_quality(step, step, step).item(), 6)
    0.974794
    """
    f, a, b = (edges(x, "zero", _upright, summation) for x in pictures(fused, infrared, visible, data_range))
    kept, total = torch.zeros(2, len(f[0]), dtype=torch.float64, device=f[0].device)
    for source in (a, b):
        for g, angle, g_f, angle_f in parts(*source, *f):
            similar = ratio(g, g_f)
            if ties == "strength":
                similar = torch.where(g == g_f, g_f, similar)
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


def survey_gradient_quality(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0, *, flat_first: bool = False
) -> Tensor:
    """Gradient quality QG as a survey computed it: mean over pixels of ``(q_a g_a + q_b g_b) / (g_a + g_b)``.

    As Qabf with ``q = sigmoid(10 (G - 0.5)) sigmoid(20 (D - 0.75))``, angles that wrap,
    ``D = ||a_s - a_f| - pi/2| / (pi/2)``, and 1e-5 in place of strengths and changes across that are 0. All pixels
    count the same, those of flat areas too. In [0, 0.9867]; higher is better. Never nan. Liu et al., TPAMI 2012.

    Args:
        fused: (N, 1, H, W) in [0, data_range].
        infrared: its first source.
        visible: its second source.
        data_range: highest value of the images.
        flat_first: an accident: an edge of the infrared image has the ratio 0, not 1e-5 / g, where the fused is flat.

    >>> import torch
    >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4, 1)[None, None]
    >>> round(survey_gradient_quality(step, step, step).item(), 6)
    0.986659
    """
    f, a, b = (edges(x, "zero", _nearly_upright) for x in pictures(fused, infrared, visible, data_range))
    score = torch.zeros(len(f[0]), dtype=torch.float64, device=f[0].device)
    for g_f, angle_f, g_a, angle_a, g_b, angle_b in parts(*f, *a, *b):
        weight_f = g_f.clamp_min(_FLAT)
        kept, total = torch.zeros_like(g_f), torch.zeros_like(g_f)
        for g, angle in ((g_a, angle_a), (g_b, angle_b)):
            weight = g.clamp_min(_FLAT)
            similar = ratio(weight, weight_f)
            if flat_first and g is g_a:
                similar = similar.masked_fill((g_f == 0) & (g > 0), 0)
            quality = sigmoid_(similar, 10, 0.5) * sigmoid_(agreement(angle, angle_f), 20, 0.75)
            kept += quality.mul_(weight)
            total += weight
        score = score + kept.div_(total).sum((1, 2, 3))
    return score / f[0][0].numel()


def _nearly_upright(down: Tensor, across: Tensor) -> Tensor:
    return arctangent(down / across.masked_fill(across == 0, _FLAT))
