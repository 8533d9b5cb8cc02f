"""Objective of LRRNet (TPAMI 2023): the pixels of the visible image, features of both by VGG-16, textures of infrared.

All images are compared in gray levels, 0 to 255; the result's range is stretched to them first, image by image, since
the network leaves it open. VGG-16 of ImageNet is a file that the user has: see ``layers.vgg.perceptual_network``. It is
torchvision's, which takes normalised images; the authors' release of it takes gray levels. For those who do not have it
there are features that need no weights: see ``edges``.
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
from imfuse.losses._base import Loss, WeightedObjective
from imfuse.ops.filters import own_precision

WHITE = 255.0


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """The visible image, with features of both. The batch holds ``infrared`` and ``visible`` (N, 1, H, W), registered.

    Args:
        pixel: weight of the distance to the visible image.
        shallow: distance of features of level 1 to those of the visible image.
        middle: distance of features of level 2 to the weighted sum of those of both images.
        deep: the same of level 3.
        texture: distance of the Gram matrix of level 4 to that of the infrared image.
        infrared_share: factor of the infrared image's features in that sum.
        visible_share: factor of the visible image's features.
        vgg: 1: features of VGG-16; 0: edges, which need other weights.

    Source:
        TPAMI 2023; weights are those of the released code.
    """

    pixel: float = 10.0
    shallow: float = 1.5
    middle: float = 0.01
    deep: float = 0.5
    texture: float = 2000.0
    infrared_share: float = 3.0
    visible_share: float = 0.5
    vgg: float = 1.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        infrared, visible = batch["infrared"], batch["visible"]
        fused = WHITE * stretched(model.raw(infrared, visible).float(), 1e-5)
        images = fused, WHITE * infrared, WHITE * visible
        with own_precision(fused):
            features = [perceptual(image) if self.vgg else edges(image) for image in images]
        return self.terms(images, features)

    def terms(self, images: Sequence[Tensor], features: Sequence[Sequence[Tensor]]) -> Loss:
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
        return self.weighted(parts)


def perceptual(image: Tensor) -> list[Tensor]:
    """Features of VGG-16 after the last ReLU of its first four stages, of an image (N, 1, H, W) in gray levels."""
    mean, deviation = (image.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    levels: list[Tensor] = perceptual_network(image.device)((image / WHITE - mean) / deviation)
    return levels[:4]


def edges(image: Tensor) -> list[Tensor]:
    """Rising and falling edges of both directions, four levels of (N, 4, h, w), each level half as large as the last.

    ``image`` is (N, 1, H, W), H, W >= 8; the units are its own, per pixel of the level.

    >>> [tuple(level.shape) for level in edges(torch.rand(1, 1, 64, 48))]
    [(1, 4, 64, 48), (1, 4, 32, 24), (1, 4, 16, 12), (1, 4, 8, 6)]
    """
    sobel = image.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    kernels = torch.stack([sobel, -sobel, sobel.T, -sobel.T])[:, None]
    levels = [image]
    for _ in range(3):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return [F.conv2d(F.pad(level, (1, 1, 1, 1), mode="replicate"), kernels).relu() for level in levels]


def gram(features: Tensor) -> Tensor:
    """Products of all pairs of channels, (N, C, H, W) to (N, C, C), divided by the number of values C H W.

    >>> gram(torch.ones(1, 2, 4, 4)).tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]
    """
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / features[0].numel()
