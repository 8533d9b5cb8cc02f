"""Objective of SwinFusion (JAS 2022): the brighter pixel, the stronger edge, and the structure of both images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import sobel_magnitude
from imfuse.ops import ssim
from imfuse.ops.filters import own_precision
from imfuse.ops.windows import gaussian


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """The brighter pixel, the stronger edge, the structure. The batch holds ``infrared`` and ``visible`` (N, 1, H, W).

    Args:
        intensity: weight of the distance to the brighter pixel.
        gradient: of the distance to the stronger edge.
        structure: of the similarity to both images, each by its share of the edges of both, over the whole batch.

    Source:
        IEEE/CAA JAS 2022; weights are those of the released code.
    """

    intensity: float = 20.0
    gradient: float = 20.0
    structure: float = 10.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        fused = model.raw(batch["infrared"], batch["visible"]).float()
        return self.terms(fused, batch["infrared"], batch["visible"])

    def terms(self, fused: Tensor, infrared: Tensor, visible: Tensor) -> Loss:
        """Loss and parts for a fused image."""
        edges = [sobel_magnitude(image) for image in (infrared, visible)]
        share = infrared_share(*edges)
        similar = [zero_padded_ssim(image, fused) for image in (infrared, visible)]
        parts = {
            "intensity": F.l1_loss(fused, torch.maximum(infrared, visible)),
            "gradient": F.l1_loss(sobel_magnitude(fused), torch.maximum(*edges)),
            "structure": 1 - (share * similar[0] + (1 - share) * similar[1]),
        }
        return self.weighted(parts)


def infrared_share(infrared: Tensor, visible: Tensor) -> Tensor:
    """How much of the edges of both images is in the infrared one; half where there are none."""
    first, second = infrared.mean(), visible.mean()
    return torch.where(first + second > 0, first / (first + second), 0.5)


def zero_padded_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Mean structural similarity with an 11x11 Gaussian window of sigma 1.5, zeros around the images."""
    window = gaussian(11, 1.5).to(first)[None, None]

    def mean(x: Tensor) -> Tensor:
        # Variances are differences of nearly equal numbers: mixed precision must not touch them.
        with own_precision(x):
            return F.conv2d(F.conv2d(x, window[..., None], padding=(5, 0)), window[..., None, :], padding=(0, 5))

    return ssim.similarity(*ssim.moments(first, second, mean), *ssim.constants(1)).mean()
