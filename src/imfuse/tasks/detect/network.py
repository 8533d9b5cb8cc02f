"""A small anchor-free detector of the field's standard parts, to be trained on fused pictures: about 1 M parameters.

- Backbone: residual blocks of a 1x1 and a 3x3 convolution, as in Darknet-53 (Redmon and Farhadi, "YOLOv3",
  arXiv 1804.02767), at strides 4 to 32.
- Neck: a feature pyramid (Lin et al., CVPR 2017, arXiv 1612.03144) of strides 8, 16 and 32.
- Heads: one for classes and one for boxes, shared by all strides, without anchors, as in FCOS (Tian et al., ICCV 2019,
  arXiv 1904.01355). A place says where the centre of its object lies and how large it is (Ge et al., "YOLOX",
  arXiv 2107.08430), so that objects smaller than the stride have places too.
- Objective: the quality focal loss (Li et al., "Generalized Focal Loss", NeurIPS 2020, arXiv 2006.04388), whose target
  is how well the box fits, and 1 - GIoU (Rezatofighi et al., CVPR 2019, arXiv 1902.09630) of boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.boxes import Boxes
from imfuse.tasks.detect.assign import assign, places_of
from imfuse.tasks.detect.boxing import suppressed

STRIDES = (8, 16, 32)
WIDTHS, DEPTHS = (24, 48, 96, 128, 160), (1, 2, 2, 1)
NECK, GROUPS = 64, 16
BOX_WEIGHT = 2.0
PRIOR = 0.01
"""What a head says of every class before it has learnt anything (Lin et al., "Focal loss", ICCV 2017, section 4.1)."""
MIN_SCORE, NMS_IOU, CANDIDATES, MOST = 0.01, 0.6, 1000, 100


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, norm and activation; halves sides with ``stride`` 2, rounded up."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.SiLU()
    )


class Residual(nn.Module):
    """Half the channels, a 3x3 convolution back to all, and the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(conv(channels, channels // 2, 1), conv(channels // 2, channels, 3))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to the same."""
        added: Tensor = self.inner(maps)
        return maps + added


class Backbone(nn.Module):
    """Features at strides 8, 16 and 32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = conv(channels, WIDTHS[0], 3, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(conv(narrow, wide, 3, stride=2), *(Residual(wide) for _ in range(depth)))
            for narrow, wide, depth in zip(WIDTHS, WIDTHS[1:], DEPTHS, strict=False)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """The three maps, the largest first."""
        maps, found = self.stem(images), []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found[1:]


class Pyramid(nn.Module):
    """Each map gets what the coarser ones have found, and all get the same width."""

    def __init__(self) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv(width, NECK, 1) for width in WIDTHS[2:])
        self.smooth = nn.ModuleList(conv(NECK, NECK, 3) for _ in STRIDES)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(N, 64, H / stride, W / stride) for each stride."""
        merged = [lateral(level) for lateral, level in zip(self.lateral, maps, strict=True)]
        for i in (1, 0):
            merged[i] = merged[i] + F.interpolate(merged[i + 1], size=merged[i].shape[2:], mode="nearest")
        return [smooth(level) for smooth, level in zip(self.smooth, merged, strict=True)]


def head_conv() -> nn.Sequential:
    """As :func:`conv`, with a norm that keeps no statistics: those of three strides in one would fit none of them."""
    return nn.Sequential(nn.Conv2d(NECK, NECK, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, NECK), nn.SiLU())


class Head(nn.Module):
    """Two towers: logits of the classes, and four numbers of the box, at every place."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.class_tower = nn.Sequential(head_conv(), head_conv())
        self.box_tower = nn.Sequential(head_conv(), head_conv())
        self.logits = nn.Conv2d(NECK, classes, 1)
        self.boxes = nn.Conv2d(NECK, 4, 1)
        nn.init.constant_(self.logits.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(N, places, classes) and (N, places, 4) of (N, 64, h, w), row by row."""
        found = self.logits(self.class_tower(maps)), self.boxes(self.box_tower(maps))
        logits, boxes = (one.flatten(2).transpose(1, 2) for one in found)
        return logits, boxes


class DetectorNetwork(nn.Module):
    """Finds objects in pictures of any size.

    Args:
        classes: how many there are.
        channels: of the pictures: 1, 3, or 4 where infrared comes with the colours.

    Example:
        >>> network = DetectorNetwork(classes=3)
        >>> sum(parameter.numel() for parameter in network.parameters())
        1030159
        >>> len(network.eval().find(torch.zeros(2, 3, 61, 95)))
        2
    """

    def __init__(self, classes: int, channels: int = 3) -> None:
        super().__init__()
        self.classes, self.channels = classes, channels
        self.backbone = Backbone(channels)
        self.pyramid = Pyramid()
        self.head = Head(classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, places, classes) and boxes (N, places, 4): left, top, right, bottom in pixels.

        Places are those of all strides, the finest first, each from the top left.
        """
        levels = [self.head(maps) for maps in self.pyramid(self.backbone(images))]
        logits, numbers = (torch.cat(parts, dim=1) for parts in zip(*levels, strict=True))
        places, strides = places_of(images.shape[2:], STRIDES, images.device)
        centres = places + numbers[..., :2] * strides
        # No box is larger than e^4 strides at the start of a training, which would overflow.
        halves = numbers[..., 2:].clamp(max=4.0).exp() * strides / 2
        return logits, torch.cat([centres - halves, centres + halves], dim=-1)

    def loss(self, images: Tensor, boxes: Sequence[Boxes]) -> Tensor:
        """What training minimises.

        Args:
            images: (N, channels, H, W), normalised.
            boxes: the objects of each.

        Returns:
            A number: classes over all places, and boxes over those that have an object.
        """
        logits, found = self(images)
        targets = assign(boxes, images.shape[2:], STRIDES, images.device)
        positives = max(1, int(targets.positive.sum()))
        overlap, generalised = iou_and_giou(found[targets.positive], targets.boxes[targets.positive])
        wanted = torch.zeros_like(logits)
        wanted[targets.positive] = (
            F.one_hot(targets.classes[targets.positive], self.classes) * overlap.detach()[:, None]
        )
        class_loss = quality_focal_loss(logits, wanted).sum() / positives
        return class_loss + BOX_WEIGHT * (1 - generalised).sum() / positives

    @torch.no_grad()
    def find(self, images: Tensor, min_score: float = MIN_SCORE) -> list[Boxes]:
        """Objects of each picture, the surest first.

        Args:
            images: (N, channels, H, W), normalised.
            min_score: least confidence.

        Returns:
            At most 100 boxes for each, cut off at the borders, without those that overlap a surer one of their class.
        """
        logits, corners = self(images)
        height, width = images.shape[2:]
        limits = corners.new_tensor([width, height, width, height])
        corners = torch.minimum(corners.clamp(min=0), limits)
        scores, classes = logits.sigmoid().max(dim=-1)
        parts = zip(corners.double().cpu().numpy(), classes.cpu().numpy(), scores.double().cpu().numpy(), strict=True)
        all_ = [Boxes.of(*part) for part in parts]
        # Beside the picture a box is cut off to nothing.
        found = [boxes.where((boxes.scores >= min_score) & (boxes.areas > 0)) for boxes in all_]
        surest = [boxes.where(np.argsort(-boxes.scores, kind="stable")[:CANDIDATES]) for boxes in found]
        return [boxes.where(suppressed(boxes, NMS_IOU)[:MOST]) for boxes in surest]


def iou_and_giou(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of boxes (N, 4) one by one, and the generalised one, which knows how far apart they are.

    >>> [round(value.item(), 3) for value in iou_and_giou(torch.tensor([[0., 0, 2, 2]]), torch.tensor([[3., 0, 5, 2]]))]
    [0.0, -0.2]
    """
    shared = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(min=0)
    around = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (first, second)]
    intersection, hull = shared.prod(1), around.prod(1).clamp(min=1e-6)
    union = (areas[0] + areas[1] - intersection).clamp(min=1e-6)
    overlap = intersection / union
    return overlap, overlap - (hull - union) / hull


def quality_focal_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy of targets in [0, 1], weighed by the square of how far the answer is from them."""
    distance = (logits.sigmoid() - wanted).square()
    return distance * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
