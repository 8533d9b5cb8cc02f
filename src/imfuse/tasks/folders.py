"""Training pictures of task networks from folders: found by name, checked, and kept in memory while they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from imfuse.core.boxes import Boxes
from imfuse.core.errors import PairError
from imfuse.core.text import printable
from imfuse.data.labels import labels_of, read_classes
from imfuse.data.layouts import find_labels
from imfuse.imaging import check_same_size, parse_range, quantise
from imfuse.imaging._listing import list_pictures
from imfuse.imaging.bands import Bands, parse_bands
from imfuse.tasks.detect.labels import SUFFIXES, label_file
from imfuse.tasks.examples import Example
from imfuse.tasks.segment.read import COLOURS, FULL, WITH_INFRARED, read_picture

ReadBoxes = Callable[[Path, tuple[int, int]], Boxes]
"""Reads a label file of a picture of a height and a width."""
KEEP_BYTES = 2 << 30
_AUTO = parse_range("auto")
_LISTED = 5


@dataclass(frozen=True)
class ExampleFiles:
    """The files of one example.

    Args:
        name: that of the fused picture, without its extension.
        fused: the picture.
        target: its class numbers or its boxes.
        infrared: the fourth channel, if there is one.

    Example:
        >>> ExampleFiles("01", Path("fused/01.png"), Path("labels/01.txt")).infrared is None
        True
    """

    name: str
    fused: Path
    target: Path
    infrared: Path | None = None


def find_examples(
    fused: Path, labels: Path, *, boxes: bool = False, infrared: Path | None = None
) -> list[ExampleFiles]:
    """Find what belongs to each picture of a folder, by equal names.

    Args:
        fused: folder of pictures.
        labels: folder of PNG files of class numbers, or a data set whose labels of the training part are meant, as for
            :func:`imfuse.data.labels.labels_of`; where it lists the pictures of that part, no others are taken.
        boxes: ``labels`` is a folder of boxes instead, YOLO text or VOC XML.
        infrared: folder of infrared pictures that become a fourth channel.

    Returns:
        The files of each example, in natural order of their names.

    Raises:
        PairError: a folder is missing or empty, or a picture has no label or no infrared picture.

    Example:
        ```python
        files = find_examples(Path("fused/auif"), Path("msrs"))
        ```
    """
    pictures = list_pictures(fused, "fused")
    thermal = {} if infrared is None else {one.name: Path(one.path) for one in list_pictures(infrared, "infrared")}
    if not labels.is_dir():
        kind = " or ".join(SUFFIXES) if boxes else ".png"
        raise PairError(f"{printable(labels)}: no such folder, a folder of {kind} files is expected")
    if boxes:
        paths = {one.name: label_file(labels, one.name) for one in pictures}
        known = {name: path for name, path in paths.items() if path is not None}
    else:
        known = labels_of(labels, "train")
        if find_labels(labels, "train")[1] is not None:
            pictures = [one for one in pictures if one.name in known]
    lacking = {printable(labels): known, printable(infrared): thermal} if infrared else {printable(labels): known}
    for folder, names in lacking.items():
        if missing := [printable(one.name) for one in pictures if one.name not in names]:
            more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
            raise PairError(f"{folder}: nothing there for {', '.join(missing[:_LISTED])}{more} of {printable(fused)}")
    if not pictures:
        raise PairError(f"{printable(labels)}: none of the pictures of {printable(fused)} is in its training part")
    return [ExampleFiles(one.name, Path(one.path), known[one.name], thermal.get(one.name)) for one in pictures]


class FolderExamples(Sequence[Example]):
    """Examples that are decoded when they are asked for; the first ones stay in memory.

    Pictures are scaled as ``imfuse segment`` (their full range) and ``imfuse detect`` ("auto") do.

    Args:
        files: those of each.
        classes: how many there are; other class numbers of pixels are refused.
        read_boxes: of detection, whose targets are boxes; left out: targets are class numbers of pixels.
        bands: which bands of the pictures are meant, as for ``PictureSegmenter``; of four the last is infrared.
        keep: bytes that may stay in memory.

    Raises:
        ImageError: from an item, where a file cannot be read or has other numbers.
        PairError: from an item, where its files are not of one size.

    Example:
        ```python
        examples = FolderExamples(find_examples(Path("fused"), Path("labels")), classes=9)
        print(examples[0].image.shape, examples[0].labels.max())
        ```
    """

    def __init__(
        self,
        files: Sequence[ExampleFiles],
        classes: int,
        read_boxes: ReadBoxes | None = None,
        bands: Bands = None,
        keep: int = KEEP_BYTES,
    ) -> None:
        self.files, self.classes, self.read_boxes, self.left = list(files), classes, read_boxes, keep
        self.bands = parse_bands(bands, four=True)
        self.kept: dict[str, Example] = {}

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Example]: ...
    def __getitem__(self, place: int | slice) -> Example | Sequence[Example]:
        if isinstance(place, slice):
            return FolderExamples(self.files[place], self.classes, self.read_boxes, self.bands, self.left)
        files = self.files[place]
        if files.name not in self.kept:
            example = self._read(files)
            size = example.image.nbytes + (0 if example.labels is None else example.labels.nbytes)
            if size > self.left:
                return example
            self.left -= size
            self.kept[files.name] = example
        return self.kept[files.name]

    def _read(self, files: ExampleFiles) -> Example:
        channels = WITH_INFRARED if files.infrared or len(self.bands or ()) == WITH_INFRARED else COLOURS
        range_ = FULL if self.read_boxes is None else _AUTO
        unit = read_picture(files.fused, channels, bands=self.bands, infrared=files.infrared, range_=range_)
        image = np.asarray(quantise(unit, 8), np.uint8)
        if self.read_boxes is not None:
            boxes = self.read_boxes(files.target, (image.shape[0], image.shape[1]))
            return Example(files.name, image, boxes=boxes)
        labels = read_classes(files.target, self.classes)
        check_same_size(image.shape[:2], labels.shape, files.fused, files.target, "labels are of every pixel")
        return Example(files.name, image, labels=labels)
