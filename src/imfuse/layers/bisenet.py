"""BiSeNet: real-time segmentation by a shallow spatial path and a deep context path.

Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation", ECCV 2018, with ResNet-18 in
the context path. Methods that are trained in the loop of a segmentation use it; fusion itself does not need it.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.resnet import ConvNorm, residual_stage

WIDTH = 128
"""Channels of either path."""


class Refinement(nn.Module):
    """Attention refinement module: 128 channels, weighted by their global averages."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = ConvNorm(inputs, WIDTH)
        self.weigh = nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, 128, h, w)."""
        maps: Tensor = self.conv(x)
        weights: Tensor = self.weigh(maps.mean((2, 3), keepdim=True))
        return maps * weights.sigmoid()


class Context(nn.Module):
    """Context path: ResNet-18, whose deep features are refined and upsampled step by step to 1/8 of the image size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(ConvNorm(channels, 64, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
        widths = (64, 64, 128, 256, 512)
        self.stages = nn.ModuleList(
            residual_stage(inputs, outputs, 2, stride=2 if number else 1)
            for number, (inputs, outputs) in enumerate(pairwise(widths))
        )
        self.whole = nn.Sequential(nn.Conv2d(512, WIDTH, 1), nn.ReLU())
        self.refine_16, self.refine_32 = Refinement(256), Refinement(512)
        self.smooth_8, self.smooth_16 = ConvNorm(WIDTH, WIDTH), ConvNorm(WIDTH, WIDTH)

    def forward(self, image: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, 128, H / 8, W / 8)."""
        maps, levels = self.first(image), []
        for stage in self.stages:
            maps = stage(maps)
            levels.append(maps)
        _, eighth, sixteenth, deepest = levels
        deep = self.refine_32(deepest) + self.whole(deepest.mean((2, 3), keepdim=True))
        deep = self.smooth_16(F.interpolate(deep, size=sixteenth.shape[2:]))
        deep = self.refine_16(sixteenth) + deep
        smoothed: Tensor = self.smooth_8(F.interpolate(deep, size=eighth.shape[2:]))
        return smoothed


class Merge(nn.Module):
    """Feature fusion module: the channels of both paths, weighted by their global averages."""

    def __init__(self) -> None:
        super().__init__()
        width = 2 * WIDTH
        self.conv = ConvNorm(width, width, 1)
        self.weigh = nn.Sequential(
            nn.Conv2d(width, width // 4, 1, bias=False), nn.ReLU(), nn.Conv2d(width // 4, width, 1, bias=False)
        )

    def forward(self, fine: Tensor, deep: Tensor) -> Tensor:
        """Maps of both paths, (N, 128, h, w) each, to (N, 256, h, w)."""
        maps: Tensor = self.conv(torch.cat([fine, deep], dim=1))
        weights: Tensor = self.weigh(maps.mean((2, 3), keepdim=True))
        return maps + maps * weights.sigmoid()


class BiSeNet(nn.Module):
    """Segmentation of an image, of RGB if ``channels`` says nothing else, into ``classes`` classes.

    >>> result, middle = BiSeNet(9).eval()(torch.zeros(1, 3, 70, 90))
    >>> result.shape, middle.shape
    (torch.Size([1, 9, 70, 90]), torch.Size([1, 9, 70, 90]))
    """

    def __init__(self, classes: int, channels: int = 3) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            ConvNorm(channels, 64, 7, stride=2),
            ConvNorm(64, 64, stride=2),
            ConvNorm(64, 64, stride=2),
            ConvNorm(64, WIDTH, 1),
        )
        self.context, self.merge = Context(channels), Merge()
        self.result = nn.Sequential(ConvNorm(2 * WIDTH, 2 * WIDTH), nn.Conv2d(2 * WIDTH, classes, 1))
        self.middle = nn.Sequential(ConvNorm(WIDTH, 64), nn.Conv2d(64, classes, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, channels, H, W) to logits (N, classes, H, W): of both paths, and of the context path alone."""
        deep = self.context(image)
        logits = self.result(self.merge(self.fine(image), deep)), self.middle(deep)
        result, middle = (F.interpolate(part, size=image.shape[2:], mode="bilinear") for part in logits)
        return result, middle
