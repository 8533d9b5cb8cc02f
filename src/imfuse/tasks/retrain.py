"""One network per method, trained anew on its pictures of rendered scenes: what a benchmark of tasks compares.

Scenes, crops, steps and first weights are the same for all methods; what differs is the picture that the network sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from imfuse.core.errors import RecipeError
from imfuse.scenes.classes import CLASSES, DETECTED
from imfuse.tasks.detect.train import RATE, DetectorRun, train_detector
from imfuse.tasks.fit import FitSettings
from imfuse.tasks.parts import Parts, rendered_parts
from imfuse.tasks.segment.scores import intersection_over_union, mean_iou
from imfuse.tasks.segment.train import SegmenterRun, train_segmenter

Task = Literal["detect", "segment"]


@dataclass(frozen=True)
class RetrainSettings:
    """What all methods of a comparison have in common.

    Args:
        scenes: rendered scenes to train on; a fifth as many are held out.
        height: rows of the scenes.
        width: columns.
        model: the segmenter; detection has one network.
        balance: weigh rare classes up in the loss of the segmenter, which needs fewer steps so.
        fit: how the network is trained; its seed is that of each run.

    Example:
        >>> RetrainSettings(scenes=50).fit.steps
        2000
    """

    scenes: int = 200
    height: int = 240
    width: int = 320
    model: str = "segformer_compact"
    balance: bool = True
    fit: FitSettings = field(default_factory=FitSettings)


@dataclass(frozen=True)
class SeedScores:
    """Scores of one network on the held-out scenes.

    Args:
        seed: of the training.
        values: by name: ``mAP50``, ``mAP`` and ``AP50 person`` ..., or ``mIoU``, ``mIoU of objects`` (without the
            background) and ``IoU car`` ...; nan for a class that does not occur.
        run: the network, and what it found in each picture, for intervals over pictures.

    Example:
        ```python
        for scores in retrain("segment", "refinefuse", seeds=(0, 1, 2)):
            print(scores.seed, scores.values["mIoU"])
        ```
    """

    seed: int
    values: Mapping[str, float]
    run: DetectorRun | SegmenterRun


def retrain(
    task: Task,
    method: str,
    seeds: Sequence[int],
    settings: RetrainSettings | None = None,
    *,
    weights: str | Path | None = "default",
    progress: Callable[[int, int], None] | None = None,
) -> list[SeedScores]:
    """Train a network per seed on a method's pictures of rendered scenes, and test it on scenes that it has not seen.

    The result depends on the arguments only; on a processor with the same number of threads to the last bit.

    Args:
        task: "detect" or "segment".
        method: a fusion method, or a control: "visible", "infrared", "mean", "stacked".
        seeds: of the trainings; the scenes are the same for all.
        settings: the same for all methods that are compared; by default those of the task.
        weights: of the method.
        progress: called after each step with steps done and steps in all, over all seeds.

    Returns:
        The scores of each seed, in their order.

    Raises:
        RecipeError: there is no such task, or a setting cannot be.
        ModelError: there is no such method or segmenter.
        WeightsError: the weights of the method cannot be used.

    Example:
        ```python
        scores = retrain("detect", "refinefuse", seeds=(0, 1, 2))
        print([one.values["mAP50"] for one in scores])
        ```
    """
    if task not in ("detect", "segment"):
        raise RecipeError(f"task={task!r}: detect or segment is expected")
    common = settings or RetrainSettings(fit=FitSettings(lr=RATE) if task == "detect" else FitSettings())
    parts = rendered_parts(
        method, common.scenes, height=common.height, width=common.width, weights=weights, device=common.fit.device
    )
    scores = []
    for place, seed in enumerate(seeds):
        told = _counted(progress, place, len(seeds)) if progress else None
        train = _detect if task == "detect" else _segment
        scores.append(train(parts, replace(common, fit=replace(common.fit, seed=seed)), told))
    return scores


Told = Callable[[int, int, float], None]


def _detect(parts: Parts, settings: RetrainSettings, progress: Told | None) -> SeedScores:
    run = train_detector(parts, DETECTED, settings.fit, progress=progress)
    scores = run.scores()
    values = {"mAP50": scores.mean.ap50.value, "mAP": scores.mean.ap.value}
    values |= {f"AP50 {one.name}": one.ap50.value for one in scores.classes}
    return SeedScores(settings.fit.seed, values, run)


def _segment(parts: Parts, settings: RetrainSettings, progress: Told | None) -> SeedScores:
    run = train_segmenter(
        settings.model, parts, len(CLASSES), settings.fit, balance=settings.balance, progress=progress
    )
    counts = run.counts.sum(0)
    overlaps = intersection_over_union(counts)
    values = {"mIoU": mean_iou(counts).item(), "mIoU of objects": overlaps[1:].nanmean().item()}
    values |= {f"IoU {name}": overlap for name, overlap in zip(CLASSES, overlaps.tolist(), strict=True)}
    return SeedScores(settings.fit.seed, values, run)


def _counted(progress: Callable[[int, int], None], place: int, runs: int) -> Told:
    def told(done: int, steps: int, loss: float) -> None:
        progress(place * steps + done, runs * steps)

    return told
