"""Fusion rules: how the feature maps of the two images become one set of maps."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

RULES: Final = ("sum", "average", "l1", "l1-pixel", "softmax")


def fuse_maps(infrared: Tensor, visible: Tensor, rule: str) -> Tensor:
    """Fuse two sets of maps (N, C, H, W) by ``sum``, ``average`` or an average weighted by activity.

    The activity of ``l1`` is the 3x3 mean (zeros outside) of the channels' summed magnitudes; one weight serves all
    channels (DenseFuse, IEEE TIP 2019, section III-C2; used by DIDFuse and AUIF-Net). Where both activities are zero
    the weight is 1/2: the published form gives NaN there. ``l1-pixel`` leaves out the mean, as DenseFuse's TensorFlow
    code does. The weights of ``softmax`` are those of the channels' sums, signs included, as in its PyTorch code.

    >>> one, zero = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    >>> fuse_maps(one, zero, "l1").mean().item(), fuse_maps(zero, zero, "l1").mean().item()
    (1.0, 0.0)
    """
    if rule == "sum":
        return infrared + visible
    if rule == "average":
        return (infrared + visible) / 2
    if rule in ("l1", "l1-pixel"):
        window = 3 if rule == "l1" else 1
        first, second = _activity(infrared, window), _activity(visible, window)
        total = first + second
        weight = torch.where(total > 0, first / total, 0.5)
        return weight * infrared + (1 - weight) * visible
    if rule == "softmax":
        weight = torch.sigmoid((infrared - visible).sum(1, keepdim=True))
        return weight * infrared + (1 - weight) * visible
    raise ValueError(f"unknown fusion rule {rule!r}; there are {', '.join(RULES)}")


def _activity(maps: Tensor, window: int) -> Tensor:
    total = maps.abs().sum(1, keepdim=True)
    return F.avg_pool2d(total, window, stride=1, padding=window // 2) if window > 1 else total
