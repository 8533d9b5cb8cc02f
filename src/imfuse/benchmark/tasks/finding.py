"""Detection by a detector of others, which is taken as it is: what it finds in the pictures of every row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imfuse.benchmark.tasks.levels import colour_levels, infrared_levels
from imfuse.benchmark.tasks.memory import Remembered, key_of, recall, remember
from imfuse.benchmark.tasks.results import BoxList
from imfuse.core.boxes import Boxes
from imfuse.imaging.read import image_hash
from imfuse.metrics.detection_protocols import Protocol
from imfuse.tasks.detect.finder import Finder
from imfuse.tasks.detect.labels import read_boxes
from imfuse.tasks.folders import ExampleFiles


def picture_of(row: str, path: Path) -> NDArray[np.uint8]:
    """What a network of three channels sees of a file: of an infrared one its brightness, three times."""
    if row == "infrared":
        return np.repeat(infrared_levels(path)[..., None], 3, axis=2)
    return colour_levels(path)


def find_in_row(
    detector: Finder, output: Path, row: str, files: Mapping[str, ExampleFiles], protocol: Protocol
) -> Remembered:
    """Boxes in each picture of a row, under the class numbers of the protocol. Raises ``ImfuseError``."""
    found, known = list[Boxes](), list[Boxes]()
    for one in files.values():
        boxes, size = _found(detector, output, row, one)
        found.append(boxes)
        known.append(read_boxes(one.target, size, protocol.labels))
    ours, true = protocol.numbered(found, known, detector.names)
    return Remembered(names=list(files), found=[*map(BoxList.of, ours)], known=[*map(BoxList.of, true)])


class _Found(BoxList):
    """Boxes of a picture, and its height and width."""

    size: tuple[int, int]


def _found(detector: Finder, output: Path, row: str, files: ExampleFiles) -> tuple[Boxes, tuple[int, int]]:
    """What the detector finds in a file, now or in an earlier run."""
    key = key_of("find", detector.fingerprint, image_hash(files.fused), row == "infrared")
    known = recall(output, key, _Found)
    if known is None:
        picture = picture_of(row, files.fused)
        boxes = BoxList.of(detector.find(picture))
        known = _Found(**boxes.model_dump(), size=(picture.shape[0], picture.shape[1]))
        remember(output, key, known)
    return known.boxes, known.size
