"""Objective of SeAFusion (Information Fusion 2022): the brighter pixel, the stronger edge.

Its semantic term needs a segmentation network that is trained in turns with the fusion; it is not here. The published
training begins with a round without it, and weighs it by the number of the round, up to 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.losses.common import sobel_magnitude


@dataclass(frozen=True)
class Objective:
    """``intensity + gradient * (edges)``. The batch holds ``infrared`` and ``visible`` (N, 1, H, W) in [0, 1]."""

    gradient: float = 10.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and its named parts."""
        fused = model(batch["infrared"], batch["visible"]).float()
        return self.terms(fused, batch["infrared"], batch["visible"])

    def terms(self, fused: Tensor, infrared: Tensor, visible: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and parts for a fused image."""
        edges = torch.maximum(sobel_magnitude(infrared), sobel_magnitude(visible))
        parts = {
            "intensity": F.l1_loss(fused, torch.maximum(infrared, visible)),
            "gradient": F.l1_loss(sobel_magnitude(fused), edges),
        }
        return parts["intensity"] + self.gradient * parts["gradient"], parts
