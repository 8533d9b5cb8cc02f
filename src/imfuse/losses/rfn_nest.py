"""Objectives of RFN-Nest (Information Fusion 73, 2021): rebuild an image, then fuse the features of a pair.

All images are compared in gray levels, 0 to 255, as the released code does; weights of terms are its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.layers.output import stretched
from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.transfusion import released_ms_ssim

WHITE = 255.0
LEVELS = (1.0, 10.0, 100.0, 1000.0)
"""Weights of the features, the finest first."""


@dataclass(frozen=True)
class Reconstruction(WeightedObjective):
    """Stage 1: ``mse + structure (1 - MS-SSIM)`` of single images; the batch holds ``image`` (N, 1, H, W).

    MS-SSIM is the released one, whose last scale counts four times: :func:`released_ms_ssim`.

    Args:
        structure: weight of ``1 - MS-SSIM``.

    Source:
        Information Fusion 73, 2021, and the released code.
    """

    structure: float = 100.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        return self.terms(model.reconstruct(batch["image"]).float(), batch["image"])

    def validate(self, model: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """How well both images of whole pairs are rebuilt."""
        images = torch.cat([batch["infrared"], batch["visible"]])
        return self.terms(model.reconstruct(images).float(), images)[1]

    def terms(self, rebuilt: Tensor, image: Tensor) -> Loss:
        """Loss and parts for an image and its reconstruction, (N, 1, H, W), 1 for white."""
        rebuilt, image = WHITE * rebuilt, WHITE * image
        parts = {"mse": F.mse_loss(rebuilt, image), "structure": 1 - released_ms_ssim(rebuilt, image)}
        return self.weighted(parts, mse=1)


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """Stage 2: the structure of the visible image, and features that lie nearer to those of the infrared one.

    Features of scale k are to be ``infrared`` times those of the infrared plus ``visible`` times those of the visible
    image; their mean square distances count 1, 10, 100 and 1000 times. The batch holds ``infrared`` and ``visible``.

    Args:
        structure: weight of ``1 - MS-SSIM`` with the visible image.
        features: of the distances of features.
        infrared: factor of the infrared image's features.
        visible: that of the visible image's.

    Source:
        Information Fusion 73, 2021, and the released code.
    """

    structure: float = 700.0
    features: float = 1.0
    infrared: float = 6.0
    visible: float = 3.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        of_ir, of_vi = model.encode(batch["infrared"]), model.encode(batch["visible"])
        fused = [model.fuse(level, *pair) for level, pair in enumerate(zip(of_ir, of_vi, strict=True))]
        return self.terms(model.decode(fused).float(), batch["visible"], fused, of_ir, of_vi)

    def terms(
        self, image: Tensor, visible: Tensor, fused: list[Tensor], of_ir: list[Tensor], of_vi: list[Tensor]
    ) -> Loss:
        """Loss and parts for the fused image, whose range is stretched first, and features of four scales."""
        distances = [
            weight * F.mse_loss(f.float(), self.infrared * i.float() + self.visible * v.float())
            for weight, f, i, v in zip(LEVELS, fused, of_ir, of_vi, strict=True)
        ]
        # The released code stretches the batch as one; images are compared one by one here.
        white = WHITE * stretched(image, 1e-5 / WHITE)
        parts = {
            "structure": 1 - released_ms_ssim(white, WHITE * visible),
            "features": torch.stack(distances).sum(),
        }
        return self.weighted(parts)
