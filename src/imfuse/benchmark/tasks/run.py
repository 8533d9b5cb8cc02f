"""Run a benchmark of a task: every row, remembered by content, and the numbers of all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch

from imfuse.benchmark.plan import ModelEntry
from imfuse.benchmark.results import ExternalResults, MethodUsed
from imfuse.benchmark.runner import environment, model_used
from imfuse.benchmark.tasks.estimates import (
    Run,
    detection_measures,
    detection_run,
    measures_of,
    segmentation_measures,
    segmentation_run,
)
from imfuse.benchmark.tasks.finding import find_in_row, picture_of
from imfuse.benchmark.tasks.memory import Remembered
from imfuse.benchmark.tasks.pairs import PairSet, Pictures, find_set, load_fuser, split_bands
from imfuse.benchmark.tasks.plan import FEATURES, TaskPlan
from imfuse.benchmark.tasks.results import BoxList, Kind, TaskResults, TaskRow, View, ViewedPicture
from imfuse.benchmark.tasks.retraining import (
    LabelledPairs,
    RenderedScenes,
    class_names,
    picture_file,
    segment_by_head,
    train_row,
    viewed,
)
from imfuse.core.boxes import Boxes
from imfuse.core.errors import BenchmarkError
from imfuse.core.files import file_hash
from imfuse.core.lock import output_lock
from imfuse.core.registry import get_spec
from imfuse.core.signals import raise_terminated
from imfuse.core.version import VERSION
from imfuse.core.weights import CONVERTED
from imfuse.fusing.engine import find_device
from imfuse.fusing.folder import Progress
from imfuse.imaging import write_image
from imfuse.imaging.read import image_hash
from imfuse.metrics.detection_protocols import get_protocol
from imfuse.scenes.classes import CLASSES
from imfuse.tasks.segment.file import without_memory
from imfuse.tasks.segment.read import COLOURS

HEAD = " (own head)"
_FROM_LABELS = {"seafusion"}
"""Methods whose authors trained them by a segmenter that saw class labels; those that segment themselves did, too."""
Told = Callable[[Progress], None]


@dataclass
class _Found:
    """What every row found, seed by seed, and what could not be done."""

    rows: dict[str, list[Remembered]] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)
    heads: dict[str, ModelEntry] = field(default_factory=dict)
    setting: dict[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    title: str = ""


def run_task_benchmark(plan: TaskPlan, output: Path, *, progress: Told | None = None) -> TaskResults:
    """Run a plan; pictures, trainings and what was found go below ``output``, the caller writes the results.

    What an earlier run with the same pictures, labels, weights, settings and version left in ``output`` is not done
    again, so a run that was killed continues where it stopped, a training from its last checkpoint.

    Args:
        plan: what to run.
        output: folder of the benchmark.
        progress: called with pictures or steps that are done.

    Returns:
        The results; :meth:`TaskResults.write` writes them.

    Raises:
        ImfuseError: something of the plan cannot be used, or another run uses ``output``.

    Example:
        ```python
        plan = TaskPlan("detect", parse_models("refinefuse"), data=("m3fd", Path("m3fd")), detector=Path("yolo.onnx"))
        print(run_task_benchmark(plan, Path("runs/m3fd")).rows["refinefuse"].measures["mAP50"])
        ```
    """
    told = progress or (lambda _: None)
    # What is wrong with a name is reported before anything is done.
    if plan.task == "segment":
        without_memory(plan.segmenter, len(CLASSES), COLOURS)
    used = {entry.label: model_used(entry, load_fuser(entry, plan.device)) for entry in plan.models}
    pairs = find_set(plan) if plan.data is not None else None
    output.mkdir(parents=True, exist_ok=True)
    with output_lock(output, "a benchmark of a task"), raise_terminated():
        pairs = None if pairs is None else split_bands(pairs, output)
        found = _retrain(plan, pairs, output, told) if plan.retrained else _find(plan, pairs, output, told)
    methods: dict[str, MethodUsed] = {**used, **{name: ExternalResults(title=name) for name in plan.fused}}
    return _results(plan, found, methods, output)


def _find(plan: TaskPlan, pairs: PairSet | None, output: Path, told: Told) -> _Found:
    """By a detector that is taken as it is."""
    from imfuse.tasks.detect.finder import open_detector

    assert pairs is not None
    assert plan.detector is not None
    protocol, detector = get_protocol(plan.protocol), open_detector(plan.detector, plan.layout)
    protocol.lacking(detector.names)
    pictures = Pictures(plan, pairs, output)
    found = _Found(title=pairs.title, classes=protocol.classes, failed=pictures.failed)
    for done, row in enumerate(plan.rows):
        told(Progress(done, len(plan.rows), row))
        files = pictures.of(row)
        found.rows[row] = [find_in_row(detector, output, row, files, protocol)]
        for name in viewed(list(pairs.pairs)):
            if name in files:
                write_image(picture_file(output, row, name), picture_of(row, files[name].fused))
    told(Progress(len(plan.rows), len(plan.rows)))
    found.setting = {"protocol": protocol.name, "detector": plan.detector.name, "sha256": file_hash(plan.detector)}
    return found


def _retrain(plan: TaskPlan, pairs: PairSet | None, output: Path, told: Told) -> _Found:
    """By a network for each row and seed."""
    pictures = None if pairs is None else Pictures(plan, pairs, output)
    source = RenderedScenes(plan) if pictures is None else LabelledPairs(pictures)
    title = "rendered scenes" if pairs is None else pairs.title
    found = _Found(title=title, classes=class_names(plan))
    each = plan.seeds * plan.steps
    for place, row in enumerate(plan.rows):

        def count(done: int, _: int, place: int = place, row: str = row) -> None:
            told(Progress(place * each + done, len(plan.rows) * each, row))

        found.rows[row] = train_row(plan, source, row, output, count)
    for entry in plan.models if plan.task == "segment" else ():
        if get_spec(entry.model).classes == len(found.classes):
            found.heads[f"{entry.label}{HEAD}"] = entry
            found.rows[f"{entry.label}{HEAD}"] = [segment_by_head(plan, source, entry, output)]
    found.setting = _budget(plan)
    return found


def _budget(plan: TaskPlan) -> dict[str, str]:
    """What all networks have in common, in words."""
    width = {"network": "detector of ours" if plan.task == "detect" else plan.segmenter}
    scenes = {} if plan.data else {"scenes": f"{plan.scenes} of {plan.size[1]}x{plan.size[0]} to train on"}
    protocol = {"protocol": plan.protocol} if plan.task == "detect" and plan.data else {}
    numbers = {"seeds": plan.seeds, "steps": plan.steps, "batch": plan.batch, "crop": f"{plan.crop[1]}x{plan.crop[0]}"}
    return {**width, **scenes, **protocol, **{name: str(value) for name, value in numbers.items()}}


def _results(plan: TaskPlan, found: _Found, used: Mapping[str, MethodUsed], output: Path) -> TaskResults:
    common = _common(found.rows)
    first = next(iter(found.rows.values()))[0]
    scored, truths = _scored(plan, found, common)
    names, runs = _runs(plan, found, common, scored)
    references = [row for row in (plan.against, *plan.controls, FEATURES) if row in found.rows]
    rows = {
        row: TaskRow(
            kind=_kind(plan, row, found),
            used=used.get(found.heads[row].label if row in found.heads else row),
            saw_labels=plan.task == "segment" and _saw_labels(plan, row.removesuffix(HEAD), used),
            seeds=list(range(plan.seeds)) if plan.retrained and row not in found.heads else [],
            measures=measures_of(names, runs, row, list(dict.fromkeys(references))),
        )
        for row in found.rows
    }
    return TaskResults(
        task=plan.task,
        imfuse=VERSION,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        environment=environment(find_device(plan.device).type),
        title=found.title,
        pictures=len(common),
        setting=found.setting,
        classes=list(found.classes),
        truths=truths,
        against=plan.against,
        rows=rows,
        views=[_view(name, found, first, output) for name in viewed(first.names) if name in common],
        failed={row: failed for row, failed in found.failed.items() if failed},
    )


def _common(rows: Mapping[str, Sequence[Remembered]]) -> list[str]:
    """Pictures that every row has: others would make differences of other pictures."""
    sets = [set(one.names) for some in rows.values() for one in some]
    common = [name for name in next(iter(rows.values()))[0].names if all(name in names for names in sets)]
    if not common:
        raise BenchmarkError("no pair has a picture of every row, so that nothing can be compared")
    return common


def _scored(plan: TaskPlan, found: _Found, common: Sequence[str]) -> tuple[tuple[str, ...], dict[str, float]]:
    """Classes that are scored, and how many boxes or which share of the pixels each has."""
    one = next(iter(found.rows.values()))[0]
    places = [one.names.index(name) for name in common]
    if plan.task == "detect":
        numbers = [number for place in places for number in one.known[place].classes]
        scored = get_protocol(plan.protocol).classes if plan.data else found.classes
        return scored, {name: float(numbers.count(found.classes.index(name))) for name in scored}
    pixels = torch.tensor([one.counts[place] for place in places]).sum(0).sum(1).double()
    shares = (pixels / pixels.sum().clamp_min(1)).tolist()
    return found.classes, dict(zip(found.classes, shares, strict=True))


def _runs(
    plan: TaskPlan, found: _Found, common: Sequence[str], scored: tuple[str, ...]
) -> tuple[list[str], dict[str, list[Run]]]:
    """Names of the measures, and the scores of every row and seed."""
    night: list[bool | None] = []
    if plan.task == "segment":
        one = next(iter(found.rows.values()))[0]
        night = [one.night[one.names.index(name)] for name in common]
    runs: dict[str, list[Run]] = {}
    for row, seeds in found.rows.items():
        runs[row] = []
        for one in seeds:
            places = [one.names.index(name) for name in common]
            if plan.task == "segment":
                counts = torch.tensor([one.counts[place] for place in places])
                runs[row].append(segmentation_run(counts, night))
            else:
                ours, true = (
                    [_renumbered(stored[place], found.classes, scored) for place in places]
                    for stored in (one.found, one.known)
                )
                runs[row].append(detection_run(ours, true, scored))
    names = detection_measures(scored) if plan.task == "detect" else segmentation_measures(scored, night)
    return names, runs


def _renumbered(stored: BoxList, classes: Sequence[str], scored: Sequence[str]) -> Boxes:
    """Boxes of the scored classes, by their places there."""
    table = np.array([scored.index(name) if name in scored else -1 for name in classes], np.int64)
    boxes = stored.boxes
    moved = Boxes(boxes.corners, table[boxes.classes], boxes.scores)
    return moved.where(moved.classes >= 0)


def _kind(plan: TaskPlan, row: str, found: _Found) -> Kind:
    if row in found.heads:
        return "head"
    if row in plan.fused:
        return "pictures"
    return "features" if row == FEATURES else "control" if row in plan.controls else "method"


def _saw_labels(plan: TaskPlan, row: str, used: Mapping[str, MethodUsed]) -> bool:
    """Whether a method was trained with class labels: it segments itself, or a segmenter led its authors' training."""
    method = used.get(row)
    if method is None or method.kind == "pictures":
        return False
    header = method.weights.header if method.weights else {}
    by_authors = header.get("recipe") == CONVERTED and get_spec(method.model).name in _FROM_LABELS
    return by_authors or bool(get_spec(method.model).classes)


def _view(name: str, found: _Found, first: Remembered, output: Path) -> View:
    """A scene with the kept pictures of it."""
    pictures = {}
    for row, seeds in found.rows.items():
        file = picture_file(output, row, name)
        if file.is_file() and name in seeds[0].names:
            boxes = seeds[0].found[seeds[0].names.index(name)] if seeds[0].found else None
            path = file.relative_to(output).as_posix()
            pictures[row] = ViewedPicture(file=path, sha256=image_hash(file), found=boxes)
    known = first.known[first.names.index(name)] if first.known else None
    return View(name=name, known=known, pictures=pictures)
