"""Write rendered pairs to practise on: ``python examples/own_method/pairs.py FOLDER [NUMBER]``."""

from __future__ import annotations

import sys
from pathlib import Path

from imfuse.imaging import write_image
from imfuse.scenes import render_scene


def main(folder: Path, number: int) -> None:
    for seed in range(number):
        scene = render_scene(240, 320, seed)
        write_image(folder / "ir" / f"{seed:02}.png", scene.infrared)
        write_image(folder / "vi" / f"{seed:02}.png", scene.visible)
    print(f"{folder}: {number} pairs in ir and vi")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8)
