"""What the benchmark itself costs.

``python -m scripts.speed.benchmark runner --data DIR``: one process of ``imfuse benchmark`` beside the bare sum of its
work, reading, fusing and scoring each pair in a loop, with nothing remembered; in turns, medians. And the time of a
second run, where everything is remembered.

``python -m scripts.speed.benchmark report``: a report of made-up results of 12 methods on 361 rendered pairs of 640x480
pixels: seconds to build, size.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from imfuse.benchmark.plan import Plan, make_plan
from imfuse.benchmark.report import write_report
from imfuse.benchmark.results import (
    ConventionUsed,
    DataResults,
    ExternalResults,
    MetricUsed,
    PairFiles,
    Results,
    ScoredPicture,
)
from imfuse.benchmark.runner import environment, run_benchmark
from imfuse.data.layouts import find_folders
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import match_folders, write_image
from imfuse.imaging.inputs import MAX_PIXELS, Stored
from imfuse.scenes import render_scene
from imfuse.scoring.files import Scorer

Times = tuple[float, float]
"""Seconds on the clock, and of the processor: the second says more on a machine that is shared."""


def timed(work: Callable[[], object]) -> Times:
    clock, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - busy


def bare(plan: Plan) -> None:
    """Read, fuse and score every pair, sources shared between methods, nothing written."""
    fusers = [Fuser(entry.model, entry.weights) for entry in plan.models]
    scorer = Scorer.of(plan.metrics, plan.convention, plan.range, MAX_PIXELS)
    for name, folder in plan.data.items():
        place = find_folders(Path(str(folder)), "test", name)
        for pair in match_folders(place.infrared, place.visible).pairs:
            sources = scorer.read_sources(pair)
            for fuser in fusers:
                fused = fuser(*(source.pixels for source in sources.stored))
                scorer.score("", pair.name, Stored(fused, "fused"), sources, (None, None))


def runner(data: Path, models: str, metrics: str | None, turns: int) -> None:
    plan = make_plan({"data": {"tno": data}, "models": models, "metrics": metrics})
    times: dict[str, list[Times]] = {"bare sum": [], "imfuse benchmark": [], "again, all remembered": []}
    for _ in range(turns):
        times["bare sum"].append(timed(lambda: bare(plan)))
        with tempfile.TemporaryDirectory() as folder:
            for name in ("imfuse benchmark", "again, all remembered"):
                times[name].append(timed(lambda: run_benchmark(plan, Path(folder), workers=1)))
    print(f"TNO, models {models}, threads: {torch.get_num_threads()}, medians of {turns}")
    print("| what | seconds | of the processor | to the bare sum |")
    print("|---|---:|---:|---:|")
    base = statistics.median(busy for _, busy in times["bare sum"])
    for name, taken in times.items():
        clock, busy = (statistics.median(values) for values in zip(*taken, strict=True))
        print(f"| {name} | {clock:.2f} | {busy:.2f} | {busy / base:.3f} |")


def made_up(folder: Path, methods: int, pairs: int) -> Results:
    """Results of pictures that are rendered once and changed a little for each pair and method."""
    random = np.random.default_rng(0)
    scenes = [render_scene(480, 640, seed=seed) for seed in range(12)]
    symbols = ("EN", "SD", "SF", "AG", "SCD", "VIF", "Qabf", "SSIM")
    names = [f"{i:05d}" for i in range(pairs)]
    data = DataResults(title="made up", infrared=str(folder / "ir"), visible=str(folder / "vi"))
    data.pictures = {f"method {m + 1}": {} for m in range(methods)}
    for i, name in enumerate(names):
        scene = scenes[i % len(scenes)]
        shift = int(random.integers(1, 400))
        infrared, visible = np.roll(scene.infrared, shift, 1), np.roll(scene.visible, shift, 1)
        write_image(folder / "ir" / f"{name}.png", infrared)
        write_image(folder / "vi" / f"{name}.png", visible)
        data.pairs[name] = PairFiles(infrared=f"{name}.png", visible=f"{name}.png")
        for m, entries in enumerate(data.pictures.values()):
            part = (m + 1) / (methods + 2)
            file = f"fused/{m}/{name}.png"
            write_image(folder / file, (part * infrared[..., None] + (1 - part) * visible).astype(np.uint8))
            values = random.normal(5 + 0.1 * m, 1, len(symbols))
            scores = dict(zip(symbols, values.tolist(), strict=True))
            entries[name] = ScoredPicture(file=file, sha256="", scores=scores)
    return Results(
        imfuse="0",
        date="2000-01-01",
        environment=environment("cpu"),
        convention=ConventionUsed(name="plain", origin="made up", gray="matlab"),
        metrics={symbol: MetricUsed(name=symbol, unit="", better="higher", accident="") for symbol in symbols},
        range="full",
        against="method 1",
        methods={name: ExternalResults(title=name) for name in data.pictures},
        data={"made_up": data},
    )


def report(methods: int, pairs: int, keep: Path | None) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        results = made_up(folder, methods, pairs)
        seconds, busy = timed(lambda: write_report(results, folder))
        page = folder / "report.html"
        size = page.stat().st_size / 1e6
        print(f"{methods} methods, {pairs} pairs: {seconds:.1f} s, of processors {busy:.1f} s; {size:.1f} MB")


def main() -> int:
    """Print the table that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("runner")
    first.add_argument("--data", type=Path, required=True, help="folder of TNO")
    first.add_argument("--models", default="auif")
    first.add_argument("--metrics")
    first.add_argument("--turns", type=int, default=3)
    first.add_argument("--threads", type=int, default=1)
    second = commands.add_parser("report")
    second.add_argument("--methods", type=int, default=12)
    second.add_argument("--pairs", type=int, default=361)
    second.add_argument("--keep", type=Path, help="folder to leave the report in")
    args = parser.parse_args()
    if args.command == "runner":
        torch.set_num_threads(args.threads)
        runner(args.data, args.models, args.metrics, args.turns)
    else:
        report(args.methods, args.pairs, args.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
