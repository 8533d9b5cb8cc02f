"""Run a benchmark: every model on every pair, in processes, remembered by content, and the numbers of all of it."""

from __future__ import annotations

import math
import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from multiprocessing.connection import wait
from pathlib import Path

import cv2
import torch

from imfuse.benchmark.bounds import LONGEST_TEXT
from imfuse.benchmark.interrupts import interrupts_held
from imfuse.benchmark.pair_worker import Job, Outcome, PairWorker
from imfuse.benchmark.plan import Folders, ModelEntry, Plan
from imfuse.benchmark.results import (
    ConventionUsed,
    DataResults,
    ExternalResults,
    MethodUsed,
    MetricUsed,
    ModelUsed,
    PairFiles,
    RangeUsed,
    Results,
    ScoredPicture,
    SignificanceUsed,
    WeightsUsed,
)
from imfuse.core.errors import ImageError
from imfuse.core.lock import output_lock
from imfuse.core.notes import note
from imfuse.core.signals import raise_terminated
from imfuse.core.version import VERSION
from imfuse.data.layouts import DataFolders, find_folders
from imfuse.fusing.alignment import read_rig
from imfuse.fusing.folder import Progress
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import Pairing, Range, as_range, find_pairing, match_fused, remove_leftovers
from imfuse.imaging.inputs import MAX_PIXELS
from imfuse.metrics import METRICS, get_convention, get_definition
from imfuse.scoring.files import Scorer

_MOST_WORKERS = 8
_DIED = "the process that worked on this pair was killed, perhaps for lack of memory; use fewer processes (workers=...)"


@dataclass(frozen=True)
class _Data:
    """A data set with its pairs, and the external results on it."""

    name: str
    folders: DataFolders
    pairing: Pairing
    fused: dict[str, dict[str, Path]]
    unmatched: dict[str, tuple[str, ...]]


def run_benchmark(
    plan: Plan,
    output: Path,
    *,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Results:
    """Run a plan; pictures and remembered scores go below ``output``, the caller writes the results.

    What an earlier run with the same inputs, weights, convention and version left in ``output`` is not done again, so a
    run that was killed continues where it stopped. A pair that fails is listed in the results, and the others continue.

    Args:
        plan: what to run.
        output: folder of the benchmark.
        workers: processes; by default one for each thread of torch, at most 8, and one on a GPU. 1 works in this one.
        progress: called before the first pair and after each.

    Returns:
        The results; :meth:`Results.write` writes them.

    Raises:
        ImfuseError: something of the plan cannot be used, or another run uses ``output``; nothing was done then.

    Example:
        ```python
        results = run_benchmark(make_plan({"data": {"tno": "data/tno"}}), Path("runs/tno"))
        results.write(Path("runs/tno/results.json"))
        ```
    """
    # Without limits of its own a benchmark scores each picture by those that it was fused by.
    range_ = None if as_range(plan.range) == Range() else plan.range
    rig = None if plan.rig is None else read_rig(plan.rig)
    scorer = Scorer.of(plan.metrics, plan.convention, range_, MAX_PIXELS, rig=rig)
    sets = [_load(plan, name, output) for name in plan.data]
    settings = {"device": plan.device, "dtype": plan.dtype, "range": plan.range, "rig": rig}
    worker = PairWorker(plan.models, scorer, output, settings)
    # Loaded here once, so that what is wrong with a model is reported before anything is done.
    device = {fuser.device.type for fuser in worker.fusers.values()} or {"cpu"}
    _make_folder(output)
    jobs = [
        Job(data.name, pair, {method: files[pair.name] for method, files in data.fused.items() if pair.name in files})
        for data in sets
        for pair in data.pairing.pairs
    ]
    number = workers or (min(torch.get_num_threads(), _MOST_WORKERS) if device == {"cpu"} else 1)
    report = progress or (lambda _: None)
    report(Progress(0, len(jobs)))
    outcomes: dict[tuple[str, str], Outcome] = {}
    with output_lock(output, "a benchmark"), raise_terminated():
        for outcome in _outcomes(worker, jobs, min(number, len(jobs))):
            outcomes[outcome.data, outcome.name] = outcome
            for message, *advice in outcome.doubts:
                note(message, *advice)
            report(Progress(len(outcomes), len(jobs), outcome.name))
    return Results(
        imfuse=VERSION,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        environment=environment(device.pop()),
        convention=_convention(plan.convention),
        metrics={symbol: _metric(symbol, plan.convention) for symbol in scorer.metrics},
        range=str(as_range(plan.range)),
        rig=rig,
        against=plan.against or plan.methods[0],
        significance=SignificanceUsed(family=plan.family),
        methods=_methods(plan, worker),
        data={data.name: _data_results(data, plan, output, outcomes) for data in sets},
    )


def environment(device: str) -> dict[str, str]:
    """What numbers may depend on besides the plan."""
    versions = {name: version(name) for name in ("torch", "numpy", "scipy", "opencv-python-headless")}
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return {
        "python": platform.python_version(),
        **versions,
        "platform": platform.system(),
        "device": f"{device} ({name})",
    }


def _load(plan: Plan, name: str, output: Path) -> _Data:
    folders, pairing = _pairs(plan.data[name], name, plan.recursive, output)
    places = {method: plan.fused_folder(method, name) for method in plan.fused}
    matches = {method: match_fused(place, pairing.pairs) for method, place in places.items() if place is not None}
    return _Data(
        name,
        folders,
        pairing,
        {method: files for method, (files, _) in matches.items()},
        {method: unmatched for method, (_, unmatched) in matches.items()},
    )


def _pairs(place: Path | Folders, name: str, recursive: bool, output: Path) -> tuple[DataFolders, Pairing]:
    """The folders of a data set and its pairs; a list of pairs has the folders that all its files are in."""
    if isinstance(place, Path) and not place.is_file():
        folders = find_folders(place, "test", name, recursive)
        place = Folders(infrared=folders.infrared, visible=folders.visible)
    else:
        folders = None
        place = Folders(pairs=place) if isinstance(place, Path) else place
    recursive = recursive or place.recursive
    pairing = find_pairing(place.infrared, place.visible, recursive=recursive, pairs=place.pairs, without=(output,))
    if folders is None:
        infrared = place.infrared or _common_folder([pair.infrared for pair in pairing.pairs])
        visible = place.visible or _common_folder([pair.visible for pair in pairing.pairs])
        folders = DataFolders(name, infrared, visible)
    return folders, pairing


def _common_folder(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath({file.parent.absolute() for file in files}))


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise ImageError(f"{output}: cannot make the output folder ({reason})", "choose another output=...") from None
    for folder in (output, output / "cache", *(output / "fused").glob("*/*")):
        remove_leftovers(folder)


def _outcomes(worker: PairWorker, jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """In this process, or in several. Where one of those is killed, its pair is tried again alone, then given up."""
    if workers <= 1:
        yield from map(worker.run, jobs)
        return
    remaining = {(job.data, job.pair.name): job for job in jobs}
    for outcome in _in_processes(worker, jobs, workers):
        del remaining[outcome.data, outcome.name]
        yield outcome
    while remaining:
        for outcome in _in_processes(worker, list(remaining.values()), 1):
            del remaining[outcome.data, outcome.name]
            yield outcome
        if remaining:
            # One process takes them in order, so the first that is not done is the one that ended it.
            job = remaining.pop(next(iter(remaining)))
            yield Outcome(job.data, job.pair.name, failed={"": _DIED})


def _in_processes(worker: PairWorker, jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """What is done; ends early where a process is killed."""
    # A copy carries no networks: each process loads its own.
    with _pool(replace(worker), workers) as pool:
        with interrupts_held():
            futures = [pool.submit(_run, job) for job in jobs]
        for future in as_completed(futures):
            with suppress(BrokenProcessPool):
                yield future.result()


@contextmanager
def _pool(worker: PairWorker, workers: int) -> Iterator[ProcessPoolExecutor]:
    threads = max(1, torch.get_num_threads() // workers)
    # A forked process would inherit the threads of torch in an unknown state.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start, (worker, threads))
    try:
        yield pool
    finally:
        # After Ctrl-C what is under way is finished, and nothing new begins.
        pool.shutdown(wait=True, cancel_futures=True)


_worker: PairWorker


def _start(worker: PairWorker, threads: int) -> None:
    """Set up a process: its worker, its share of threads, and an end when the main process is gone."""
    global _worker
    _worker = worker
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _run(job: Job) -> Outcome:
    return _worker.run(job)


def _convention(name: str) -> ConventionUsed:
    convention = get_convention(name)
    return ConventionUsed(name=convention.name, origin=convention.origin, gray=convention.gray)


def _metric(symbol: str, convention: str) -> MetricUsed:
    spec, accident = METRICS[symbol], get_definition(symbol, convention).accident
    return MetricUsed(name=spec.name, unit=spec.unit, better=spec.better, accident=accident)


def _methods(plan: Plan, worker: PairWorker) -> dict[str, MethodUsed]:
    models = {entry.label: model_used(entry, worker.fusers[entry.label]) for entry in plan.models}
    return {**models, **{method: ExternalResults(title=method) for method in plan.fused}}


def model_used(entry: ModelEntry, fuser: Fuser) -> ModelUsed:
    """A model with its weights, as results keep it."""
    weights = None
    if not fuser.spec.training_free:
        # The header says what its maker likes, but not which file it is.
        header = {key: text[:LONGEST_TEXT] for key, text in sorted(fuser.resolved.provenance.items())}
        content = {**header, "name": entry.weights, "sha256": fuser.weights_hash}
        weights = WeightsUsed.model_validate(content)
    return ModelUsed(
        model=entry.model,
        title=fuser.spec.title,
        paper=fuser.spec.paper.link,
        options=dict(fuser.options),
        dtype=str(fuser.dtype).removeprefix("torch."),
        weights=weights,
    )


def _data_results(data: _Data, plan: Plan, output: Path, outcomes: dict[tuple[str, str], Outcome]) -> DataResults:
    """Everything of a data set in the order of its pairs, whichever process was done first."""
    names = [pair.name for pair in data.pairing.pairs]
    result = DataResults(
        title=data.folders.title,
        infrared=str(data.folders.infrared.resolve()),
        visible=str(data.folders.visible.resolve()),
        pictures={method: {} for method in (*(entry.label for entry in plan.models), *data.fused)},
        missing={method: [name for name in names if name not in files] for method, files in data.fused.items()},
        unmatched={method: list(files) for method, files in data.unmatched.items()},
        unmatched_infrared=list(data.pairing.unmatched_infrared),
        unmatched_visible=list(data.pairing.unmatched_visible),
    )
    for pair in data.pairing.pairs:
        outcome = outcomes[data.name, pair.name]
        infrared_sha256, visible_sha256 = outcome.sha256
        result.pairs[pair.name] = PairFiles(
            infrared=_from_folder(pair.infrared.absolute(), data.folders.infrared.absolute()),
            visible=_from_folder(pair.visible.absolute(), data.folders.visible.absolute()),
            infrared_sha256=infrared_sha256,
            visible_sha256=visible_sha256,
        )
        for method, picture in outcome.pictures.items():
            result.pictures[method][pair.name] = ScoredPicture(
                file=_from_folder(picture.file, output),
                sha256=picture.sha256,
                scores={symbol: None if math.isnan(value) else value for symbol, value in picture.scores.items()},
                infrared_range=RangeUsed.of(picture.infrared_range),
                visible_range=RangeUsed.of(picture.visible_range),
            )
        for method, message in outcome.failed.items():
            result.failed.setdefault(method, {})[pair.name] = message
    return result


def _from_folder(file: Path, folder: Path) -> str:
    """A path from a folder where it is below it, so that the folder can be moved; else an absolute one."""
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file.resolve())
