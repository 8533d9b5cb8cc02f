"""Draw the images of README and docs from the built-in scenes.

``python -m scripts.docs.pictures`` writes ``demo.png`` (infrared, visible, fused) and ``scene.png`` (infrared, visible
and labels of four scenes) into ``docs/images``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from imfuse.fusing.fuser import Fuser
from imfuse.imaging import write_image
from imfuse.scenes import PALETTE, render_scene

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Pictures of one height, gray or colour, with a white gap between them."""
    colour = [np.repeat(p[..., None], 3, axis=2) if p.ndim == 2 else p for p in pictures]
    gap = np.full((len(colour[0]), 8, 3), 255, np.uint8)
    parts = [part for picture in colour for part in (picture, gap)][:-1]
    return np.concatenate(parts, axis=1)


def main() -> int:
    """Write both images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=IMAGES, help="folder; docs/images where left out")
    folder = parser.parse_args().output
    demo = render_scene()
    write_image(folder / "demo.png", side_by_side(demo.infrared, demo.visible, Fuser()(demo.infrared, demo.visible)))
    scenes = [render_scene(240, 320, seed) for seed in range(4)]
    rows = [side_by_side(scene.infrared, scene.visible, PALETTE[scene.labels]) for scene in scenes]
    gap = np.full((8, rows[0].shape[1], 3), 255, np.uint8)
    write_image(folder / "scene.png", np.concatenate([part for row in rows for part in (row, gap)][:-1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
