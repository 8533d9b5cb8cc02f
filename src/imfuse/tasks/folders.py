"""Training pictures of task networks from folders: found by name, checked, and kept in memory while they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from imfuse.core.boxes import Boxes
from imfuse.core.errors import ImageError, PairError
from imfuse.core.text import printable
from imfuse.data.pairs import read_labels
from imfuse.imaging import check_same_size, luminance, parse_range, quantise, read_image, to_unit
from imfuse.imaging._listing import list_pictures
from imfuse.tasks.examples import UNKNOWN, Example

ReadBoxes = Callable[[Path, tuple[int, int]], Boxes]
"""Reads a label file of a picture of a height and a width."""
KEEP_BYTES = 2 << 30
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
    fused: Path, labels: Path, extensions: tuple[str, ...], infrared: Path | None = None
) -> list[ExampleFiles]:
    """Find what belongs to each picture of a folder, by equal names.

    Args:
        fused: folder of pictures.
        labels: folder of label files.
        extensions: of these, such as ".txt" and ".xml"; the first counts where a picture has several.
        infrared: folder of infrared pictures that become a fourth channel.

    Returns:
        The files of each example, in natural order of their names.

    Raises:
        PairError: a folder is missing or empty, or a picture has no label or no infrared picture.

    Example:
        ```python
        files = find_examples(Path("fused/auif"), Path("labels"), (".txt",))
        ```
    """
    pictures = list_pictures(fused, "fused")
    thermal = {} if infrared is None else {one.name: Path(one.path) for one in list_pictures(infrared, "infrared")}
    if not labels.is_dir():
        raise PairError(f"{printable(labels)}: no such folder, a folder of {' or '.join(extensions)} files is expected")
    there = list(labels.iterdir())
    known = {path.stem: path for end in reversed(extensions) for path in there if path.suffix.lower() == end}
    lacking = {printable(labels): known, printable(infrared): thermal} if infrared else {printable(labels): known}
    for folder, names in lacking.items():
        if missing := [printable(one.name) for one in pictures if one.name not in names]:
            more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
            raise PairError(f"{folder}: nothing there for {', '.join(missing[:_LISTED])}{more} of {printable(fused)}")
    return [ExampleFiles(one.name, Path(one.path), known[one.name], thermal.get(one.name)) for one in pictures]


class FolderExamples(Sequence[Example]):
    """Examples that are decoded when they are asked for; the first ones stay in memory.

    Args:
        files: those of each.
        classes: how many there are; other numbers in labels are refused.
        read_boxes: of detection, whose targets are boxes; left out: targets are class numbers of pixels.
        keep: bytes that may stay in memory.

    Raises:
        ImageError: from an item, where a file cannot be read or has other numbers.
        PairError: from an item, where its files are not of one size.

    Example:
        ```python
        examples = FolderExamples(find_examples(Path("fused"), Path("labels"), (".png",)), classes=9)
        print(examples[0].image.shape, examples[0].labels.max())
        ```
    """

    def __init__(
        self,
        files: Sequence[ExampleFiles],
        classes: int,
        read_boxes: ReadBoxes | None = None,
        keep: int = KEEP_BYTES,
    ) -> None:
        self.files, self.classes, self.read_boxes, self.left = list(files), classes, read_boxes, keep
        self.kept: dict[str, Example] = {}

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Example]: ...
    def __getitem__(self, place: int | slice) -> Example | Sequence[Example]:
        if isinstance(place, slice):
            return FolderExamples(self.files[place], self.classes, self.read_boxes, self.left)
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
        image = read_picture(files.fused)
        if files.infrared is not None:
            thermal = read_picture(files.infrared, thermal=True)
            why = "the infrared picture becomes a channel beside its colours"
            check_same_size(image.shape[:2], thermal.shape[:2], files.fused, files.infrared, why)
            image = np.concatenate([image, thermal], axis=2)
        if self.read_boxes is not None:
            boxes = self.read_boxes(files.target, (image.shape[0], image.shape[1]))
            self._check(files.target, boxes.classes)
            return Example(files.name, image, boxes=boxes)
        labels = read_labels(files.target)
        check_same_size(image.shape[:2], labels.shape, files.fused, files.target, "labels are of every pixel")
        self._check(files.target, labels[labels != UNKNOWN])
        return Example(files.name, image, labels=labels)

    def _check(self, file: Path, numbers: NDArray[np.uint8] | NDArray[np.int64]) -> None:
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < self.classes:
            odd = numbers.max() if numbers.max() >= self.classes else numbers.min()
            raise ImageError(
                f"{printable(file)}: class number {odd}; 0 to {self.classes - 1} are expected", "name all classes=..."
            )


def read_picture(path: Path, *, thermal: bool = False) -> NDArray[np.uint8]:
    """Read a picture as task networks take it.

    Args:
        path: a picture of any kind that imfuse reads.
        thermal: it is an infrared one, of which the brightness counts.

    Returns:
        (H, W, 3) uint8, three equal channels of a gray picture; (H, W, 1) of a thermal one.

    Raises:
        ImageError: it cannot be read.

    Example:
        ```python
        read_picture(Path("fused/01.png")).shape
        ```
    """
    unit, _, _ = to_unit(read_image(path), parse_range("auto"), thermal=thermal, name=str(path))
    if thermal:
        unit = unit if unit.ndim == 2 else luminance(unit)
    colours = unit[..., None] if unit.ndim == 2 else unit
    levels = np.asarray(quantise(colours, 8), np.uint8)
    return levels if thermal or levels.shape[2] == 3 else np.repeat(levels, 3, axis=2)
