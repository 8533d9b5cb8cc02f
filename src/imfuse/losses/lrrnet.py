"""Objective of LRRNet (TPAMI 2023): the pixels of the visible image, features of both by VGG-16, textures of infrared.

All images are compared in gray levels, 0 to 255; the result's range is stretched to them first, image by image, since
the network leaves it open. VGG-16 of ImageNet is a file that the user has: see ``layers.vgg.perceptual_network``. It is
torchvision's, which sees normalised images; the authors' release of it sees gray levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.layers.output import stretched
from imfuse.layers.vgg import DEVIATION, MEAN, perceptual_network

WHITE = 255.0


@dataclass(frozen=True)
class Objective:
    """Weights are those of the released code. The batch holds ``infrared`` and ``visible`` (N, 1, H, W), registered.

    ``middle`` and ``deep`` weigh the features of levels 2 and 3, which are to be ``infrared_share`` times those of the
    infrared and ``visible_share`` times those of the visible image.
    """

    pixel: float = 10.0
    shallow: float = 1.5
    middle: float = 0.01
    deep: float = 0.5
    texture: float = 2000.0
    infrared_share: float = 3.0
    visible_share: float = 0.5

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and its named parts."""
        infrared, visible = batch["infrared"], batch["visible"]
        fused = WHITE * stretched(model.raw(infrared, visible).float(), 1e-5)
        images = fused, WHITE * infrared, WHITE * visible
        vgg = perceptual_network(fused.device)
        mean, deviation = (fused.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        features = [vgg((image / WHITE - mean) / deviation)[:4] for image in images]
        return self.terms(images, features)

    def terms(self, images: Sequence[Tensor], features: Sequence[Sequence[Tensor]]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and parts for (fused, infrared, visible) images in gray levels and their features of four levels."""
        (fused, _, visible), (of_fused, of_ir, of_vi) = images, features

        def joined(level: int) -> Tensor:
            return self.infrared_share * of_ir[level] + self.visible_share * of_vi[level]

        parts = {
            "pixel": F.mse_loss(fused, visible),
            "shallow": F.mse_loss(of_fused[0], of_vi[0]),
            "middle": F.mse_loss(of_fused[1], joined(1)),
            "deep": F.mse_loss(of_fused[2], joined(2)),
            "texture": F.mse_loss(gram(of_fused[3]), gram(of_ir[3])),
        }
        return torch.stack([getattr(self, name) * part for name, part in parts.items()]).sum(), parts


def gram(features: Tensor) -> Tensor:
    """Products of all pairs of channels, (N, C, H, W) to (N, C, C), divided by the number of values C H W.

    >>> gram(torch.ones(1, 2, 4, 4)).tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]
    """
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / features[0].numel()
