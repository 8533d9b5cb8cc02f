"""Does a training that is killed again and again end as if it had not been? Compares logs and weights bit by bit.

``python -m scripts.evidence.kill_training --kills 200`` trains a tiny network on rendered scenes, by several recipes.
Each run is killed (SIGKILL) at random moments of its whole life, from its first line to the export, and is resumed
until it is done. A run that differs from the one that nobody killed stays in the folder ``--keep``.

One process imports everything and forks the runs, so that a kill costs no more than the training before it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import torch
from safetensors.torch import load_file

from imfuse.core.files import file_hash
from imfuse.data.pairs import PairFiles, find_pairs
from imfuse.imaging import write_image
from imfuse.scenes import render_scene
from imfuse.training.checkpoints import PREVIOUS
from imfuse.training.engine import train
from imfuse.training.log import LOG
from imfuse.training.recipe import Recipe, load_recipe

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "own_method" / "recipe.yaml"
SMALL = ["data.crop.size=16", "batch_size=3", "epochs=3", "checkpoint_minutes=1e-9", "scores=[EN, SD]"]
VARIANTS: dict[str, list[str]] = {
    "plain": ["data.validation=0.0"],
    "validated, the best state": ["data.validation=0.15", "best=SD"],
    "averaged, a cosine": ["data.validation=0.15", "average=0.6", "schedule={name: cosine, warmup: 2}"],
    "accumulated": ["data.validation=0.0", "batch_size=1", "accumulate=2"],
    "few checkpoints": ["data.validation=0.15", "checkpoint_minutes=0.002"],
}
"""Recipes, by what they try."""
MOST_KILLS = 12
"""Of one run; then it is left to end."""


@dataclass
class Report:
    """What became of the runs."""

    kills: Counter[str] = field(default_factory=Counter)
    equal: int = 0
    different: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        places = ", ".join(f"{number} {place}" for place, number in sorted(self.kills.items()))
        runs = self.equal + len(self.different)
        lines = [f"{self.kills.total()} kills ({places}); {self.equal} of {runs} runs equal the one without kills"]
        return "\n".join([*lines, *self.different])


def make_pairs(folder: Path) -> list[PairFiles]:
    """Seven rendered pairs of 40x32."""
    for seed in range(7):
        scene = render_scene(32, 40, seed)
        write_image(folder / "ir" / f"{seed}.png", scene.infrared)
        write_image(folder / "vi" / f"{seed}.png", scene.visible)
    return find_pairs(folder)


def fork_run(recipe: Recipe, files: Sequence[PairFiles], out: Path, resume: bool) -> int:
    """Start a training in a process of its own; its number."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        errors = os.open(out.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        train(recipe, files, out, resume=resume, device="cpu", progress=False)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(process: int, seconds: float) -> int | None:
    """Exit code of a process that ends in this time, else ``None``."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


def place_of(out: Path) -> str:
    """What was there when a run was killed."""
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if "weights.safetensors" in names:
        return "after the export"
    if "last.ckpt" in names or "previous.ckpt" in names:
        return "with a checkpoint"
    return "before the first checkpoint" if "recipe.yaml" in names else "before anything was written"


def killed_run(recipe: Recipe, files: Sequence[PairFiles], out: Path, lengths: Sequence[float], report: Report) -> int:
    """One run that is killed after each of these times, and then left to end; its exit code."""
    for number, seconds in enumerate([*lengths, 3600.0]):
        process = fork_run(recipe, files, out, resume=number > 0)
        code = ended(process, seconds)
        if code is not None:
            return code
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        report.kills[place_of(out)] += 1
    return 1


def difference(whole: Path, out: Path) -> str:
    """How a run differs from the one without kills; empty where it does not."""
    one, two = (load_file(folder / "weights.safetensors") for folder in (whole, out))
    if one.keys() != two.keys() or not all(torch.equal(one[name], two[name]) for name in one):
        return "the weights differ"
    if file_hash(whole / LOG) != file_hash(out / LOG):
        return "the logs differ"
    # How often a run saves is a matter of time.
    if names := ({path.name for path in out.iterdir()} ^ {path.name for path in whole.iterdir()}) - {PREVIOUS}:
        return f"other files are there: {', '.join(sorted(names))}"
    return ""


def kill_trainings(kills: int, seed: int, work: Path, keep: Path) -> Report:
    """Train, kill and compare until there were so many kills."""
    files, chance, report = make_pairs(work / "pairs"), random.Random(seed), Report()
    seconds: dict[str, float] = {}
    for number, name in enumerate(cycle(VARIANTS)):
        recipe, out = load_recipe(SOURCE, [*SMALL, *VARIANTS[name]]), work / f"run{number:03}"
        if name not in seconds:
            started = time.monotonic()
            if code := killed_run(recipe, files, work / name, [], report):
                raise RuntimeError(f"{name}: exit code {code}: {(work / name).with_suffix('.txt').read_text()}")
            seconds[name] = time.monotonic() - started
        # More of them early, since a run that is resumed late has little left to do.
        times = min(kills - report.kills.total(), chance.randint(1, MOST_KILLS))
        lengths = [1.1 * seconds[name] * chance.random() ** 2 for _ in range(times)]
        code = killed_run(recipe, files, out, lengths, report)
        if problem := f"exit code {code}" if code else difference(work / name, out):
            report.different.append(f"{out.name} ({name}, killed after {lengths}): {problem}")
            shutil.copytree(out, keep / out.name)
            shutil.copy(out.with_suffix(".txt"), keep)
            shutil.copytree(work / name, keep / f"{out.name}-without-kills")
        else:
            report.equal += 1
        shutil.rmtree(out, ignore_errors=True)
        if report.kills.total() >= kills:
            break
    return report


def main() -> int:
    """Print how many runs were equal; 1 where one was not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("killed"), help="folder for runs that differ")
    args = parser.parse_args()
    if not hasattr(os, "fork"):
        parser.error("this system cannot fork processes")
    torch.set_num_threads(1)
    for module in ("matplotlib.figure", "torch.utils.tensorboard"):
        # What runs import late, once for all of them.
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as work:
        report = kill_trainings(args.kills, args.seed, Path(work), args.keep)
    print(report)
    return 1 if report.different else 0


if __name__ == "__main__":
    sys.exit(main())
