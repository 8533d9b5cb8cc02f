"""Training of the small detector on pictures of one fusion method, and its scores on those that were held out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from imfuse.core.boxes import Boxes
from imfuse.core.errors import RecipeError
from imfuse.tasks.detect.file import save_detector
from imfuse.tasks.detect.network import DetectorNetwork
from imfuse.tasks.examples import Batch, Example, Normalisation
from imfuse.tasks.fit import FitSettings, Fitted, Validation, fit, seeded
from imfuse.tasks.parts import Parts, Select

if TYPE_CHECKING:
    from imfuse.metrics.detection import DetectionScores

WEIGHTS = "detector.safetensors"
RATE = 2e-3
"""Learning rate that suits this network."""


@dataclass(frozen=True)
class DetectorRun:
    """A trained detector, and what it found in the pictures that were held out.

    Args:
        network: in evaluation mode.
        normalisation: of its pictures.
        fitted: losses, and the step whose weights were kept.
        found: boxes in each test picture, of any score above 0.01.
        known: the true ones.
        names: of the classes.

    Example:
        ```python
        run = train_detector(parts, ["person", "car", "bike"], FitSettings())
        print(run.scores().mean.ap50.value)
        ```
    """

    network: DetectorNetwork
    normalisation: Normalisation
    fitted: Fitted
    found: Sequence[Boxes]
    known: Sequence[Boxes]
    names: Sequence[str]

    def scores(self) -> DetectionScores:
        """Average precision on the test pictures, with intervals over them.

        Returns:
            That of each class and of all.
        """
        from imfuse.metrics.detection import score_boxes

        return score_boxes(self.found, self.known, self.names)


def train_detector(
    parts: Parts,
    names: Sequence[str],
    settings: FitSettings,
    output: Path | None = None,
    *,
    select: Select = "last",
    every: int = 200,
    resume: bool = False,
    progress: Callable[[int, int, float], None] | None = None,
) -> DetectorRun:
    """Train a detector and test it.

    Pictures are normalised by the mean and the deviation of those that are trained on; the header of the file says so.

    Args:
        parts: pictures with boxes.
        names: of the classes, by their numbers.
        settings: of the training.
        output: folder for the weights, ``detector.safetensors``, checkpoints and the log; nothing is written without.
        select: which weights are kept: the "last", those of the best "validation", or those of the best "test", which
            some authors did and which makes the scores too good.
        every: steps between two validations.
        resume: continue a run that was stopped.
        progress: called after each step.

    Returns:
        The detector and what it found.

    Raises:
        RecipeError: the settings do not fit the data, or the loss became NaN.
        ImageError: a picture or a label cannot be used.
        WeightsError: the checkpoint to resume from cannot be used.

    Example:
        ```python
        from imfuse.tasks.parts import rendered_parts

        run = train_detector(rendered_parts("refinefuse", 200), ["person", "car", "bike"], FitSettings(steps=1000))
        ```
    """
    parts.check()
    _check_boxes(parts.train)
    normalisation = Normalisation.of(parts.train)
    channels = parts.train[0].channels
    network = cast(DetectorNetwork, seeded(partial(DetectorNetwork, len(names), channels), settings.seed))
    chosen = parts.selected(select)

    def loss(batch: Batch) -> Tensor:
        return network.loss(batch.images, batch.boxes or [])

    fitted = fit(
        network,
        loss,
        parts.train,
        normalisation,
        settings,
        folder=output,
        resume=resume,
        identity=json.dumps(["detect", *names, select, parts.origin, [one.name for one in (*parts.train, *chosen)]]),
        validation=Validation(partial(_precision, chosen, normalisation, len(names)), every) if chosen else None,
        progress=progress,
    )
    if output is not None:
        facts = {"origin": parts.origin, "seed": settings.seed, "steps": fitted.step, "select": select}
        texts = {key: str(value) for key, value in facts.items()} | {"normalisation": "of the training pictures"}
        save_detector(output / WEIGHTS, network, names, normalisation, texts)
    known = [example.boxes for example in parts.test if example.boxes is not None]
    found = find_all(network, parts.test, normalisation)
    return DetectorRun(network, normalisation, fitted, found, known, tuple(names))


def find_all(network: DetectorNetwork, examples: Sequence[Example], normalisation: Normalisation) -> list[Boxes]:
    """Boxes in each picture, of any score above 0.01, as average precision wants them.

    Args:
        network: in evaluation mode.
        examples: the pictures.
        normalisation: of the training.

    Returns:
        An entry for each picture.

    Example:
        >>> import numpy as np
        >>> network = DetectorNetwork(2).eval()
        >>> picture = Example("01", np.zeros((40, 60, 3), np.uint8))
        >>> len(find_all(network, [picture], Normalisation((0.5,) * 3, (0.2,) * 3)))
        1
    """
    device = next(network.parameters()).device
    return [network.find(normalisation.apply([example.image]).to(device))[0] for example in examples]


def _precision(examples: Sequence[Example], normalisation: Normalisation, classes: int, network: nn.Module) -> float:
    """mAP@0.5, by which weights are chosen."""
    from imfuse.metrics.detection import average_precision

    found = find_all(cast(DetectorNetwork, network), examples, normalisation)
    known = [example.boxes for example in examples if example.boxes is not None]
    return float(torch.from_numpy(average_precision(found, known, classes, [0.5])).nanmean())


def _check_boxes(examples: Sequence[Example]) -> None:
    if not any(example.boxes is not None and len(example.boxes) for example in examples):
        raise RecipeError(f"the labels of {len(examples)} training pictures have no box")
