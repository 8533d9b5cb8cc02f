"""BiSeNet: real-time segmentation by a shallow path of fine maps and a deep path of wide sight.

Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation", ECCV 2018, with ResNet-18. It
judges fused images where a method is trained for segmentation; nothing of it is needed to fuse.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.resnet import ConvNorm, residual_stage

WIDTH = 128
"""Maps of either path."""


class Refinement(nn.Module):
    """Attention refinement: 128 maps, each weighed by what the whole image says of it."""

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
    """ResNet-18 and what it says at 1/8 of the size, refined from the deepest maps up."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(ConvNorm(3, 64, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
        widths = (64, 64, 128, 256, 512)
        self.stages = nn.ModuleList(
            residual_stage(before, width, 2, stride=2 if number else 1)
            for number, (before, width) in enumerate(pairwise(widths))
        )
        self.whole = nn.Sequential(nn.Conv2d(512, WIDTH, 1), nn.ReLU())
        self.refine_16, self.refine_32 = Refinement(256), Refinement(512)
        self.smooth_8, self.smooth_16 = ConvNorm(WIDTH, WIDTH), ConvNorm(WIDTH, WIDTH)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 128, H / 8, W / 8)."""
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
    """Feature fusion: the maps of both paths, weighed by what the whole image says of them."""

    def __init__(self) -> None:
        super().__init__()
        wide = 2 * WIDTH
        self.conv = ConvNorm(wide, wide, 1)
        self.weigh = nn.Sequential(
            nn.Conv2d(wide, wide // 4, 1, bias=False), nn.ReLU(), nn.Conv2d(wide // 4, wide, 1, bias=False)
        )

    def forward(self, fine: Tensor, deep: Tensor) -> Tensor:
        """Twice (N, 128, h, w) to (N, 256, h, w)."""
        maps: Tensor = self.conv(torch.cat([fine, deep], dim=1))
        weights: Tensor = self.weigh(maps.mean((2, 3), keepdim=True))
        return maps + maps * weights.sigmoid()


class BiSeNet(nn.Module):
    """Scores of ``classes`` for each pixel of an RGB image.

    >>> result, middle = BiSeNet(9).eval()(torch.zeros(1, 3, 70, 90))
    >>> result.shape, middle.shape
    (torch.Size([1, 9, 70, 90]), torch.Size([1, 9, 70, 90]))
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            ConvNorm(3, 64, 7, stride=2), ConvNorm(64, 64, stride=2), ConvNorm(64, 64, stride=2), ConvNorm(64, WIDTH, 1)
        )
        self.context, self.merge = Context(), Merge()
        self.result = nn.Sequential(ConvNorm(2 * WIDTH, 2 * WIDTH), nn.Conv2d(2 * WIDTH, classes, 1))
        self.middle = nn.Sequential(ConvNorm(WIDTH, 64), nn.Conv2d(64, classes, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) in [0, 1] to the scores of both paths and those of the deep one alone, (N, classes, H, W)."""
        deep = self.context(image)
        scores = self.result(self.merge(self.fine(image), deep)), self.middle(deep)
        whole, middle = (F.interpolate(score, size=image.shape[2:], mode="bilinear") for score in scores)
        return whole, middle
