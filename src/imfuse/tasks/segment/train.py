"""Training of a segmenter on pictures of one fusion method, and its scores on those that were held out."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.errors import RecipeError
from imfuse.tasks.examples import UNKNOWN, Batch, Example, Normalisation
from imfuse.tasks.fit import FitSettings, Fitted, Validation, fit, seeded
from imfuse.tasks.parts import Parts, Select
from imfuse.tasks.segment.scores import confusion_matrix, mean_iou
from imfuse.tasks.segment.traps import ORDER, STATISTICS, UNKNOWN_IN_MEAN, checked_traps

WEIGHTS = "segmenter.safetensors"


class TrainableSegmenter(Protocol):
    """A network of ``imfuse.tasks.segment.networks``: logits of normalised pictures, and the objective of its paper."""

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, classes, H, W)."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """What training minimises; labels (N, H, W), 255 where unknown."""


Build = Callable[[int, int], nn.Module]
"""Makes a network for so many classes and channels."""


@dataclass(frozen=True)
class SegmenterRun:
    """A trained segmenter, and what it took the test pictures for.

    Args:
        network: in evaluation mode.
        normalisation: of its pictures.
        fitted: losses, and the step whose weights were kept.
        counts: confusion matrix of each test picture, (N, classes, classes) int64, true classes in rows.

    Example:
        ```python
        run = train_segmenter("segformer_compact", parts, 9, FitSettings())
        print(mean_iou(run.counts.sum(0)).item())
        ```
    """

    network: nn.Module
    normalisation: Normalisation
    fitted: Fitted
    counts: Tensor


def train_segmenter(
    model: str,
    parts: Parts,
    classes: int,
    settings: FitSettings,
    output: Path | None = None,
    *,
    select: Select = "last",
    every: int = 200,
    balance: bool = False,
    traps: Collection[str] = (),
    resume: bool = False,
    progress: Callable[[int, int, float], None] | None = None,
) -> SegmenterRun:
    """Train a segmentation network from random weights and test it.

    Args:
        model: one of ``imfuse.tasks.segment.networks.SEGMENTERS``.
        parts: pictures with class numbers.
        classes: how many there are; 9 in MSRS and MFNet.
        settings: of the training.
        output: folder for the weights, ``segmenter.safetensors``, checkpoints and the log; nothing is written without.
        select: which weights are kept: the "last", those of the best "validation", or those of the best "test", which
            some authors did and which makes the scores too good.
        every: steps between two validations.
        balance: train by the cross entropy with rare classes weighed up, as :func:`class_weights` says, instead of by
            the objective of the paper, which takes far more steps to find them.
        traps: what some published trainings do beside their papers, of ``imfuse.tasks.segment.traps.TRAPS``.
        resume: continue a run that was stopped.
        progress: called after each step.

    Returns:
        The network and its confusion matrices.

    Raises:
        ModelError: there is no such network.
        RecipeError: the settings do not fit the data, or the loss became NaN.
        ImageError: a picture or a label cannot be used.
        WeightsError: the checkpoint to resume from cannot be used.

    Example:
        ```python
        from imfuse.tasks.parts import rendered_parts

        run = train_segmenter("segformer_compact", rendered_parts("refinefuse", 200), 9, FitSettings(steps=1000))
        ```
    """
    from imfuse.tasks.segment.file import save_segmenter
    from imfuse.tasks.segment.networks import SegmentationNetwork, build_segmenter, network_class

    if UNKNOWN_IN_MEAN in traps and network_class(model).loss is not SegmentationNetwork.loss:
        raise RecipeError(f"trap={UNKNOWN_IN_MEAN!r}: of a plain cross entropy; {model} has another objective")
    run = fit_segmenter(
        partial(build_segmenter, model),
        parts,
        classes,
        settings,
        output,
        select=select,
        every=every,
        balance=balance,
        traps=traps,
        resume=resume,
        progress=progress,
        name=model,
    )
    if output is not None:
        mean, deviation = run.normalisation.mean, run.normalisation.deviation
        whose = "the training and test" if STATISTICS in traps else "the training"
        told = "".join(f"; trap {trap}" for trap in checked_traps(traps))
        origin = f"{parts.origin}; normalised by {whose} pictures; weights of select={select}{told}"
        network = cast(SegmentationNetwork, run.network)
        seed, steps = settings.seed, run.fitted.step
        save_segmenter(
            output / WEIGHTS,
            network,
            model,
            classes,
            len(mean),
            mean,
            deviation,
            origin=origin,
            seed=seed,
            steps=steps,
        )
    return run


def fit_segmenter(
    build: Build,
    parts: Parts,
    classes: int,
    settings: FitSettings,
    output: Path | None = None,
    *,
    select: Select = "last",
    every: int = 200,
    balance: bool = False,
    traps: Collection[str] = (),
    resume: bool = False,
    progress: Callable[[int, int, float], None] | None = None,
    name: str = "",
) -> SegmenterRun:
    """:func:`train_segmenter` of any network; ``build`` makes it of numbers of classes and channels."""
    parts.check()
    if not any((example.labels != UNKNOWN).any() for example in parts.train if example.labels is not None):
        raise RecipeError(f"the labels of {len(parts.train)} training pictures have no known pixel")
    taken = checked_traps(traps)
    normalisation = Normalisation.of([*parts.train, *parts.test] if STATISTICS in taken else parts.train)
    network = seeded(partial(build, classes, parts.train[0].channels), settings.seed)
    trained = cast(TrainableSegmenter, network)
    chosen = parts.selected(select)
    weights = class_weights(parts.train, classes) if balance else None

    def loss(batch: Batch) -> Tensor:
        assert batch.labels is not None
        if weights is None:
            value = trained.loss(batch.images, batch.labels)
            return value * (batch.labels != UNKNOWN).float().mean() if UNKNOWN_IN_MEAN in taken else value
        weight = weights.to(batch.images.device)
        return F.cross_entropy(trained(batch.images), batch.labels, weight, ignore_index=UNKNOWN)

    def score(current: nn.Module) -> float:
        return mean_iou(count_classes(current, chosen, normalisation, classes).sum(0)).item()

    fitted = fit(
        network,
        loss,
        parts.train,
        normalisation,
        settings,
        folder=output,
        resume=resume,
        identity=json.dumps(
            ["segment", name, classes, select, balance, parts.origin, [one.name for one in (*parts.train, *chosen)]]
            + ([taken] if taken else [])
        ),
        shuffled=ORDER not in taken,
        validation=Validation(score, every) if chosen else None,
        progress=progress,
    )
    return SegmenterRun(network, normalisation, fitted, count_classes(network, parts.test, normalisation, classes))


def class_weights(examples: Sequence[Example], classes: int) -> Tensor:
    """Weights of classes in a loss: 1 / ln(1.1 + share of the pixels), scaled to a mean of 1.

    Args:
        examples: to train on.
        classes: how many there are.

    Returns:
        (classes,) float32.

    Source:
        Paszke et al., "ENet", arXiv 1606.02147, section 5.2, with 1.1 for its 1.02.

    Example:
        >>> labels = np.array([[0, 0, 0, 1]], np.uint8)
        >>> class_weights([Example("01", np.zeros((1, 4, 3), np.uint8), labels)], 2).double().numpy().round(3).tolist()
        [0.656, 1.344]
    """
    counts = np.zeros(classes)
    for example in examples:
        if example.labels is not None:
            counts += np.bincount(example.labels[example.labels != UNKNOWN], minlength=classes)
    weights = 1 / np.log(1.1 + counts / counts.sum())
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


@torch.no_grad()
def count_classes(
    network: nn.Module, examples: Sequence[Example], normalisation: Normalisation, classes: int
) -> Tensor:
    """Confusion matrix of each picture.

    Args:
        network: in evaluation mode.
        examples: pictures with labels.
        normalisation: of the training.
        classes: how many there are.

    Returns:
        (N, classes, classes) int64; rows are true classes. Their sum over pictures gives the scores of a set.

    Example:
        ```python
        counts = count_classes(run.network, parts.test, run.normalisation, 9)
        ```
    """
    device = next(network.parameters()).device
    counts = torch.zeros(len(examples), classes, classes, dtype=torch.int64)
    for place, example in enumerate(examples):
        assert example.labels is not None
        predicted = network(normalisation.apply([example.image]).to(device)).argmax(1)[0].cpu()
        counts[place] = confusion_matrix(torch.from_numpy(example.labels), predicted, classes)
    return counts
