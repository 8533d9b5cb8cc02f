"""Frames of registered videos as pairs to train on: NAME_infrared.mp4 and NAME_visible.mp4 to ir/ and vi/.

``python -m scripts.video_pairs VIDEOS OUTPUT [--every 10]`` makes the folders in OUTPUT.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from imfuse.imaging import luminance, write_image


def main() -> None:
    """Write every so many frames of each video of a folder as PNG files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, help="folder of NAME_infrared.mp4 and NAME_visible.mp4")
    parser.add_argument("output", type=Path, help="folder that ir and vi are made in")
    parser.add_argument("--every", type=int, default=10, help="take one frame of so many")
    arguments = parser.parse_args()
    for infrared in sorted(arguments.videos.glob("*_infrared.mp4")):
        name = infrared.name.removesuffix("_infrared.mp4")
        count = 0
        for side, path in (("ir", infrared), ("vi", infrared.with_name(f"{name}_visible.mp4"))):
            video, number, count = cv2.VideoCapture(str(path)), 0, 0
            while True:
                taken, frame = video.read()
                if not taken:
                    break
                if number % arguments.every == 0:
                    pixels = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                    target = arguments.output / side / f"{name}_{number:04}.png"
                    write_image(target, luminance(pixels).round().astype("uint8") if side == "ir" else pixels)
                    count += 1
                number += 1
        print(f"{name}: {count} pairs")


if __name__ == "__main__":
    main()
