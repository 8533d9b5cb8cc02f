"""Objective of DIDFuse (IJCAI 2020): rebuild both images, pull background maps together and detail maps apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import dssim, sobel_gradient


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """Rebuild both images of a pair. The batch holds ``infrared`` and ``visible`` (N, 1, H, W), registered.

    Args:
        visible: weight of the distance of the visible image to its reconstruction.
        infrared: that of the infrared image.
        ssim: weight of the structural dissimilarity within both distances.
        background: distance of the background maps of both images, which is to be small.
        detail: distance of their detail maps, which is to be large.
        gradient: distance of the gradients of the visible image to those of its reconstruction.

    Source:
        IJCAI 2020; weights are those of the released code.
    """

    visible: float = 2.0
    infrared: float = 2.0
    ssim: float = 5.0
    background: float = 1.0
    detail: float = 0.5
    gradient: float = 10.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts. The visible image goes first: each pass has its own batch statistics."""
        maps_vi = model.encoder(batch["visible"])
        rebuilt_vi = model.decoder(maps_vi).float()
        maps_ir = model.encoder(batch["infrared"])
        rebuilt_ir = model.decoder(maps_ir).float()
        return self.terms(
            (batch["infrared"], rebuilt_ir, maps_ir.background, maps_ir.detail),
            (batch["visible"], rebuilt_vi, maps_vi.background, maps_vi.detail),
        )

    def terms(
        self, infrared: tuple[Tensor, Tensor, Tensor, Tensor], visible: tuple[Tensor, Tensor, Tensor, Tensor]
    ) -> Loss:
        """Loss and parts for (image, reconstruction, background, detail) of each of the two images."""
        (ir, rebuilt_ir, background_ir, detail_ir), (vi, rebuilt_vi, background_vi, detail_vi) = infrared, visible
        parts = {
            "visible": self.ssim * dssim(vi, rebuilt_vi) + F.mse_loss(rebuilt_vi, vi),
            "background": _mean_distance(background_ir, background_vi).tanh(),
            "detail": _mean_distance(detail_ir, detail_vi).tanh(),
            "gradient": F.l1_loss(sobel_gradient(rebuilt_vi), sobel_gradient(vi)),
            "infrared": self.ssim * dssim(ir, rebuilt_ir) + F.mse_loss(rebuilt_ir, ir),
        }
        return self.weighted(parts, detail=-self.detail)


def _mean_distance(first: Tensor, second: Tensor) -> Tensor:
    # Maps may be bfloat16; their mean over millions of values must not be.
    return (first - second).abs().mean(dtype=torch.promote_types(first.dtype, torch.float32))
