"""Files of trained segmentation networks: safetensors, whose header says which network it is and how pictures enter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imfuse.core.errors import ModelError, WeightsError
from imfuse.core.safetensors_file import SAFETENSORS
from imfuse.core.text import printable, shortened
from imfuse.core.version import VERSION
from imfuse.core.weights import read_header, read_state, save_weights
from imfuse.tasks.segment.networks import SegmentationNetwork, build_segmenter

Classes = npt.NDArray[np.uint8]
TASK = "segment"
MAX_CLASSES = 255
"""Class 255 is "unknown" in labels."""
CHANNELS = (3, 4)


@dataclass(frozen=True)
class SegmenterFile:
    """A trained segmentation network, and what its file says of it.

    Args:
        network: in evaluation mode.
        name: which one it is, of ``imfuse.tasks.segment.networks.SEGMENTERS``.
        classes: how many it tells apart.
        channels: of its pictures: 3, or 4 with infrared as the last.
        mean: of each channel in [0, 1]; what pictures are normalised by.
        deviation: the same.
        header: all entries of the header.

    Example:
        >>> network = build_segmenter("segformer_compact").eval()
        >>> file = SegmenterFile(network, "segformer_compact", 9, 3, (0.5,) * 3, (0.25,) * 3, {})
        >>> file.classes_of(np.zeros((40, 50, 3), np.float32)).shape
        (40, 50)
    """

    network: SegmentationNetwork
    name: str
    classes: int
    channels: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    header: Mapping[str, str]

    def normalised(self, pictures: Tensor) -> Tensor:
        """Pictures (N, channels, H, W) in [0, 1] as the network takes them.

        Args:
            pictures: on any device.

        Returns:
            The same shape.
        """
        mean, deviation = (pictures.new_tensor(x)[:, None, None] for x in (self.mean, self.deviation))
        return (pictures - mean) / deviation

    def classes_of(self, picture: npt.NDArray[np.float32], augmented: bool = False) -> Classes:
        """Class number of every pixel of one picture.

        Args:
            picture: (H, W, channels) in [0, 1].
            augmented: by the test-time augmentation of the authors, for networks that have ``ratios``.

        Returns:
            (H, W) uint8.

        Raises:
            ModelError: the picture is too small for the network.
        """
        device = next(self.network.parameters()).device
        tensor = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))[None].to(device)
        with torch.inference_mode():
            normalised = self.normalised(tensor)
            logits = self.network.augmented(normalised) if augmented else self.network(normalised)
        found: Classes = logits[0].argmax(0).to(torch.uint8).numpy(force=True)
        return found


def save_segmenter(
    path: Path,
    network: SegmentationNetwork,
    name: str,
    classes: int,
    channels: int,
    mean: Sequence[float],
    deviation: Sequence[float],
    *,
    origin: str,
    seed: int | None = None,
    steps: int | None = None,
) -> None:
    """Write a trained segmentation network, at once or not at all.

    Args:
        path: ends in ``.safetensors``.
        network: of :func:`~imfuse.tasks.segment.networks.build_segmenter`.
        name: which one it is.
        classes: how many it tells apart.
        channels: of its pictures.
        mean: of each channel in [0, 1], by which pictures were normalised.
        deviation: the same.
        origin: what it was trained on, or where it comes from.
        seed: of the training.
        steps: how many it took.

    Raises:
        WeightsError: the file cannot be written.

    Example:
        ```python
        save_segmenter(path, network, "segformer_compact", 9, 3, mean, deviation, origin="auif on msrs", seed=0)
        ```
    """
    if path.suffix != SAFETENSORS:
        raise WeightsError(f"{printable(path)}: the name of a segmenter's file ends in {SAFETENSORS}")
    facts = {"seed": seed, "steps": steps}
    header = {
        "task": TASK,
        "network": name,
        "classes": str(classes),
        "channels": str(channels),
        "mean": _text(mean),
        "deviation": _text(deviation),
        "origin": origin,
        "software": f"imfuse {VERSION}",
        **{key: str(value) for key, value in facts.items() if value is not None},
    }
    save_weights(path, network.state_dict(), header)


def load_segmenter(path: Path) -> SegmenterFile:
    """Read a file of :func:`save_segmenter`. Nothing in it is executed, and nothing larger than the file is made.

    Args:
        path: the file.

    Returns:
        The network on the processor, in evaluation mode, with what is known of it.

    Raises:
        WeightsError: it is no such file, is damaged, or its header and its weights do not belong together.

    Example:
        ```python
        file = load_segmenter(Path("segformer.safetensors"))
        print(file.name, file.classes, file.header["origin"])
        ```
    """
    header = read_header(path)
    if header.get("task") != TASK:
        raise WeightsError(
            f"{printable(path)}: its header does not say that it is a segmenter (task=segment)",
            "such files are written by `imfuse train segmenter` and `imfuse convert`",
        )
    name = header.get("network", "")
    classes, channels = _number(path, header, "classes", 1, MAX_CLASSES), _number(path, header, "channels", *CHANNELS)
    mean, deviation = (_numbers(path, header, key, channels) for key in ("mean", "deviation"))
    if min(deviation) <= 0:
        raise WeightsError(
            f"{printable(path)}: deviation={_text(deviation)} in its header; positive numbers are expected"
        )
    try:
        network = without_memory(name, classes, channels)
    except ModelError as error:
        raise WeightsError(f"{printable(path)}: {error.message}") from None
    fill(network, read_state(path, network.state_dict()))
    return SegmenterFile(network, name, classes, channels, mean, deviation, header)


def without_memory(name: str, classes: int, channels: int) -> SegmentationNetwork:
    """A network of which shapes alone are known, so that a header costs nothing whatever it says."""
    with torch.device("meta"):
        return build_segmenter(name, classes, channels).eval()


def fill(network: SegmentationNetwork, state: Mapping[str, Tensor]) -> None:
    """Give a network without memory its values. What a file may lack are batch norms' counters, of no use here."""
    values = {
        # A copy, since how values lie in the memory of the file decides the last digits of products.
        key: torch.zeros(value.shape, dtype=value.dtype) if value.is_meta else value.clone()
        for key, value in state.items()
    }
    network.load_state_dict(values, assign=True)


def _text(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:.9g}" for number in numbers)


def _number(path: Path, header: Mapping[str, str], key: str, low: int, high: int) -> int:
    text = header.get(key, "")
    if text.isascii() and text.isdigit() and len(text) < 4 and low <= int(text) <= high:
        return int(text)
    raise WeightsError(
        f"{printable(path)}: {key}={shortened(text)!r} in its header; a number from {low} to {high} is expected"
    )


def _numbers(path: Path, header: Mapping[str, str], key: str, count: int) -> tuple[float, ...]:
    text = header.get(key, "")
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise WeightsError(f"{printable(path)}: {key}={shortened(text)!r} in its header; {count} numbers are expected")
    return numbers
