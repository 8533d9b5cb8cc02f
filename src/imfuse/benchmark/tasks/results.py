"""The numbers of a benchmark of a task with all they depend on: ``task_detect.json``, ``task_segment.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from imfuse.benchmark.bounds import File, Name, Score, Text, at_most
from imfuse.benchmark.results import MethodUsed, Sha256, read_json
from imfuse.benchmark.tasks.plan import Task
from imfuse.core.boxes import Boxes
from imfuse.core.errors import BenchmarkError
from imfuse.core.problems import first_problem
from imfuse.core.text import printable
from imfuse.imaging import write_file

FORMAT = 1
_MOST_ROWS, _MOST_MEASURES, _MOST_VIEWS, _MOST_BOXES = 1000, 1000, 100, 10_000
_MOST_VALUES = 4_000_000
_DIGITS = 3
Kind = Literal["control", "features", "method", "pictures", "head"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Interval(_Record):
    """Ends of a 95 % interval; None where there is none."""

    low: Score | None
    high: Score | None

    @property
    def excludes_zero(self) -> bool:
        """Whether all of it is on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class Difference(_Record):
    """A row less another: in the mean over seeds, and what it might have been of other pictures and other seeds.

    ``pictures`` is the bootstrap interval over the pictures, paired, of the mean over seeds; ``seeds`` is Student's
    interval of the differences of equal seeds, None where no network was trained more than once.
    """

    value: Score | None
    pictures: Interval
    seeds: Interval | None = None

    @property
    def survives(self) -> bool:
        """Whether the two rows may be called different: no interval that there is contains 0."""
        return all(one.excludes_zero for one in (self.pictures, self.seeds) if one is not None)


class Measure(_Record):
    """A score of a row: the mean over seeds, their standard deviation, and the bootstrap interval over pictures."""

    value: Score | None
    spread: Score | None
    pictures: Interval
    differences: Annotated[dict[Name, Difference], at_most(_MOST_ROWS)] = Field(default_factory=dict)


class TaskRow(_Record):
    """A row of the table.

    Attributes:
        kind: a control, features that are fused, a method, pictures made elsewhere, or the head of a method that
            segments itself.
        used: the method with its weights; None for others.
        saw_labels: whether the method was trained with class labels of the kind that is scored.
        seeds: of the trainings; empty where nothing was trained.
        measures: by name, in the order of the table.
    """

    kind: Kind
    used: MethodUsed | None = None
    saw_labels: bool = False
    seeds: Annotated[list[int], at_most(1000)] = Field(default_factory=list)
    measures: Annotated[dict[Name, Measure], at_most(_MOST_MEASURES)]


class BoxList(_Record):
    """Boxes of a picture: corners in pixels, class numbers and scores."""

    corners: Annotated[list[Annotated[list[Score], at_most(4, least=4)]], at_most(_MOST_BOXES)]
    classes: Annotated[list[int], at_most(_MOST_BOXES)]
    scores: Annotated[list[Score], at_most(_MOST_BOXES)]

    @model_validator(mode="after")
    def _of_one_length(self) -> BoxList:
        if not len(self.corners) == len(self.classes) == len(self.scores):
            raise ValueError("as many corners, classes and scores are expected")
        return self

    @classmethod
    def of(cls, boxes: Boxes) -> BoxList:
        """The same as it is written to a file, corners to a thousandth of a pixel."""
        corners = boxes.corners.round(_DIGITS).tolist()
        return cls(corners=corners, classes=boxes.classes.tolist(), scores=boxes.scores.round(6).tolist())

    @property
    def boxes(self) -> Boxes:
        """The same as arrays."""
        return Boxes.of(self.corners, self.classes, self.scores)


class ViewedPicture(_Record):
    """What a row shows of a scene: its file, from the folder of the results, and the boxes found there."""

    file: File
    sha256: Sha256
    found: BoxList | None = None


class View(_Record):
    """A scene to look at: its true boxes, and the picture of each row."""

    name: Name
    known: BoxList | None = None
    pictures: Annotated[dict[Name, ViewedPicture], at_most(_MOST_ROWS)]


class TaskResults(_Record):
    """What ``task_detect.json`` and ``task_segment.json`` hold.

    Attributes:
        format: of the file; this is the first.
        task: "detect" or "segment".
        imfuse: version of this library.
        date: when the run ended (UTC, ISO 8601).
        environment: versions of Python and of the libraries, platform, device.
        title: the data set, or rendered scenes.
        pictures: how many were scored.
        setting: what decides the numbers besides, in words by name: protocol, detector, steps ...
        classes: names by number, which boxes of ``views`` have.
        truths: boxes of each scored class, or its share of the pixels.
        against: the row that others are compared with first.
        rows: by name, in the order of the table.
        views: some of the scenes.
        failed: by row: what could not be done, by picture.

    Example:
        >>> sorted(TaskResults.model_json_schema()["properties"])[:4]
        ['against', 'classes', 'date', 'environment']
    """

    format: Literal[1] = 1
    task: Task
    imfuse: Name
    date: Name
    environment: Annotated[dict[Name, Text], at_most(100)]
    title: Name
    pictures: int
    setting: Annotated[dict[Name, Text], at_most(100)]
    classes: Annotated[list[Name], at_most(_MOST_MEASURES)]
    truths: Annotated[dict[Name, Score], at_most(_MOST_MEASURES)]
    against: Name
    rows: Annotated[dict[Name, TaskRow], at_most(_MOST_ROWS, least=1)]
    views: Annotated[list[View], at_most(_MOST_VIEWS)] = Field(default_factory=list)
    failed: Annotated[dict[Name, dict[Name, Text]], at_most(_MOST_ROWS)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _belongs_together(self) -> TaskResults:
        if self.against not in self.rows:
            raise ValueError(f"against: {self.against!r} is none of the rows")
        first = next(iter(self.rows.values())).measures
        for name, row in self.rows.items():
            if row.measures.keys() != first.keys():
                raise ValueError(f"rows.{name}: the measures of the first row are expected")
            for measure in row.measures.values():
                if unknown := measure.differences.keys() - self.rows.keys():
                    raise ValueError(f"rows.{name}: {min(unknown)!r} is none of the rows")
        for view in self.views:
            if unknown := view.pictures.keys() - self.rows.keys():
                raise ValueError(f"views: {min(unknown)!r} is none of the rows")
            for boxes in (view.known, *(picture.found for picture in view.pictures.values())):
                if boxes and not all(0 <= number < len(self.classes) for number in boxes.classes):
                    raise ValueError(f"views: class numbers from 0 to {len(self.classes) - 1} are expected")
        return self

    @property
    def measures(self) -> list[str]:
        """Names of the columns.

        Returns:
            In their order.
        """
        return list(next(iter(self.rows.values())).measures)

    @property
    def headlines(self) -> list[str]:
        """Names of those over all classes.

        Returns:
            In their order.
        """
        return [name for name in self.measures if name.startswith("m")]

    def write(self, folder: Path) -> Path:
        """Write as JSON.

        Args:
            folder: where the file goes; it is made.

        Returns:
            The file, ``task_detect.json`` or ``task_segment.json``.

        Raises:
            ImageError: the disk refuses.
        """
        file = folder / file_name(self.task)
        text = json.dumps(self.model_dump(), allow_nan=False, indent=1) + "\n"
        write_file(file, text.encode("ascii"), through_links=False)
        return file


def file_name(task: str) -> str:
    """Name of the file of a task's results."""
    return f"task_{task}.json"


def read_task_results(path: Path, task: Task) -> TaskResults:
    """Read the results of a benchmark of a task, whoever wrote them.

    Args:
        path: the file, or the folder that holds it.
        task: "detect" or "segment".

    Returns:
        The results; the pictures that they list are not opened.

    Raises:
        BenchmarkError: the file cannot be read, or is not what :class:`TaskResults` describes.

    Example:
        ```python
        results = read_task_results(Path("runs/m3fd"), "detect")
        print(results.rows["refinefuse"].measures["mAP50"].value)
        ```
    """
    file = path / file_name(task) if path.is_dir() else path
    content = read_json(file, _MOST_VALUES)
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        raise BenchmarkError(f"{printable(file)}: not what a benchmark of a task writes", "run the benchmark again")
    try:
        return TaskResults.model_validate(content, strict=True)
    except ValidationError as error:
        raise BenchmarkError(f"{printable(file)}: {first_problem(error)}") from None
