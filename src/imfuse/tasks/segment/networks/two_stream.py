"""Two streams: colours and infrared have an encoder each, whose features are added level by level. Ours.

It stands for networks that fuse features instead of pictures, at their simplest: SegFormer's encoder twice, its head
once. Those of the literature add modules between the streams.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from imfuse.core.errors import ModelError
from imfuse.tasks.segment.networks import segformer
from imfuse.tasks.segment.networks._base import SegmentationNetwork, resize
from imfuse.tasks.segment.networks.segformer import AllMLP, MiT, start, start_head

CHANNELS = 4
"""Red, green, blue, infrared."""
VARIANTS: dict[str, dict[str, Any]] = {"two_stream_compact": segformer.VARIANTS["segformer_compact"]}


class TwoStream(SegmentationNetwork):
    """Two encoders of SegFormer, the sum of their features, one head.

    >>> import torch
    >>> network = TwoStream(9, 4, **VARIANTS["two_stream_compact"]).eval()
    >>> network(torch.zeros(1, 4, 61, 95)).shape
    torch.Size([1, 9, 61, 95])
    """

    smallest = segformer.SegFormer.smallest

    def __init__(
        self, classes: int, channels: int, *, widths: tuple[int, ...], depths: tuple[int, ...], head: int
    ) -> None:
        super().__init__()
        if channels != CHANNELS:
            raise ModelError(f"channels={channels}: two streams take red, green, blue and infrared", "use channels=4")
        self.visible, self.infrared = MiT(3, widths, depths), MiT(1, widths, depths)
        self.head = AllMLP(widths, head, classes)
        for encoder in (self.visible, self.infrared):
            start(encoder)
        start_head(self.head)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures (N, 4, H, W) to logits (N, classes, H, W)."""
        size = self.check_size(images)
        both = zip(self.visible(images[:, :3]), self.infrared(images[:, 3:]), strict=True)
        return resize(self.head([colours + heat for colours, heat in both]), size)
