"""Networks that tell the class of every pixel of a picture, by name: what fused pictures are judged by."""

from __future__ import annotations

from typing import Any

from imfuse.core.errors import ModelError
from imfuse.core.text import shortened
from imfuse.tasks.segment.networks import banet, bisenet, segformer, segnext, two_stream
from imfuse.tasks.segment.networks._base import SegmentationNetwork

__all__ = ["SEGMENTERS", "SegmentationNetwork", "build_segmenter", "network_class"]

_FAMILIES: tuple[tuple[type[SegmentationNetwork], dict[str, dict[str, Any]]], ...] = (
    (banet.BANet, banet.VARIANTS),
    (bisenet.BiSeNetSegmenter, bisenet.VARIANTS),
    (segformer.SegFormer, segformer.VARIANTS),
    (segnext.SegNeXt, segnext.VARIANTS),
    (two_stream.TwoStream, two_stream.VARIANTS),
)
_VARIANTS = {name: sizes for _, variants in _FAMILIES for name, sizes in variants.items()}
SEGMENTERS = tuple(_VARIANTS)
"""Names that :func:`build_segmenter` knows."""


def network_class(name: str) -> type[SegmentationNetwork]:
    """The class of a network by its name. Raises ``ModelError``."""
    for family, variants in _FAMILIES:
        if name in variants:
            return family
    raise ModelError(f"{shortened(name)!r}: no such segmentation network; there are {', '.join(SEGMENTERS)}")


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
    family: Any = network_class(name)
    default = two_stream.CHANNELS if family is two_stream.TwoStream else 3
    network: SegmentationNetwork = family(classes, default if channels is None else channels, **_VARIANTS[name])
    return network
