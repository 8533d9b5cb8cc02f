"""Networks that tell the class of every pixel of a picture, by name: what fused pictures are judged by."""

from __future__ import annotations

from typing import Any

from imfuse.core.errors import ModelError
from imfuse.tasks.segment.networks import banet, bisenet, segformer, segnext, two_stream
from imfuse.tasks.segment.networks._base import SegmentationNetwork

__all__ = ["SEGMENTERS", "SegmentationNetwork", "build_segmenter"]

_FAMILIES: tuple[tuple[Any, dict[str, dict[str, Any]]], ...] = (
    (banet.BANet, banet.VARIANTS),
    (bisenet.BiSeNetSegmenter, bisenet.VARIANTS),
    (segformer.SegFormer, segformer.VARIANTS),
    (segnext.SegNeXt, segnext.VARIANTS),
    (two_stream.TwoStream, two_stream.VARIANTS),
)
SEGMENTERS = tuple(name for _, variants in _FAMILIES for name in variants)
"""Names that :func:`build_segmenter` knows."""


def build_segmenter(name: str, classes: int = 9, channels: int | None = None) -> SegmentationNetwork:
    """Build a segmentation network with random weights.

    Args:
        name: one of ``SEGMENTERS``.
        classes: how many there are; 9 in MSRS and MFNet, the unlabelled one counted.
        channels: of the pictures: 3, or 4 where infrared comes with the colours. Left out: 4 for two streams, else 3.

    Returns:
        The network, in training mode. ``network(images)`` are logits (N, classes, H, W),
        ``network.loss(images, labels)`` is the objective of its paper.

    Raises:
        ModelError: there is no such network, or it cannot have so many channels.

    Example:
        >>> network = build_segmenter("segformer_compact")
        >>> sum(parameter.numel() for parameter in network.parameters())
        706761
    """
    for family, variants in _FAMILIES:
        if name in variants:
            default = two_stream.CHANNELS if name in two_stream.VARIANTS else 3
            network: SegmentationNetwork = family(classes, channels or default, **variants[name])
            return network
    raise ModelError(f"{name!r}: no such segmentation network; there are {', '.join(SEGMENTERS)}")
