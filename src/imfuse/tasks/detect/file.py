"""Files of trained detectors of ours: safetensors, whose header has the classes and how pictures enter."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imfuse.core.boxes import Boxes
from imfuse.core.errors import ImageError, WeightsError
from imfuse.core.text import printable, shortened
from imfuse.core.version import VERSION
from imfuse.core.weights import read_header, read_state, save_weights
from imfuse.tasks.detect.network import DetectorNetwork
from imfuse.tasks.examples import Normalisation

TASK, NETWORK = "detect", "compact"
CHANNELS = (1, 3, 4)
_MOST_NAMES, _LONGEST_NAME = 1000, 100


class TrainedDetector:
    """A trained detector of ours, ready to use on pictures of any size.

    Args:
        network: whose weights were trained.
        names: of its classes.
        normalisation: of the pictures that it was trained on.
        header: what else its file says.
        threshold: the smallest score of a box.

    Example:
        >>> detector = TrainedDetector(DetectorNetwork(2), ["person", "car"], Normalisation((0.5,) * 3, (0.2,) * 3))
        >>> len(detector.find(np.zeros((40, 60), np.uint8))) <= 100
        True
    """

    def __init__(
        self,
        network: DetectorNetwork,
        names: Sequence[str],
        normalisation: Normalisation,
        header: Mapping[str, str] | None = None,
        threshold: float = 0.05,
    ) -> None:
        self.network, self.names, self.normalisation = network.eval(), tuple(names), normalisation
        self.header, self.threshold = dict(header or {}), threshold
        digest = hashlib.sha256(json.dumps([self.names, vars(normalisation), threshold]).encode())
        for value in network.state_dict().values():
            digest.update(value.numpy(force=True).tobytes())
        self.fingerprint = digest.hexdigest()

    def find(self, picture: npt.NDArray[Any]) -> Boxes:
        """Find the objects of one picture.

        Args:
            picture: (H, W), or (H, W, channels) as the network was trained on; a gray picture is taken for three
                equal channels where it wants three. uint8, or floating in [0, 1].

        Returns:
            At most 100 boxes, the surest first; ``names`` has the names of their classes.

        Raises:
            ImageError: the picture is of another shape or type.
        """
        images = self.normalisation.apply([_levels(picture, self.network.channels)])
        device = next(self.network.parameters()).device
        return self.network.find(images.to(device), self.threshold)[0]


def save_detector(
    path: Path, network: DetectorNetwork, names: Sequence[str], normalisation: Normalisation, facts: Mapping[str, str]
) -> None:
    """Write a trained detector, at once or not at all.

    Args:
        path: ends in ``.safetensors``.
        network: the trained one.
        names: of its classes.
        normalisation: of the pictures that it was trained on.
        facts: what else the header says, such as the origin, the seed and the steps.

    Raises:
        WeightsError: the file cannot be written.

    Example:
        ```python
        save_detector(path, network, ["person", "car"], normalisation, {"origin": "auif on m3fd", "seed": "0"})
        ```
    """
    header = {
        **facts,
        "task": TASK,
        "network": NETWORK,
        "names": json.dumps(list(names), ensure_ascii=False),
        "channels": str(network.channels),
        "mean": json.dumps(normalisation.mean),
        "deviation": json.dumps(normalisation.deviation),
        "software": f"imfuse {VERSION}",
    }
    save_weights(path, network.state_dict(), header, through_links=False)


def load_detector(path: Path, threshold: float = 0.05) -> TrainedDetector:
    """Read a file of :func:`save_detector`. Nothing in it is executed.

    Args:
        path: the file.
        threshold: the smallest score of a box.

    Returns:
        The detector, on the processor.

    Raises:
        WeightsError: it is no such file, is damaged, or its header and its weights do not belong together.

    Example:
        ```python
        boxes = load_detector(Path("runs/detector/detector.safetensors")).find(picture)
        ```
    """
    header = read_header(path)
    if (header.get("task"), header.get("network")) != (TASK, NETWORK):
        raise WeightsError(
            f"{printable(path)}: its header does not say that it is a detector (task={TASK}, network={NETWORK})",
            "such files are written by `imfuse train detector`",
        )
    names = _names(path, header)
    channels = _entry(path, header, "channels")
    if channels not in CHANNELS:
        raise _wrong(path, header, "channels", "1, 3 or 4")
    mean, deviation = (_numbers(path, header, key, channels) for key in ("mean", "deviation"))
    if min(deviation) <= 0:
        raise _wrong(path, header, "deviation", "positive numbers")
    network = DetectorNetwork(len(names), channels)
    network.load_state_dict(read_state(path, network.state_dict()))
    return TrainedDetector(network, names, Normalisation(mean, deviation), header, threshold)


def _levels(picture: npt.NDArray[Any], channels: int) -> npt.NDArray[np.uint8]:
    """A picture as (H, W, channels) uint8."""
    levels = picture[..., None] if picture.ndim == 2 else picture
    if levels.ndim == 3 and levels.shape[2] == 1 and channels == 3:
        levels = np.repeat(levels, 3, axis=2)
    if levels.ndim != 3 or levels.shape[2] != channels or 0 in levels.shape:
        raise ImageError(f"a picture (H, W, {channels}) is expected, found {picture.shape}")
    if levels.dtype.kind == "f":
        levels = np.clip(np.round(np.nan_to_num(levels) * 255), 0, 255).astype(np.uint8)
    if levels.dtype != np.uint8:
        raise ImageError(f"a picture of uint8, or floating in [0, 1], is expected, found {picture.dtype}")
    return levels


def _entry(path: Path, header: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(header.get(key, "")[: _MOST_NAMES * _LONGEST_NAME])
    except (ValueError, RecursionError):
        raise _wrong(path, header, key, "JSON") from None


def _names(path: Path, header: Mapping[str, str]) -> tuple[str, ...]:
    names = _entry(path, header, "names")
    right = isinstance(names, list) and 0 < len(names) <= _MOST_NAMES
    if not right or not all(isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME for name in names):
        raise _wrong(path, header, "names", "a list of names of classes")
    return tuple(map(printable, names))


def _numbers(path: Path, header: Mapping[str, str], key: str, count: int) -> tuple[float, ...]:
    numbers = _entry(path, header, key)
    if not isinstance(numbers, list) or len(numbers) != count:
        raise _wrong(path, header, key, f"{count} numbers")
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise _wrong(path, header, key, f"{count} numbers")
    return tuple(map(float, numbers))


def _wrong(path: Path, header: Mapping[str, str], key: str, expected: str) -> WeightsError:
    found = shortened(header.get(key, ""))
    return WeightsError(f"{printable(path)}: {key}={found!r} in its header; expected: {expected}")
