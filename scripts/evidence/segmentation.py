"""How well a shipped method segments: rendered scenes with true labels, of no training; real pairs to look at.

``python -m scripts.evidence.segmentation`` prints the table. With ``--shared DIR --picture docs/images/psfusion.jpg``
it also draws pairs of DIR/data, in rows: infrared, visible, fused, classes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from imfuse import Segmenter
from imfuse.imaging import read_image
from imfuse.scenes import CLASSES, render_scene
from imfuse.tasks.segment.scores import confusion_matrix, intersection_over_union, mean_iou, pixel_accuracy
from imfuse.tasks.segment.segmenter import overlay

FIRST = 5000
"""Recipes render the scenes from number 0, at most 1000 of them."""
PAIRS = (
    ("msrs_sample", 0),
    ("msrs_sample", 4),
    ("msrs_sample", 8),
    ("msrs_sample", 10),
    ("roadscene/test", 5),
    ("roadscene/test", 17),
    ("m3fd_sample", 2),
    ("scene", FIRST),
)
CELL = (400, 300)


def table(segmenter: Segmenter, scenes: int) -> str:
    """Intersection over union of each class, over rendered scenes of 480x640."""
    counts = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
    for seed in range(FIRST, FIRST + scenes):
        scene = render_scene(480, 640, seed)
        predicted = segmenter(scene.infrared, scene.visible)
        counts += confusion_matrix(torch.from_numpy(scene.labels), torch.from_numpy(predicted), len(CLASSES))
    shares = (counts.sum(1) / counts.sum()).tolist()
    lines = ["| class | share of pixels | IoU |", "|---|---|---|"]
    for name, share, overlap in zip(CLASSES, shares, intersection_over_union(counts).tolist(), strict=True):
        lines.append(f"| {name} | {share:.2%} | {overlap:.4f} |")
    lines.append(f"| mean | | {mean_iou(counts):.4f} |")
    return "\n".join([*lines, "", f"Pixel accuracy {pixel_accuracy(counts):.4f}, {scenes} scenes of 480x640."])


def row(segmenter: Segmenter, infrared: NDArray[np.uint8], visible: NDArray[np.uint8]) -> Image.Image:
    """A pair, what it is fused to, and its classes."""
    colours = visible if visible.ndim == 3 else np.repeat(visible[..., None], 3, axis=2)
    painted = overlay(colours.astype(np.float32) / 255, segmenter(infrared, visible))
    strip = Image.new("RGB", (4 * CELL[0], CELL[1]))
    for column, picture in enumerate((infrared, visible, segmenter.fuser(infrared, visible), painted)):
        cell = Image.fromarray(picture).convert("RGB").resize(CELL, Image.Resampling.LANCZOS)
        strip.paste(cell, (column * CELL[0], 0))
    return strip


def draw(segmenter: Segmenter, data: Path, target: Path) -> None:
    """The pairs of ``PAIRS`` as one picture."""
    rows = []
    for folder, number in PAIRS:
        if folder == "scene":
            scene = render_scene(480, 640, number)
            infrared, visible = scene.infrared, scene.visible
        else:
            sides = (sorted((data / folder / side).iterdir())[number] for side in ("ir", "vi"))
            infrared, visible = (read_image(path) for path in sides)
            infrared = infrared if infrared.ndim == 2 else infrared[..., 0]
        rows.append(row(segmenter, infrared, visible))
    whole = Image.new("RGB", (4 * CELL[0], len(rows) * CELL[1]))
    for place, strip in enumerate(rows):
        whole.paste(strip, (0, place * CELL[1]))
    whole.save(target, quality=80)


def main() -> int:
    """Print the table, and draw the picture if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="psfusion_compact")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--shared", type=Path, help="folder with data/msrs_sample and so on, for the picture")
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    segmenter = Segmenter(args.model, args.weights)
    print(table(segmenter, args.scenes))
    if args.picture:
        if args.shared is None:
            parser.error("--picture needs --shared")
        draw(segmenter, args.shared / "data", args.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
