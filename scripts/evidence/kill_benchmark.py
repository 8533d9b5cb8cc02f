"""Kill ``imfuse benchmark`` at random moments, run it again, and compare with a run that nobody killed.

``python -m scripts.evidence.kill_benchmark --kills 200 --work FOLDER`` renders small pairs, and in each round starts
the command, kills all of its processes (SIGKILL) up to five times, and lets it finish. Exit 1 where the results differ
in more than their date, a picture differs, or a temporary file is left; the folder of that round stays.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from imfuse.core.files import file_hash
from imfuse.imaging import write_image

PAIRS, SIZE, MOST_KILLS = 24, (96, 128), 5
NAMES = "EN,SD,SF,SCD"


def make_pairs(folder: Path) -> None:
    """Pairs of noise, the visible ones in colour, and results of another method."""
    numbers = np.random.default_rng(0)
    for name in range(PAIRS):
        for side, shape in (("set/ir", SIZE), ("set/vi", (*SIZE, 3)), ("other", SIZE)):
            write_image(folder / side / f"{name:02}.png", numbers.integers(0, 256, shape, np.uint8))


def command(folder: Path, output: Path, workers: int) -> list[str]:
    """The command line of the benchmark."""
    words = ["--data", f"mine={folder / 'set'}", "--models", "auif,dwt", "--fused", f"other={folder / 'other'}"]
    words += ["--metrics", NAMES, "--workers", str(workers), "-o", str(output)]
    return [sys.executable, "-m", "imfuse.cli.main", "benchmark", *words]


def run(words: list[str], kill_after: float | None = None) -> bool:
    """Run in a session of its own; True where it was killed, with all of its processes, before it was done."""
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return True
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {errors}")
    return False


def content_of(output: Path) -> dict[str, Any]:
    """All that a run leaves: its results but for their date, and the SHA-256 of every picture and table."""
    results = json.loads((output / "results.json").read_text("ascii"))
    results.pop("date")
    files = [*output.glob("fused/**/*.png"), *output.glob("*.csv"), *output.glob("tables.md")]
    return {"results": results, **{str(file.relative_to(output)): file_hash(file) for file in sorted(files)}}


def differences(output: Path, whole: dict[str, Any]) -> list[str]:
    """What is other than in the run that nobody killed."""
    found = content_of(output)
    names = [name for name in {**whole, **found} if whole.get(name) != found.get(name)]
    return names + [str(file.relative_to(output)) for file in output.rglob("*.tmp")]


def main() -> int:
    """Kill, compare, and print a line for each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="how many at least")
    parser.add_argument("--work", type=Path, default=Path("runs/kill_benchmark"), help="folder to work in; it is new")
    parser.add_argument("--workers", type=int, default=2, help="processes of each run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    args.work.mkdir(parents=True)
    make_pairs(args.work)
    begin = time.monotonic()
    run(command(args.work, args.work / "whole", args.workers))
    seconds = time.monotonic() - begin
    whole = content_of(args.work / "whole")
    moments, kills, rounds, bad = random.Random(args.seed), 0, 0, 0
    while kills < args.kills:
        output = args.work / f"round_{rounds}"
        words = command(args.work, output, args.workers)
        killed = sum(run(words, moments.uniform(0.1, 1.1) * seconds) for _ in range(MOST_KILLS))
        run(words)
        found = differences(output, whole)
        rounds, kills, bad = rounds + 1, kills + killed, bad + bool(found)
        print(f"round {rounds}: {killed} kills, {kills} in all; {', '.join(found) or 'equal'}", flush=True)
        if not found:
            shutil.rmtree(output)
    print(f"{kills} kills in {rounds} rounds, {rounds - bad} of {rounds} equal to the run that nobody killed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
