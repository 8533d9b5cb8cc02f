"""BiSeNet as SeAFusion trains it. The network is in :mod:`imfuse.layers.bisenet`, since a fusion method uses it too."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from imfuse.layers.bisenet import BiSeNet
from imfuse.losses.common import hard_pixel_loss
from imfuse.losses.seafusion import HARD, HARD_SHARE, Segmentation
from imfuse.tasks.segment.networks._base import SegmentationNetwork

VARIANTS: dict[str, dict[str, Any]] = {"bisenet": {}}


class BiSeNetSegmenter(SegmentationNetwork):
    """BiSeNet with ResNet-18, from random values.

    >>> import torch
    >>> BiSeNetSegmenter(9, 3).eval()(torch.zeros(1, 3, 61, 95)).shape
    torch.Size([1, 9, 61, 95])
    """

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.network = BiSeNet(classes, channels)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures (N, channels, H, W) to logits (N, classes, H, W)."""
        self.check_size(images)
        logits: Tensor = self.network(images)[0]
        return logits

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of the hard pixels, of both paths and of the deep one alone, as in SeAFusion."""
        logits = self.network(images)
        both, deep = (hard_pixel_loss(part, labels, probability=HARD, share=HARD_SHARE) for part in logits)
        return both + Segmentation().middle * deep
