"""Boxes in files: YOLO text and VOC XML are read, YOLO text and COCO JSON are written."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from imfuse.core.boxes import Boxes
from imfuse.core.errors import PairError
from imfuse.core.files import read_input
from imfuse.core.output import write_output
from imfuse.core.text import printable, shortened
from imfuse.core.version import VERSION

Size = tuple[int, int]
SUFFIXES = (".txt", ".xml")
_MOST_BYTES = 4 << 20
# Trainers round to six digits, and boxes at the border then leave it by as much.
_SLACK = 1e-3
COCO_START = b'{"info": {"description": "imfuse '
"""What a COCO file that imfuse wrote begins with."""


def label_file(folder: Path, name: str) -> Path | None:
    """The file of true boxes of a picture: ``NAME.txt``, or else ``NAME.xml``; ``None`` where there is none."""
    paths = [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    return next((path for path in paths if path.is_file()), None)


def read_boxes(path: str | os.PathLike[str], size: Size, names: Sequence[str]) -> Boxes:
    """Read the boxes of one picture: YOLO text, or VOC XML for a name that ends in .xml.

    A line of YOLO text is ``class x y w h``: the number of the class, centre and sides as shares of the picture's, and
    optionally the confidence. Empty lines do not count, and a file without any says that there is no object.

    Args:
        path: the file.
        size: height and width of the picture.
        names: of the classes, by number.

    Returns:
        The boxes, in pixels.

    Raises:
        PairError: the file is missing, or a line of it is not as expected; the message says which and why.

    Example:
        ```python
        boxes = read_boxes("labels/00000.txt", (768, 1024), ["People", "Car", "Bus"])
        ```
    """
    place = Path(path)
    if place.is_file() and place.stat().st_size == 0:
        return Boxes.of([], [])
    data = read_input(place, PairError, "a file of boxes", _MOST_BYTES, fixed=True)
    where = printable(place)
    if place.suffix.lower() == ".xml":
        return _read_voc(data, where, names, size)
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise PairError(f"{where}: not a text file; lines of class x y w h are expected") from None
    rows = [_row(line, f"{where}: line {i}", names) for i, line in enumerate(lines, 1) if line.strip()]
    table = np.array(rows).reshape(-1, 6)
    scale = np.tile(np.array(size[::-1], np.float64), 2)
    centre, half = table[:, 1:3], table[:, 3:5] / 2
    corners = np.concatenate([centre - half, centre + half], axis=1) * scale
    return Boxes.of(corners, table[:, 0].astype(np.int64), table[:, 5])


def _row(line: str, where: str, names: Sequence[str]) -> list[float]:
    """Class, x, y, w, h and confidence of a line."""
    words = line.split()
    if len(words) not in (5, 6):
        raise PairError(f"{where}: {len(words)} columns, 5 are expected (class x y w h) or 6 with the confidence")
    values = [_number(word, where) for word in words]
    if not all(map(math.isfinite, values)):
        raise PairError(f"{where}: NaN or infinity, finite numbers are expected")
    kind = values[0]
    if kind != int(kind) or kind < 0:
        raise PairError(f"{where}: class {words[0]}, a whole number from 0 is expected")
    if kind >= len(names):
        raise PairError(
            f"{where}: class {int(kind)}, but there are {len(names)} (0 to {len(names) - 1})",
            "name the classes of the labels, label_names=...",
        )
    x, y, w, h = values[1:5]
    if w <= 0 or h <= 0:
        raise PairError(f"{where}: a box of {w:g} x {h:g}, sides above 0 are expected")
    if min(x - w / 2, y - h / 2) < -_SLACK or max(x + w / 2, y + h / 2) > 1 + _SLACK:
        raise PairError(
            f"{where}: the box {x:g} {y:g} {w:g} {h:g} leaves the picture; x y w h are shares of its sides, from 0 to 1"
        )
    if len(values) == 6 and not 0 <= values[5] <= 1:
        raise PairError(f"{where}: confidence {values[5]:g}, a number from 0 to 1 is expected")
    return values if len(values) == 6 else [*values, 1.0]


def _number(word: str, where: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise PairError(f"{where}: {shortened(word, 20)!r} is not a number") from None


def _read_voc(data: bytes, where: str, names: Sequence[str], size: Size) -> Boxes:
    # Entities of a document type can make gigabytes of a short file; annotations have none.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"\0" in data:
        raise PairError(f"{where}: XML with a document type is not read")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise PairError(f"{where}: not an XML file of annotations ({error})") from None
    told = tuple(_pixels(root, side) for side in ("height", "width"))
    if 0 not in told and told != size:
        raise PairError(
            f"{where}: of a picture of {told[1]}x{told[0]}, but the picture has {size[1]}x{size[0]} (width x height)"
        )
    rows, kinds = [], []
    for i, entry in enumerate(root.iter("object"), 1):
        name = (entry.findtext("name") or "").strip()
        if name not in names:
            known = ", ".join(names[:8])
            raise PairError(
                f"{where}: object {i} is of class {shortened(name, 40)!r}; there are {known}",
                "name the classes of the labels, label_names=...",
            )
        rows.append([_side(entry, side, f"{where}: object {i}") for side in ("xmin", "ymin", "xmax", "ymax")])
        kinds.append(list(names).index(name))
        if rows[-1][0] >= rows[-1][2] or rows[-1][1] >= rows[-1][3]:
            raise PairError(f"{where}: object {i}: xmin < xmax and ymin < ymax are expected, found {rows[-1]}")
        if min(rows[-1]) < -1 or rows[-1][2] > size[1] + 1 or rows[-1][3] > size[0] + 1:
            raise PairError(f"{where}: object {i}: the box {rows[-1]} leaves the picture of {size[1]}x{size[0]}")
    return Boxes.of(rows, kinds)


def _pixels(root: ElementTree.Element, side: str) -> int:
    """Height or width that a file gives the picture; 0 where it does not tell, as files of some programs."""
    text = (root.findtext(f"size/{side}") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _side(entry: ElementTree.Element, side: str, where: str) -> float:
    text = entry.findtext(f"bndbox/{side}") or ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PairError(f"{where}: {side} is {shortened(text, 20)!r}, a number is expected")
    return value


def yolo_text(boxes: Boxes, size: Size, confidence: bool = True) -> str:
    """Boxes as YOLO text.

    Args:
        boxes: in pixels.
        size: height and width of the picture.
        confidence: whether the scores are a sixth column.

    Returns:
        A line for each box.

    Example:
        >>> yolo_text(Boxes.of([[0, 0, 32, 48]], [2], [0.75]), (96, 64))
        '2 0.250000 0.250000 0.500000 0.500000 0.750000\\n'
    """
    scale = np.tile(np.array(size[::-1], np.float64), 2)
    shares = boxes.corners / scale
    centres, sides = (shares[:, :2] + shares[:, 2:]) / 2, shares[:, 2:] - shares[:, :2]
    columns = [centres, sides, boxes.scores[:, None]] if confidence else [centres, sides]
    rows = np.concatenate(columns, axis=1)
    lines = (
        f"{kind} {' '.join(f'{value:.6f}' for value in row)}\n" for kind, row in zip(boxes.classes, rows, strict=True)
    )
    return "".join(lines)


@dataclass(frozen=True)
class PictureBoxes:
    """The boxes of a picture, and its height and width."""

    boxes: Boxes
    size: Size


def write_yolo(path: str | os.PathLike[str], boxes: Boxes, size: Size, confidence: bool = True) -> None:
    """Write the boxes of one picture as YOLO text, whole or not at all.

    Args:
        path: the file.
        boxes: in pixels.
        size: height and width of the picture.
        confidence: whether the scores are a sixth column.

    Raises:
        PairError: the disk refuses.

    Example:
        ```python
        write_yolo("labels/01.txt", detector.find(picture), picture.shape[:2])
        ```
    """
    write_output(path, yolo_text(boxes, size, confidence).encode(), PairError, through_links=False)


def write_coco(path: str | os.PathLike[str], pictures: Mapping[str, PictureBoxes], names: Sequence[str]) -> None:
    """Write boxes of many pictures as one COCO JSON file, whole or not at all.

    It has ``images``, ``categories`` (the number of a class plus 1) and ``annotations``, each with its ``score``: a
    data set that COCO's programs open, and the list of annotations is one of results.

    Args:
        path: the file.
        pictures: boxes and size of each, by the names of their files.
        names: of the classes, by number.

    Raises:
        PairError: the disk refuses.

    Example:
        ```python
        write_coco("coco.json", {"01.png": PictureBoxes(detector.find(picture), picture.shape[:2])}, detector.names)
        ```
    """
    images, entries = list[dict[str, Any]](), list[dict[str, Any]]()
    for number, (name, picture) in enumerate(pictures.items(), 1):
        images.append({"id": number, "file_name": name, "width": picture.size[1], "height": picture.size[0]})
        boxes = picture.boxes
        for corners, kind, score, area in zip(boxes.corners, boxes.classes, boxes.scores, boxes.areas, strict=True):
            left, top, right, bottom = (round(float(side), 3) for side in corners)
            entries.append(
                {
                    "id": len(entries) + 1,
                    "image_id": number,
                    "category_id": int(kind) + 1,
                    "bbox": [left, top, round(right - left, 3), round(bottom - top, 3)],
                    "area": round(float(area), 3),
                    "iscrowd": 0,
                    "score": round(float(score), 6),
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    content = {"info": {"description": f"imfuse {VERSION}"}, "images": images}
    content |= {"categories": categories, "annotations": entries}
    write_output(path, json.dumps(content).encode(), PairError, through_links=False)
