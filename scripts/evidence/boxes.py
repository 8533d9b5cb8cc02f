"""How well classes agree with boxes that people drew: M3FD has boxes of people and cars, and no class of each pixel.

``python -m scripts.evidence.boxes --shared DIR`` prints a table for the weights that ship, and with ``--weights FILE``
(repeated) for others. A person does not fill a box, so that even true classes would not cover all of it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imfuse import Segmenter
from imfuse.scenes import CLASSES

Classes = NDArray[np.uint8]
CLASS_OF = {0: CLASSES.index("person"), 1: CLASSES.index("car")}
"""Class of each number in the files of boxes that has one here; buses, lamps, motorcycles and trucks have none."""
TOUCHED = 0.1
"""Share of a box from which on its thing counts as found."""


@dataclass(frozen=True)
class Box:
    """A box in pixels, of rows ``top`` to ``bottom`` and columns ``left`` to ``right``; ``kind`` is as in the file."""

    kind: int
    top: int
    bottom: int
    left: int
    right: int

    def cut(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """What of an image (H, W) lies in the box."""
        return image[self.top : self.bottom, self.left : self.right]


def read_boxes(text: str, height: int, width: int) -> list[Box]:
    """Boxes of a file in YOLO's form, a line each: kind, centre x and y, width and height, as shares of the image.

    >>> read_boxes("1 0.5 0.25 0.2 0.5", 20, 10)
    [Box(kind=1, top=0, bottom=10, left=4, right=6)]
    """
    boxes = []
    for line in text.splitlines():
        kind, *shares = line.split()
        x, y, across, down = map(float, shares)
        top, bottom = (round((y + side * down / 2) * height) for side in (-1, 1))
        left, right = (round((x + side * across / 2) * width) for side in (-1, 1))
        boxes.append(Box(int(kind), max(0, top), bottom, max(0, left), right))
    return boxes


@dataclass
class Agreement:
    """What one class has in the boxes of its things, and how many of its pixels lie outside all boxes."""

    shares: list[float]
    pixels: int = 0
    outside: int = 0

    def add(self, classes: Classes, boxes: list[Box], number: int) -> None:
        """Count a picture."""
        marked = classes == number
        self.shares += [float(box.cut(marked).mean()) for box in boxes if CLASS_OF.get(box.kind) == number]
        free = np.ones(classes.shape, bool)
        for box in boxes:
            box.cut(free)[:] = False
        self.pixels += int(marked.sum())
        self.outside += int((marked & free).sum())

    def row(self) -> str:
        """Cells of the table."""
        found = sum(share >= TOUCHED for share in self.shares)
        outside = self.outside / max(1, self.pixels)
        return f"{np.mean(self.shares):.1%} | {found} of {len(self.shares)} | {self.pixels} | {outside:.1%}"


def agreements(segmenter: Segmenter, data: Path) -> dict[str, Agreement]:
    """Each class against the boxes of all pictures of a folder with ``ir``, ``vi`` and ``labels``."""
    found = {CLASSES[number]: Agreement([]) for number in CLASS_OF.values()}
    for file in sorted((data / "labels").glob("*.txt")):
        classes = segmenter(data / "ir" / f"{file.stem}.png", data / "vi" / f"{file.stem}.png")
        boxes = read_boxes(file.read_text(), *classes.shape)
        for name, agreement in found.items():
            agreement.add(classes, boxes, CLASSES.index(name))
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/m3fd_sample")
    parser.add_argument("--model", default="psfusion_compact")
    parser.add_argument("--weights", action="append", help="default, or a file; may be repeated")
    args = parser.parse_args()
    print("| weights | class | share of a box that carries it | found | pixels of the class | outside all boxes |")
    print("|---|---|---|---|---|---|")
    for weights in args.weights or ["default"]:
        segmenter = Segmenter(args.model, weights)
        for name, agreement in agreements(segmenter, args.shared / "data" / "m3fd_sample").items():
            print(f"| {Path(weights).stem} | {name} | {agreement.row()} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
