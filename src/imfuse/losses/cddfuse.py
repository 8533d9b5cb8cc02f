"""Objectives of CDDFuse's two stages (CVPR 2023): rebuild both images from base and detail features, then fuse them.

In both stages base features of the two images are to correlate and detail features not to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import dssim, sobel_gradient, sobel_magnitude

OFFSET = 1.01
"""Keeps the divisor of the decomposition positive."""


@dataclass(frozen=True)
class Reconstruction(WeightedObjective):
    """Stage 1: rebuild both images. The batch holds ``infrared`` and ``visible`` (N, 1, H, W).

    Args:
        visible: weight of the distance of the visible image to its reconstruction.
        infrared: that of the infrared image.
        ssim: weight of the structural dissimilarity within both distances.
        gradient: distance of the gradients of the visible image to those of its reconstruction.
        decomposition: see :func:`decomposition`.

    Source:
        CVPR 2023; weights are those of the released code.
    """

    visible: float = 1.0
    infrared: float = 1.0
    ssim: float = 5.0
    gradient: float = 5.0
    decomposition: float = 2.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        infrared, visible = batch["infrared"], batch["visible"]
        of_ir, of_vi = model.encoder(infrared), model.encoder(visible)
        rebuilt_ir, rebuilt_vi = model.decoder(of_ir, infrared).float(), model.decoder(of_vi, visible).float()
        parts = {
            "visible": self.ssim * dssim(visible, rebuilt_vi) + F.mse_loss(rebuilt_vi, visible),
            "infrared": self.ssim * dssim(infrared, rebuilt_ir) + F.mse_loss(rebuilt_ir, infrared),
            "gradient": F.l1_loss(sobel_gradient(rebuilt_vi), sobel_gradient(visible)),
            "decomposition": decomposition(of_ir, of_vi),
        }
        return self.weighted(parts)

    def validate(self, model: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same of whole pairs."""
        return self(model, batch)[1]


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """Stage 2: fuse. The batch holds ``infrared`` and ``visible`` (N, 1, H, W).

    Args:
        intensity: weight of the distance to the brighter pixel.
        gradient: of the distance to the stronger edge.
        decomposition: see :func:`decomposition`.

    Source:
        CVPR 2023; weights are those of the released code.
    """

    intensity: float = 1.0
    gradient: float = 10.0
    decomposition: float = 2.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        infrared, visible = batch["infrared"], batch["visible"]
        of_ir, of_vi = model.encoder(infrared), model.encoder(visible)
        fused = model.decoder(model.fuse(of_ir, of_vi), model.skip_image(infrared, visible)).float()
        _, parts = self.terms(fused, infrared, visible)
        return self.weighted(parts | {"decomposition": decomposition(of_ir, of_vi)})

    def terms(self, fused: Tensor, infrared: Tensor, visible: Tensor) -> Loss:
        """Loss and parts of the images alone."""
        edges = torch.maximum(sobel_magnitude(infrared), sobel_magnitude(visible))
        parts = {
            "intensity": F.l1_loss(fused, torch.maximum(infrared, visible)),
            "gradient": F.l1_loss(sobel_magnitude(fused), edges),
        }
        return self.weighted(parts)


def decomposition(infrared: Any, visible: Any) -> Tensor:
    """Squared correlation of detail over correlation of base features, each ``(base, detail)`` (N, C, H, W)."""
    base = channel_correlation(infrared.base, visible.base)
    return channel_correlation(infrared.detail, visible.detail).square() / (OFFSET + base)


def channel_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Mean over images and channels of Pearson's correlation over the places of a channel."""
    a, b = (x.float() if x.dtype.itemsize < 4 else x for x in (first, second))
    a, b = (x - x.mean((2, 3), keepdim=True) for x in (a, b))
    lengths = a.square().sum((2, 3)).sqrt() * b.square().sum((2, 3)).sqrt()
    correlation = (a * b).sum((2, 3)) / (lengths + torch.finfo(torch.float32).eps)
    return correlation.clamp(-1, 1).mean()
