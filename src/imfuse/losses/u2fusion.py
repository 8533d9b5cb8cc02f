"""Objective of U2Fusion (IEEE TPAMI 2022): stay similar to both sources, more so to the more informative one.

The information of a source is, in the paper, the energy of the gradients of its VGG-16 features. The weights of VGG-16
do not come with this library, so that the default measures the gradients of the image itself; ``features=1`` takes
those of a file that the user has: see ``layers.vgg.perceptual_network``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.layers.vgg import DEVIATION, MEAN, perceptual_network
from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import ssim_map
from imfuse.ops.filters import own_precision

SIDE = 224
"""Of the images that VGG-16 takes; its colours are those of ImageNet, less their mean, divided by their deviation."""


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """``w1 (1 - SSIM1) + w2 (1 - SSIM2) + mse (w1 MSE1 + w2 MSE2)``, the weights those of each pair.

    The two weights are the softmax of the information of both images divided by ``scale``. The batch holds ``infrared``
    and ``visible`` (N, 1, H, W) in [0, 1].

    Args:
        mse: weight of the mean square distances.
        scale: of the information; 0 takes the mean of the batch, so that the unit of a measure does not matter: the
            paper's 3200 is for other weights of VGG-16 than torchvision's.
        features: 1 measures information by VGG-16, 0 by the image itself.

    Source:
        IEEE TPAMI 2022.
    """

    mse: float = 20.0
    scale: float = 0.0
    features: float = 0.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        infrared, visible = batch["infrared"], batch["visible"]
        return self.terms(model(infrared, visible).float(), infrared, visible, self.weight(infrared, visible))

    @torch.no_grad()
    def weight(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Weight of the infrared image of each pair, (N,); that of the visible one is what is left to 1."""
        first, second = self.information(infrared), self.information(visible)
        scale = self.scale or (first + second).mean() / 2 + 1e-12
        return torch.sigmoid((first - second) / scale)

    def information(self, image: Tensor) -> Tensor:
        """Information of each image, (N,)."""
        if not self.features:
            return gradient_energy(image)
        small = F.interpolate(image, (SIDE, SIDE), mode="nearest")
        mean, deviation = (small.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        with own_precision(image):
            levels = perceptual_network(image.device)((small - mean) / deviation)
        return torch.stack([gradient_energy(level) for level in levels]).mean(0)

    def terms(self, fused: Tensor, infrared: Tensor, visible: Tensor, weight: Tensor) -> Loss:
        """Loss and parts for a fused image; ``weight`` (N,) is that of the infrared image. H, W >= 11."""
        pairs = ((weight, infrared), (1 - weight, visible))
        similar = [(w * (1 - _ssim(source, fused))).mean() for w, source in pairs]
        near = [(w * (source - fused).square().mean((1, 2, 3))).mean() for w, source in pairs]
        loss = self.weighted({"ssim": similar[0] + similar[1], "mse": near[0] + near[1]}, ssim=1)
        loss.parts["weight"] = weight.mean()
        return loss


def gradient_energy(maps: Tensor) -> Tensor:
    """Mean square of the mean of the eight neighbours less the pixel, zeros outside: (N, C, H, W) to (N,)."""
    kernel = maps.new_full((1, 1, 3, 3), 1 / 8)
    kernel[..., 1, 1] = -1
    with own_precision(maps):
        energy = F.conv2d(maps.flatten(0, 1)[:, None], kernel, padding=1).square()
    return energy.mean((1, 2, 3)).reshape(maps.shape[:2]).mean(1)


def _ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity of each image, of places whose window lies within it."""
    return ssim_map(first, second)[..., 5:-5, 5:-5].mean((1, 2, 3))
