"""BANet: a ResNet-34 whose three deepest levels meet in a decoder of gates.

Peng, Tian, Chen, Guo and Ma, "Bilateral attention decoder: A lightweight decoder for real-time semantic segmentation",
Neural Networks 137, 2021, doi 10.1016/j.neunet.2021.01.021; in the form that the authors of PSFusion judge fused
pictures by, whose stem has no ReLU and whose decoder multiplies where the article adds.
"""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor, nn

from imfuse.layers.resnet import residual_stage
from imfuse.losses.common import hard_pixel_loss
from imfuse.tasks.segment.networks._base import SegmentationNetwork, resize, size_of

HARD = 0.7
"""Pixels whose true class has a lower probability are hard."""
HARD_SHARE = 16
"""One pixel in so many counts at least."""
WEIGHTS = (10.0, 7.5)
"""Of the two heads in the objective."""

WINDOW, STRIDE = 480, 400
"""Side of the windows of test-time augmentation, and pixels from one to the next."""

VARIANTS: dict[str, dict[str, Any]] = {
    "banet": {"stem": 64, "widths": (64, 128, 256, 512), "depths": (3, 4, 6, 3), "decoder": 128, "side": 64},
    "banet_compact": {"stem": 32, "widths": (32, 64, 96, 128), "depths": (1, 1, 1, 1), "decoder": 48, "side": 32},
}
"""Sizes by name; the compact one is ours."""


def windows(side: int) -> list[slice]:
    """Where windows lie along a side: the last one ends with the picture.

    >>> windows(640), windows(300)
    ([slice(0, 480, None), slice(160, 640, None)], [slice(0, 300, None)])
    """
    length = min(WINDOW, side)
    count = 1 + -(-(side - length) // STRIDE)
    return [slice(start, start + length) for start in (min(i * STRIDE, side - length) for i in range(count))]


class ConvNorm(nn.Sequential):
    """Convolution without a bias, batch norm, and an activation: leaky ReLU, or a sigmoid for a gate."""

    def __init__(self, inputs: int, outputs: int, side: int = 3, gate: bool = False) -> None:
        conv = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.Sigmoid() if gate else nn.LeakyReLU(0.01))


class Trunk(nn.Module):
    """ResNet: maps of a picture at 1/8, 1/16 and 1/32 of its size."""

    def __init__(self, channels: int, stem: int, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        super().__init__()
        conv = nn.Conv2d(channels, stem, 7, 2, 3, bias=False)
        self.stem = nn.Sequential(conv, nn.BatchNorm2d(stem), nn.MaxPool2d(3, 2, 1))
        self.stages = nn.ModuleList(
            residual_stage(inputs, outputs, blocks, stride=2 if number else 1)
            for number, ((inputs, outputs), blocks) in enumerate(zip(pairwise((stem, *widths)), depths, strict=True))
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, channels, H, W) to three tensors (N, width, h, w)."""
        maps, levels = self.stem(images), []
        for stage in self.stages:
            maps = stage(maps)
            levels.append(maps)
        return levels[1:]


class Refinement(nn.Module):
    """Maps weighted by their global averages."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv = ConvNorm(inputs, width)
        self.weigh = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.Sigmoid())

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, width, h, w)."""
        refined: Tensor = self.conv(maps)
        weights: Tensor = self.weigh(refined.mean((2, 3), keepdim=True))
        return refined * weights


class Step(nn.Module):
    """A deeper level joins the next finer one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.smooth, self.join = ConvNorm(width, width), ConvNorm(2 * width, width, 1)

    def forward(self, deep: Tensor, fine: Tensor) -> Tensor:
        """(N, width, h / 2, w / 2) and (N, width, h, w) to (N, width, h, w)."""
        smoothed = self.smooth(resize(deep, size_of(fine)))
        joined: Tensor = self.join(torch.cat([smoothed, fine], dim=1))
        return joined


class Decoder(nn.Module):
    """Three levels to one at 1/8 of the picture's size, by two gates in a row: what is deep selects in what is fine."""

    def __init__(self, widths: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.refine = nn.ModuleList(Refinement(inputs, width) for inputs in widths)
        self.step_16, self.step_8 = Step(width), Step(width)
        self.gate_16, self.gate_8 = ConvNorm(width, width, 1, gate=True), ConvNorm(width, width, 1, gate=True)
        self.mix = ConvNorm(width, width, 1)

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps at 1/8, 1/16 and 1/32 to those of both heads, (N, width, h, w), at 1/8 and at 1/16."""
        size = size_of(levels[0])
        eighth, sixteenth, deepest = (refine(level) for refine, level in zip(self.refine, levels, strict=True))
        middle = resize(self.step_16(deepest, sixteenth), size)
        fine = self.step_8(sixteenth, eighth)
        gate = self.gate_16(resize(deepest, size)) * middle
        return self.mix(fine * self.gate_8(gate)), sixteenth


class Head(nn.Sequential):
    """Logits of maps."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__(ConvNorm(inputs, width), nn.Conv2d(width, classes, 1, bias=False))


class BANet(SegmentationNetwork):
    """BANet in one of the sizes of ``VARIANTS``, from random values. In training a batch holds two pictures at least.

    >>> network = BANet(9, 3, **VARIANTS["banet_compact"]).eval()
    >>> network(torch.zeros(1, 3, 61, 95)).shape
    torch.Size([1, 9, 61, 95])
    """

    ends = ("trunk.stem.0.weight", "result.1.weight")
    ratios = (1.0, 1.2)
    published = (
        (r"^trunk\.stem\.0", "cp.resnet.conv1"),
        (r"^trunk\.stem\.1", "cp.resnet.bn1"),
        *((rf"^trunk\.stages\.{number}", f"cp.resnet.layer{number + 1}") for number in range(4)),
        *((rf"^decoder\.refine\.{number}", f"cp.arm{8 << number}") for number in range(3)),
        (r"^decoder\.step_16\.smooth", "cp.conv_head32"),
        (r"^decoder\.step_16\.join", "cp.sp16"),
        (r"^decoder\.step_8\.smooth", "cp.conv_head16"),
        (r"^decoder\.step_8\.join", "cp.sp8"),
        (r"^decoder\.gate_16", "cp.conv_fuse1"),
        (r"^decoder\.gate_8", "cp.conv_fuse2"),
        (r"^decoder\.mix", "cp.conv_fuse"),
        (r"\.weigh\.0", ".conv_atten"),
        (r"\.weigh\.1", ".bn_atten"),
        (r"^(result|side)\.0", r"\1.conv"),
        (r"^(result|side)\.1", r"\1.conv_out"),
        (r"^result", "conv_out"),
        (r"^side", "conv_out16"),
        # The two layers of a ConvNorm.
        (r"(arm\d+\.conv|head\d+|sp\d+|fuse\d?|out(?:16)?\.conv)\.0\.", r"\1.conv."),
        (r"(arm\d+\.conv|head\d+|sp\d+|fuse\d?|out(?:16)?\.conv)\.1\.", r"\1.bn."),
    )

    def __init__(
        self,
        classes: int,
        channels: int,
        *,
        stem: int,
        widths: tuple[int, ...],
        depths: tuple[int, ...],
        decoder: int,
        side: int,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.trunk = Trunk(channels, stem, widths, depths)
        self.decoder = Decoder(widths[1:], decoder)
        self.result, self.side = Head(decoder, decoder, classes), Head(decoder, side, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=1)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures (N, channels, H, W) to logits (N, classes, H, W)."""
        return self.predict(images)[0]

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the main head, and of the one that only training looks at; (N, classes, H, W) each."""
        size = self.check_size(images)
        fine, middle = self.decoder(self.trunk(images))
        logits, side = (resize(part, size, align_corners=True) for part in (self.result(fine), self.side(middle)))
        return logits, side

    def augmented(self, images: Tensor) -> Tensor:
        """Scores by test-time augmentation: exponentials of probabilities, summed over windows in two sizes.

        As published, a pixel in several windows counts as often.
        """
        size, total = size_of(images), torch.zeros((), device=images.device)
        for ratio in self.ratios:
            picture = resize(images, (int(size[0] * ratio), int(size[1] * ratio)), align_corners=True)
            rows, columns = (windows(side) for side in size_of(picture))
            scores = picture.new_zeros(len(picture), self.classes, *size_of(picture))
            for top, left in product(rows, columns):
                part = picture[..., top, left]
                scores[..., top, left] += self.both_ways(part, size_of(part)).exp()
            total = total + resize(scores, size, align_corners=True)
        return total

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of the hard pixels of both heads."""
        least = labels.numel() // HARD_SHARE
        main, side = (hard_pixel_loss(logits, labels, least, HARD) for logits in self.predict(images))
        return WEIGHTS[0] * main + WEIGHTS[1] * side
