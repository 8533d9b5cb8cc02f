"""Objective of AUIF-Net: rebuild a single image (IEEE TCSVT 2021, section III-D)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import dssim


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """``MSE + ssim * dssim`` with a 3x3 window. The batch holds ``image`` (N, 1, H, W): infrared or visible alike.

    Args:
        ssim: weight of the structural dissimilarity.

    Source:
        IEEE TCSVT 2021, section III-D.
    """

    ssim: float = 5.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        return self.terms(batch["image"], model.reconstruct(batch["image"]).float())

    def terms(self, image: Tensor, rebuilt: Tensor) -> Loss:
        """Loss and parts for an image and its reconstruction."""
        parts = {"mse": F.mse_loss(rebuilt, image), "dssim": dssim(image, rebuilt, window=3)}
        return self.weighted(parts, mse=1, dssim=self.ssim)
