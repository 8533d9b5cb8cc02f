"""What a benchmark of a task compares, and how: its settings, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from imfuse.benchmark.plan import ModelEntry, check_names
from imfuse.core.errors import BenchmarkError

Task = Literal["detect", "segment"]
CONTROLS = ("visible", "infrared", "mean", "stacked")
"""Pictures that need no fusion network, always in the table; ``stacked`` has four channels, for retrained networks."""
FEATURES = "two_stream_compact"
"""The network that fuses features instead of pictures: a row of its own."""


@dataclass(frozen=True)
class TaskPlan:
    """All that decides the numbers of a benchmark of a task.

    Args:
        task: "detect" or "segment".
        models: what fuses, as :func:`imfuse.benchmark.parse_models` reads it.
        data: name and place of a data set; ``None`` takes rendered scenes, which only retrained networks can.
        fused: folders of pictures that were made elsewhere of the pairs of the data set, by name.
        labels: folder of true boxes or class numbers; left out: the one in the data set.
        detector: file of a detector that is taken as it is, ONNX or of ``imfuse train detector``; without one,
            detectors are trained.
        layout: of the detector's outputs.
        protocol: which classes are scored in detection.
        segmenter: the network that is trained in segmentation.
        seeds: trainings of each method, with the seeds 0, 1, ...
        steps: of each training.
        scenes: rendered scenes to train on; a fifth as many are held out.
        size: height and width of rendered scenes.
        batch: pictures in a step.
        crop: height and width of what a network sees in training.
        against: the row that others are compared with.
        device: "auto", "cpu", "cuda", ...

    Raises:
        BenchmarkError: a setting cannot be, or settings do not go together.

    Example:
        >>> TaskPlan("segment", (ModelEntry(model="auif"),)).rows
        ('visible', 'infrared', 'mean', 'stacked', 'two_stream_compact', 'auif')
    """

    task: Task
    models: tuple[ModelEntry, ...]
    data: tuple[str, Path] | None = None
    fused: Mapping[str, Path] = field(default_factory=dict)
    labels: Path | None = None
    detector: Path | None = None
    layout: str = "auto"
    protocol: str = "refinefuse"
    segmenter: str = "segformer_compact"
    seeds: int = 3
    steps: int = 2000
    scenes: int = 200
    size: tuple[int, int] = (240, 320)
    batch: int = 8
    crop: tuple[int, int] = (160, 208)
    against: str = "visible"
    device: str = "auto"

    def __post_init__(self) -> None:
        checked_task(self.task)
        if self.detector is not None and self.task != "detect":
            raise BenchmarkError(f"detector={str(self.detector)!r}: of task='detect'")
        if self.data is None and (self.detector is not None or self.fused or self.labels is not None):
            raise BenchmarkError(
                "detector, fused and labels are of the pairs of a data set, and none is given",
                "use data={'NAME': 'DIR'}",
            )
        for name in ("seeds", "steps", "scenes"):
            if getattr(self, name) < 1:
                raise BenchmarkError(f"{name}={getattr(self, name)}: at least 1 is expected")
        for entry in self.models:
            if self.data is None and entry.options:
                raise BenchmarkError(f"{entry.label}: options are of pairs of a data set, not of rendered scenes")
        check_names([*CONTROLS, FEATURES, *self.methods, *([self.data[0]] if self.data else [])])
        if self.against not in self.rows:
            raise BenchmarkError(f"against={self.against!r}: one of {', '.join(self.rows)} is expected")

    @property
    def retrained(self) -> bool:
        """Whether a network is trained for each method."""
        return self.detector is None

    @property
    def controls(self) -> tuple[str, ...]:
        """Those that the task network can look at: a detector of others takes three channels."""
        return CONTROLS if self.retrained else CONTROLS[:-1]

    @property
    def methods(self) -> list[str]:
        """Names of fusion methods and of external results."""
        return [entry.label for entry in self.models] + list(self.fused)

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows of the table, but for heads of methods that segment themselves."""
        features = (FEATURES,) if self.task == "segment" else ()
        return (*self.controls, *features, *self.methods)


def checked_task(name: str) -> Task:
    """The task of a name. Raises ``BenchmarkError``."""
    if name == "detect":
        return "detect"
    if name == "segment":
        return "segment"
    raise BenchmarkError(f"task={name!r}: detect or segment is expected")
