"""Checkpoints of the authors of segmentation networks to files of segmenters: recognised by names and shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from imfuse.core.checkpoint import read_checkpoint
from imfuse.core.errors import WeightsError
from imfuse.core.text import printable
from imfuse.core.weights import check_finite, check_floating, check_layout
from imfuse.tasks.segment.file import CHANNELS, MAX_CLASSES, fill, save_segmenter, without_memory
from imfuse.tasks.segment.networks import SEGMENTERS, SegmentationNetwork, network_class

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Red, green and blue of ImageNet, in [0, 1]."""


def convert_segmenter(
    checkpoint: Path,
    target: Path,
    name: str | None = None,
    mean: Sequence[float] = IMAGENET_MEAN,
    deviation: Sequence[float] = IMAGENET_DEVIATION,
) -> str:
    """Turn a checkpoint of the authors of a network, or of others with their names of entries, into a segmenter's file.

    Layers that no result depends on, such as ``decode_head.conv_seg`` of SegFormer, are left out.

    Args:
        checkpoint: of PyTorch, with plain tensors.
        target: the ``.safetensors`` file to write.
        name: the network, where it is not to be recognised by names and shapes.
        mean: by which its pictures were normalised, in [0, 1]; as many as it has channels.
        deviation: the same.

    Returns:
        The name of the network.

    Raises:
        WeightsError: it is no checkpoint of plain tensors, or its layout is not that of the network, or of any.

    Example:
        ```python
        convert_segmenter(Path("iter_160000.pth"), Path("segformer.safetensors"))  # "segformer_b2"
        ```
    """
    entries = read_checkpoint(checkpoint)
    name = name or recognise(entries, checkpoint)
    network = _meta_network(name, entries, checkpoint)
    wanted = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    ours = network.from_published(entries, list(wanted))
    check_layout(checkpoint, ours, wanted)
    check_floating(checkpoint, ours, wanted)
    check_finite(checkpoint, ours)
    fill(network, {**network.state_dict(), **{key: ours[key].float() for key in wanted}})
    classes, channels = _ends(network)
    if not len(mean) == len(deviation) == channels or not all(map(math.isfinite, mean)) or min(deviation) <= 0:
        raise WeightsError(
            f"{printable(checkpoint)}: pictures of {channels} channels; mean and deviation need as many numbers, "
            "deviations above 0",
            "give them as mean=... and deviation=...",
        )
    origin = f"converted from {printable(checkpoint.name)}"
    save_segmenter(target, network, name, classes, channels, mean, deviation, origin=origin)
    return name


def recognise(entries: Mapping[str, Tensor], origin: Path) -> str:
    """Name of the network that has these entries, by their names and shapes. Raises ``WeightsError``."""
    known = [name for name in SEGMENTERS if network_class(name).published]
    for name in known:
        try:
            network = _meta_network(name, entries, origin)
        except WeightsError:
            continue
        wanted = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
        found = network.from_published(entries, list(wanted))
        if found.keys() == wanted.keys() and all(found[key].shape == value.shape for key, value in wanted.items()):
            return name
    raise WeightsError(f"{printable(origin)}: not the layout of a known segmentation network: {', '.join(known)}")


def _meta_network(name: str, entries: Mapping[str, Tensor], origin: Path) -> SegmentationNetwork:
    """A network without memory, of as many channels and classes as a checkpoint of the authors has."""
    family = network_class(name)
    first, last = (entries.get(family.published_name(end)) for end in family.ends)
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        raise WeightsError(f"{printable(origin)}: lacks the first or the last layer of {name}")
    classes, channels = last.shape[0], first.shape[1]
    if not (0 < classes <= MAX_CLASSES and channels in CHANNELS):
        found = f"{printable(origin)}: {classes} classes and {channels} channels"
        raise WeightsError(f"{found}; 1 to {MAX_CLASSES} classes and 3 or 4 channels are expected")
    return without_memory(name, classes, channels)


def _ends(network: SegmentationNetwork) -> tuple[int, int]:
    """Classes and channels of a network."""
    state = network.state_dict()
    first, last = (state[end] for end in network.ends)
    return last.shape[0], first.shape[1]
