"""Objective of SDNet (IJCV 2021): intensities of both sources, gradients of the sharper one, both sources recovered.

Images are (N, 1, H, W) in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from imfuse.losses._base import Loss, WeightedObjective
from imfuse.ops.filters import own_precision


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """``intensity + gradient * (gradients) + decomposition * (both sources)``; the defaults are infrared and visible.

    Medical pairs: ``gradient=10``; several exposures: ``gradient=50, visible=1``; several focal planes: ``gradient=3,
    visible=1``. The batch holds ``infrared`` and ``visible`` in [0, 1].

    Args:
        gradient: weight of the distance of the gradients to those of the sharper source.
        visible: that of the visible image within the intensity.
        decomposition: of the distance of both sources to what is recovered of them.

    Source:
        IJCV 2021.
    """

    gradient: float = 80.0
    visible: float = 0.5
    decomposition: float = 1.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        infrared, visible = model.prepare(batch["infrared"], batch["visible"])
        fused = model.fuse(infrared, visible)
        return self.terms(fused.float(), infrared, visible, *(x.float() for x in model.decompose(fused)))

    def terms(
        self, fused: Tensor, infrared: Tensor, visible: Tensor, recovered_infrared: Tensor, recovered_visible: Tensor
    ) -> Loss:
        """Loss and parts for a fused image and the sources that were recovered from it."""
        sharper = sharper_visible(infrared, visible)
        edges, edges_ir, edges_vi = (laplacian(image) for image in (fused, infrared, visible))
        parts = {
            "intensity": F.mse_loss(fused, infrared) + self.visible * F.mse_loss(fused, visible),
            "gradient": ((1 - sharper) * (edges - edges_ir).square()).mean()
            + (sharper * (edges - edges_vi).square()).mean(),
            "decomposition": F.mse_loss(recovered_infrared, infrared) + F.mse_loss(recovered_visible, visible),
        }
        return self.weighted(parts, intensity=1)


def laplacian(image: Tensor) -> Tensor:
    """Sum of the four neighbours less four times the pixel, zeros outside."""
    return _filtered(image, [[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


def sharper_visible(infrared: Tensor, visible: Tensor) -> Tensor:
    """1 where the blurred visible image has the larger Laplacian, else 0."""
    low = [[0.0947, 0.1183, 0.0947], [0.1183, 0.1478, 0.1183], [0.0947, 0.1183, 0.0947]]
    first, second = (laplacian(_filtered(image, low)).abs() for image in (infrared, visible))
    return (second > first).to(visible.dtype)


def _filtered(image: Tensor, kernel: list[list[float]]) -> Tensor:
    with own_precision(image):
        return F.conv2d(image, image.new_tensor(kernel)[None, None], padding=1)
