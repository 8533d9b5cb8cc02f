"""Does a folder that is killed at random moments, again and again, end as if it had never been stopped?

``python -m scripts.evidence.kill_folder --kills 50`` fuses a folder of made-up pairs once without a stop. Then it
starts the same run over and over and kills it (SIGKILL) at a random moment; after each kill every result that is there
has to be, byte for byte, the one of the run without a stop. When all are there, or enough kills have hit one folder, a
last run has to complete it: the same files, the same bytes, no temporary file. Then the next folder begins. The exit
code is 1 where anything differed. It needs a system that forks.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from imfuse.fusing.fuser import Fuser
from imfuse.imaging import write_image

KILLS_OF_A_FOLDER = 8


@dataclass
class Figures:
    """What was counted.

    Attributes:
        kills: runs that were killed at work.
        whole: results that were there after a kill, and as they should be.
        temporary: temporary files that a kill left, all of which a later run has to remove.
        folders: folders that were completed after kills, and are as they should be.
        wrong: what was not as it should be, in words.
    """

    kills: int = 0
    whole: int = 0
    temporary: int = 0
    folders: int = 0
    wrong: list[str] = field(default_factory=list)


def make_pairs(folder: Path, pairs: int, height: int, width: int) -> None:
    """Pairs of smooth noise, half of them in colour."""
    noise = np.random.default_rng(0)
    for i in range(pairs):
        for side in ("ir", "vi"):
            pixels = noise.integers(0, 256, (height, width, 3), np.uint8)
            pixels = cv2.GaussianBlur(pixels, (0, 0), 2)
            write_image(folder / side / f"{i:04}.png", pixels if side == "vi" and i % 2 else pixels[..., 0])


def content(folder: Path) -> dict[str, bytes]:
    """Results by name; not the lock of a run and not its temporary files, which begin with a dot."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith(".")}


def temporary_files(folder: Path) -> int:
    """How many temporary files lie in a folder."""
    return len(list(folder.glob(".imfuse-*.tmp")))


def killed(fuser: Fuser, pairs: Path, output: Path, seconds: float) -> bool:
    """Run in a process of its own, and kill it after so many seconds; false where it was done before."""
    process = os.fork()
    if process == 0:
        report = fuser.folder(pairs / "ir", pairs / "vi", output)
        os._exit(1 if report.failed else 0)
    time.sleep(seconds)
    done, _ = os.waitpid(process, os.WNOHANG)
    if done == 0:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    return done == 0


def hunt(fuser: Fuser, pairs: Path, place: Path, kills: int, seed: int) -> Figures:
    """Kill runs until there were enough kills."""
    figures, chance = Figures(), random.Random(seed)
    started = time.perf_counter()
    fuser.folder(pairs / "ir", pairs / "vi", place / "reference")
    seconds = time.perf_counter() - started
    reference = content(place / "reference")
    while figures.kills < kills:
        output = place / f"killed{figures.folders}"
        for _ in range(min(KILLS_OF_A_FOLDER, kills - figures.kills)):
            if not killed(fuser, pairs, output, chance.uniform(0, 0.5 * seconds)):
                break
            figures.kills += 1
            figures.temporary += temporary_files(output) if output.is_dir() else 0
            for name, data in content(output).items():
                if data == reference.get(name):
                    figures.whole += 1
                else:
                    figures.wrong.append(f"{output.name}/{name} after kill {figures.kills}")
        report = fuser.folder(pairs / "ir", pairs / "vi", output)
        if report.failed or content(output) != reference or temporary_files(output):
            figures.wrong.append(f"{output.name} as it was completed: {report.failed[:1]}")
        figures.folders += 1
    return figures


def main() -> int:
    """Print the figures; 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--model", default="laplacian_pyramid")
    parser.add_argument("--seed", type=int, default=0, help="another one kills at other moments")
    args = parser.parse_args()
    # A forked process has none of the threads that its parent had.
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        pairs, fuser = Path(folder) / "pairs", Fuser(args.model, device="cpu")
        make_pairs(pairs, args.pairs, *args.size)
        figures = hunt(fuser, pairs, Path(folder), args.kills, args.seed)
    print(
        f"{figures.kills} kills of runs over {args.pairs} pairs of {args.size[1]}x{args.size[0]} by {args.model} in "
        f"{time.perf_counter() - started:.0f} s: {figures.whole} results found after kills were whole, "
        f"{figures.temporary} temporary files were left and removed, {figures.folders} folders completed"
    )
    print(*(figures.wrong or ["nothing differed from the run that was not stopped"]), sep="\n")
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
