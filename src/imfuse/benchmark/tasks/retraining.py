"""A network of its own for every row and seed, trained on the pictures of the row with the same views and budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imfuse.benchmark.plan import ModelEntry
from imfuse.benchmark.tasks.memory import Remembered, key_of, nights, recall, remember
from imfuse.benchmark.tasks.pairs import Pictures, load_fuser
from imfuse.benchmark.tasks.plan import FEATURES, TaskPlan
from imfuse.benchmark.tasks.results import BoxList
from imfuse.core.errors import BenchmarkError, RecipeError
from imfuse.core.files import input_hash
from imfuse.data.labels import read_classes
from imfuse.imaging import write_image
from imfuse.imaging.read import image_hash
from imfuse.metrics.detection_protocols import get_protocol
from imfuse.scenes.classes import CLASSES, DETECTED
from imfuse.scenes.conditions import Conditions
from imfuse.tasks.checkpoint import CHECKPOINT
from imfuse.tasks.detect.labels import SUFFIXES, read_boxes
from imfuse.tasks.detect.train import RATE, train_detector
from imfuse.tasks.examples import Example
from imfuse.tasks.fit import FitSettings
from imfuse.tasks.folders import ExampleFiles, FolderExamples
from imfuse.tasks.parts import Parts, folder_parts, rendered_parts
from imfuse.tasks.rendered import HELD_OUT, render_scenes
from imfuse.tasks.segment.scores import confusion_matrix
from imfuse.tasks.segment.segmenter import Segmenter, overlay
from imfuse.tasks.segment.train import train_segmenter

_VIEWED = 4


class Source(Protocol):
    """Where the pictures to train on and to test on come from."""

    def key(self, row: str) -> object:
        """All that decides the pictures of a row."""

    def parts(self, row: str) -> Parts:
        """Pictures of a row; those of all rows are of the same scenes, in the same parts and order."""

    def segmented(self, segmenter: Segmenter) -> tuple[list[str], list[Tensor]]:
        """What a method that segments itself makes of the test part: names, and confusion matrices."""


@dataclass(frozen=True)
class RenderedScenes:
    """Rendered scenes, whose held-out ones have other seeds."""

    plan: TaskPlan

    def key(self, row: str) -> object:
        """Number and size of the scenes, and the method with its weights."""
        entry = self._entry(row)
        method = row if entry is None else [entry.model, load_fuser(entry, self.plan.device).weights_hash]
        return ["rendered", self.plan.scenes, self.plan.size, method]

    def parts(self, row: str) -> Parts:
        """See :class:`Source`."""
        entry, (height, width) = self._entry(row), self.plan.size
        method, weights = (entry.model, entry.weights) if entry else ("stacked" if row == FEATURES else row, "default")
        device = self.plan.device
        return rendered_parts(method, self.plan.scenes, height=height, width=width, weights=weights, device=device)

    def segmented(self, segmenter: Segmenter) -> tuple[list[str], list[Tensor]]:
        """See :class:`Source`."""
        scenes = render_scenes(HELD_OUT, -(-self.plan.scenes // 5), *self.plan.size)
        counts = [_compared(scene.labels, segmenter(scene.infrared, scene.visible)) for scene in scenes]
        return [f"scene {HELD_OUT + i}" for i in range(len(scenes))], counts

    def _entry(self, row: str) -> ModelEntry | None:
        return next((entry for entry in self.plan.models if entry.label == row), None)


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs of a data set: its own parts, or nine to one by a seed as articles split M3FD."""

    pictures: Pictures

    def key(self, row: str) -> object:
        """The content of all files."""
        files = self._files(row)
        hashed = [image_hash, image_hash if self.pictures.plan.task == "segment" else _text_hash]
        content = [[one.name, hashed[0](one.fused), hashed[1](one.target)] for one in files]
        heat = [image_hash(one.infrared) for one in files if one.infrared]
        train = self.pictures.pairs.train
        return [content, heat, self.pictures.plan.protocol, None if train is None else sorted(train)]

    def parts(self, row: str) -> Parts:
        """See :class:`Source`."""
        plan, pairs = self.pictures.plan, self.pictures.pairs
        names = class_names(plan)
        boxes = (lambda path, size: read_boxes(path, size, names)) if plan.task == "detect" else None
        files, origin = self._files(row), f"{row} on {pairs.title}"
        if pairs.train is None:
            return folder_parts(files, len(names), validation=0, test=0.1, read_boxes=boxes, origin=origin)
        sides = ([one for one in files if (one.name in pairs.train) is wanted] for wanted in (True, False))
        train, test = (FolderExamples(part, len(names), boxes) for part in sides)
        return Parts(train, (), test, origin)

    def segmented(self, segmenter: Segmenter) -> tuple[list[str], list[Tensor]]:
        """See :class:`Source`."""
        names = [one.name for one in self.parts("visible").test]
        pairs, targets = self.pictures.pairs.pairs, self.pictures.pairs.targets
        number = len(CLASSES)
        counts = [
            _compared(read_classes(targets[name], number), segmenter(pairs[name].infrared, pairs[name].visible))
            for name in names
        ]
        return names, counts

    def _files(self, row: str) -> list[ExampleFiles]:
        files = self.pictures.of(row)
        if failed := self.pictures.failed.get(row):
            name, reason = next(iter(failed.items()))
            raise BenchmarkError(f"{row}: {len(failed)} pairs have no picture, such as {name}: {reason}")
        return list(files.values())


def class_names(plan: TaskPlan) -> tuple[str, ...]:
    """Classes that networks learn, by number."""
    if plan.task == "segment":
        return CLASSES
    return DETECTED if plan.data is None else get_protocol(plan.protocol).labels


def train_row(
    plan: TaskPlan, source: Source, row: str, output: Path, progress: Callable[[int, int], None]
) -> list[Remembered]:
    """Train and test a network for each seed, but for those that an earlier run has done.

    Args:
        plan: the settings.
        source: of the pictures.
        row: whose pictures.
        output: folder of the benchmark; a run that was stopped continues from its checkpoint there.
        progress: called with steps done and steps in all, of this row.

    Returns:
        What each network found in the test pictures.
    """
    place, done = source.key(row), list[Remembered]()
    parts: Parts | None = None
    for seed in range(plan.seeds):
        settings = fit_settings(plan, seed)
        model = _network(plan, row)
        key = key_of("retrain", plan.task, place, settings.deciding(), model)
        known = recall(output, key, Remembered)
        if known is None:
            parts = source.parts(row) if parts is None else parts
            told = _counted(progress, seed, plan)
            known = _trained(plan, parts, settings, row, output / "runs" / key, told)
            remember(output, key, known)
            (output / "runs" / key / CHECKPOINT).unlink(missing_ok=True)
        done.append(known)
        progress((seed + 1) * plan.steps, plan.seeds * plan.steps)
    return done


def fit_settings(plan: TaskPlan, seed: int) -> FitSettings:
    """How each network is trained: the same for every row."""
    rate = RATE if plan.task == "detect" else FitSettings.lr
    return FitSettings(steps=plan.steps, batch=plan.batch, crop=plan.crop, lr=rate, seed=seed, device=plan.device)


def _network(plan: TaskPlan, row: str) -> str:
    if plan.task == "detect":
        return "detector"
    return FEATURES if row == FEATURES else plan.segmenter


def _trained(
    plan: TaskPlan, parts: Parts, settings: FitSettings, row: str, folder: Path, told: Callable[[int, int, float], None]
) -> Remembered:
    names, labels = [one.name for one in parts.test], class_names(plan)
    if plan.task == "detect":
        found = train_detector(parts, labels, settings, folder, resume=True, progress=told)
        if settings.seed == 0:
            _keep(folder.parents[1], row, parts.test, {})
        both = [[BoxList.of(boxes) for boxes in some] for some in (found.found, found.known)]
        return Remembered(names=names, found=both[0], known=both[1])
    run = train_segmenter(
        _network(plan, row), parts, len(labels), settings, folder, balance=True, resume=True, progress=told
    )
    if settings.seed == 0:
        classes = {one.name: _classes(run.network, run.normalisation, one) for one in parts.test[:_VIEWED]}
        _keep(folder.parents[1], row, parts.test, classes)
    return Remembered(names=names, counts=run.counts.tolist(), night=_nights(plan, names))


def segment_by_head(plan: TaskPlan, source: Source, entry: ModelEntry, output: Path) -> Remembered:
    """What a method that was trained to segment finds itself; it is not trained anew."""
    key = key_of("head", entry.model, load_fuser(entry, plan.device).weights_hash, source.key("visible"))
    known = recall(output, key, Remembered)
    if known is None:
        settings: dict[str, Any] = {"device": plan.device, **entry.options}
        names, counts = source.segmented(Segmenter(entry.model, entry.weights, **settings))
        known = Remembered(names=names, counts=torch.stack(counts).tolist(), night=_nights(plan, names))
        remember(output, key, known)
    return known


def viewed(names: Sequence[str]) -> Sequence[str]:
    """The pictures that are kept to be looked at."""
    return names[:_VIEWED]


def picture_file(output: Path, row: str, name: str) -> Path:
    """Where a picture is kept to be looked at."""
    return output / "pictures" / row / f"{name}.png"


def _keep(output: Path, row: str, examples: Sequence[Example], classes: Mapping[str, NDArray[np.uint8]]) -> None:
    """Keep the first test pictures of a row, painted with classes where these are given."""
    for example in examples[:_VIEWED]:
        picture = np.ascontiguousarray(example.image[..., :3])
        if example.name in classes:
            picture = overlay(picture.astype(np.float32) / 255, classes[example.name])
        write_image(picture_file(output, row, example.name), picture)


@torch.no_grad()
def _classes(network: Any, normalisation: Any, example: Example) -> NDArray[np.uint8]:
    device = next(network.parameters()).device
    found = network(normalisation.apply([example.image]).to(device)).argmax(1)[0]
    return np.asarray(found.cpu().numpy(), np.uint8)


def _nights(plan: TaskPlan, names: Sequence[str]) -> list[bool | None]:
    """Of rendered scenes by their conditions, of others by their names."""
    if plan.data is not None:
        return nights(names)
    return [Conditions.draw(int(name.removeprefix("scene "))).daylight == 0 for name in names]


def _compared(labels: NDArray[np.uint8], found: NDArray[np.uint8]) -> Tensor:
    return confusion_matrix(torch.from_numpy(labels), torch.from_numpy(found), len(CLASSES))


def _text_hash(path: Path) -> str:
    return input_hash(path, RecipeError, f"a file of boxes ({' or '.join(SUFFIXES)})", 4 << 20)


def _counted(progress: Callable[[int, int], None], seed: int, plan: TaskPlan) -> Callable[[int, int, float], None]:
    def told(done: int, steps: int, loss: float) -> None:
        progress(seed * steps + done, plan.seeds * steps)

    return told
