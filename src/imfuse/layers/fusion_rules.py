"""Fusion rules: fixed ways to join the feature maps of two images.

The activity of a pixel decides how much each image contributes to it. Rules ``l1``, ``l1-pixel`` and ``softmax`` are
those of DenseFuse (Li and Wu, IEEE TIP 2019, section III-C2); DIDFuse and AUIF-Net use the first of them too.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.core.errors import ModelError

RULES: Final = ("sum", "average", "l1", "l1-pixel", "softmax")


def check_rule(rule: str) -> str:
    """``rule`` itself, if it is one of :data:`RULES`; else raises ``ModelError``."""
    if rule not in RULES:
        raise ModelError(f"unknown fusion rule {rule!r}; there are {', '.join(RULES)}")
    return rule


def fuse_maps(infrared: Tensor, visible: Tensor, rule: str) -> Tensor:
    """Fuses the feature maps of two images by a fixed rule.

    ``sum`` and ``average`` treat both alike. ``l1`` is an average weighted by activity, the 3x3 mean (zeros outside) of
    the summed magnitudes of the channels; one weight serves all channels. Where both activities are zero the weight is
    1/2; the published form is NaN there. ``l1-pixel`` omits the 3x3 mean, as DenseFuse's TensorFlow code does.
    ``softmax`` weights by the softmax of the channel sums, signs included, as DenseFuse's PyTorch code does.

    Args:
        infrared: maps (N, C, H, W).
        visible: maps of the same shape.
        rule: one of :data:`RULES`.

    Returns:
        Fused maps (N, C, H, W).

    Raises:
        ModelError: the rule is unknown.

    Example:
        >>> one, zero = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
        >>> fuse_maps(one, zero, "l1").mean().item(), fuse_maps(zero, zero, "l1").mean().item()
        (1.0, 0.0)
    """
    check_rule(rule)
    if rule == "sum":
        return infrared + visible
    if rule == "average":
        return (infrared + visible) / 2
    if rule == "softmax":
        weight = torch.sigmoid((infrared - visible).sum(1, keepdim=True))
    else:
        window = 3 if rule == "l1" else 1
        activity_ir, activity_vi = _activity(infrared, window), _activity(visible, window)
        total = activity_ir + activity_vi
        weight = torch.where(total > 0, activity_ir / total, 0.5)
    return weight * infrared + (1 - weight) * visible


def _activity(maps: Tensor, window: int) -> Tensor:
    total = maps.abs().sum(1, keepdim=True)
    return F.avg_pool2d(total, window, stride=1, padding=window // 2) if window > 1 else total
