"""The numbers of a benchmark with all they depend on: ``results.json``."""

from __future__ import annotations

import json
import math
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from imfuse.benchmark.bounds import File, Name, Score, Text, at_most
from imfuse.benchmark.statistics import CORRECTION, TEST, Family
from imfuse.core.errors import BenchmarkError, ImageError, MetricError
from imfuse.core.files import read_input
from imfuse.core.problems import first_problem
from imfuse.core.text import printable
from imfuse.imaging import parse_range, write_file
from imfuse.metrics import get_definition
from imfuse.metrics.conventions import Gray
from imfuse.registration.rig import Rig
from imfuse.scoring.ranges import Origin, UsedRange
from imfuse.scoring.scores import Failure, ImageScores, Scores

FORMAT = 1
MAX_VALUES = 1_500_000
_MAX_BYTES = 128 << 20
_MOST_METHODS, _MOST_METRICS, _MOST_SETS, _MOST_PAIRS = 1000, 1000, 100, 200_000

Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$", description="64 digits; empty where there is none")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ConventionUsed(_Record):
    """Whose definitions the scores follow, and by which rule colour becomes gray."""

    name: Name
    origin: Text
    gray: Gray


class MetricUsed(_Record):
    """What a symbol stands for; ``accident`` is a known error of the programs behind the convention."""

    name: Name
    unit: Name
    better: Literal["higher", "lower", "none"]
    accident: Text


class SignificanceUsed(_Record):
    """How methods are compared: the test, its correction, and over which family: each metric, or all of a data set."""

    test: Literal["two-sided Wilcoxon signed-rank"] = TEST
    correction: Literal["Holm"] = CORRECTION
    family: Family = "metric"


class WeightsUsed(_Record):
    """A shipped name or a file with its SHA-256, and the rest of the header of the file: recipe, data, date ..."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Text]

    name: File
    sha256: Sha256

    @property
    def header(self) -> dict[str, str]:
        """What the file says of itself."""
        return self.__pydantic_extra__


class ModelUsed(_Record):
    """A model of this library; ``weights`` are None for a training-free one."""

    kind: Literal["model"] = "model"
    model: File
    title: Name
    paper: File
    options: dict[Name, bool | int | float | Name]
    dtype: Name
    weights: WeightsUsed | None

    @property
    def names(self) -> tuple[str, ...]:
        """What a table may call it."""
        return self.title, self.model


class ExternalResults(_Record):
    """Pictures that were made elsewhere, not by this library."""

    kind: Literal["pictures"] = "pictures"
    title: Name

    @property
    def names(self) -> tuple[str, ...]:
        """What a table may call it."""
        return (self.title,)


MethodUsed = Annotated[ModelUsed | ExternalResults, Field(discriminator="kind")]


class PairFiles(_Record):
    """The names of the two files of a pair, in the folders of its data set, and their SHA-256."""

    infrared: Name
    visible: Name
    infrared_sha256: Sha256 = ""
    visible_sha256: Sha256 = ""


class RangeUsed(_Record):
    """Which values of a source were black and white, and why: see :class:`imfuse.scoring.UsedRange`."""

    low: FiniteFloat
    high: FiniteFloat
    origin: Origin
    unit: Literal["", "C"] = ""

    @classmethod
    def of(cls, used: UsedRange | None) -> RangeUsed | None:
        """The same as it is written to a file."""
        return None if used is None else cls(**vars(used))


class ScoredPicture(_Record):
    """A fused picture: its file, from the folder of the results, and its scores, None where one is undefined.

    The ranges are those by which its sources were scored, None where an older version did not tell.
    """

    file: File
    sha256: Sha256
    scores: Annotated[dict[str, Score | None], at_most(_MOST_METRICS)]
    infrared_range: RangeUsed | None = None
    visible_range: RangeUsed | None = None

    @property
    def ranges(self) -> tuple[UsedRange | None, UsedRange | None]:
        """Of the infrared and the visible picture, as scores have them."""
        infrared, visible = (
            None if used is None else UsedRange(used.low, used.high, used.origin, used.unit)
            for used in (self.infrared_range, self.visible_range)
        )
        return infrared, visible

    @model_serializer(mode="wrap")
    def _known(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the ranges where they are not known."""
        content = dump(self)
        return {name: value for name, value in content.items() if value is not None}

    def value(self, symbol: str) -> float:
        """A score; nan where it is undefined."""
        value = self.scores.get(symbol)
        return math.nan if value is None else value


class DataResults(_Record):
    """One data set: its pairs, and what the methods made of them.

    Attributes:
        title: its name in words.
        infrared: folder of the infrared pictures.
        visible: folder of the visible ones.
        pairs: by name.
        pictures: by method and pair.
        failed: by method ("" for all) and pair: why there are no scores.
        missing: by method: pairs without a fused picture.
        unmatched: by method: files that belong to no pair.
        unmatched_infrared: infrared files without a partner.
        unmatched_visible: visible files without a partner.

    Example:
        >>> DataResults(title="TNO", infrared="data/tno/ir", visible="data/tno/vi", missing={"ours": ["05"]}).complete
        False
    """

    title: Name
    infrared: File
    visible: File
    pairs: Annotated[dict[Name, PairFiles], at_most(_MOST_PAIRS)] = Field(default_factory=dict)
    pictures: dict[Name, dict[Name, ScoredPicture]] = Field(default_factory=dict)
    failed: dict[Name, dict[Name, Text]] = Field(default_factory=dict)
    missing: dict[Name, list[Name]] = Field(default_factory=dict)
    unmatched: dict[Name, list[Name]] = Field(default_factory=dict)
    unmatched_infrared: list[Name] = Field(default_factory=list)
    unmatched_visible: list[Name] = Field(default_factory=list)

    @model_validator(mode="after")
    def _belongs_together(self) -> DataResults:
        for method, pictures in self.pictures.items():
            if unknown := pictures.keys() - self.pairs.keys():
                raise ValueError(f"pictures of {method!r}: no pair {min(unknown)!r}")
        return self

    @property
    def complete(self) -> bool:
        """Whether every method has scores for every pair, and no picture besides."""
        return not (any(self.failed.values()) or any(self.missing.values()) or any(self.unmatched.values()))


class Results(_Record):
    """What ``results.json`` holds; ``Results.model_json_schema()`` returns its JSON schema.

    Attributes:
        format: of the file; this is the first.
        imfuse: version of this library.
        date: when the run ended (UTC, ISO 8601); the only value that differs between equal runs.
        environment: versions of Python and of the libraries, platform, device.
        convention: whose definitions.
        metrics: by symbol.
        range: what of the infrared picture became black and white.
        rig: the two cameras, where pairs were not registered.
        against: the method that the others are compared with.
        significance: by which test, with which correction over which family.
        methods: by name, in the order of the tables.
        data: by name.

    Example:
        >>> sorted(Results.model_json_schema()["properties"])[:4]
        ['against', 'convention', 'data', 'date']
    """

    format: Literal[1] = 1
    imfuse: Name
    date: Name
    environment: Annotated[dict[Name, Text], at_most(100)]
    convention: ConventionUsed
    metrics: Annotated[dict[Name, MetricUsed], at_most(_MOST_METRICS, least=1)]
    range: Name
    rig: Rig | None = None
    against: Name
    significance: SignificanceUsed = Field(default_factory=SignificanceUsed)
    methods: Annotated[dict[Name, MethodUsed], at_most(_MOST_METHODS, least=1)]
    data: Annotated[dict[Name, DataResults], at_most(_MOST_SETS, least=1)]

    @field_validator("rig", mode="before")
    @classmethod
    def _is_rig(cls, content: object) -> object:
        """JSON has no tuples, which a strict reader of it asks for."""
        try:
            return Rig.model_validate(content) if isinstance(content, dict) else content
        except ValidationError as error:
            raise ValueError(first_problem(error)) from None

    @field_validator("range")
    @classmethod
    def _is_range(cls, text: str) -> str:
        try:
            parse_range(text)
        except ImageError as error:
            raise ValueError(error.message) from None
        return text

    @model_validator(mode="after")
    def _belongs_together(self) -> Results:
        try:
            for symbol in self.metrics:
                get_definition(symbol, self.convention.name)
        except MetricError as error:
            raise ValueError(str(error)) from None
        if self.against not in self.methods:
            raise ValueError(f"against: {self.against!r} is none of the methods")
        for name, data in self.data.items():
            listed = {*data.pictures, *data.missing, *data.unmatched, *data.failed} - {""}
            if unknown := listed - self.methods.keys():
                raise ValueError(f"data.{name}: {min(unknown)!r} is none of the methods")
            for method, pictures in data.pictures.items():
                scored = {symbol for picture in pictures.values() for symbol in picture.scores}
                if unknown := scored - self.metrics.keys():
                    raise ValueError(f"data.{name}: scores of {method!r}: {min(unknown)!r} is none of the metrics")
        return self

    @model_serializer(mode="wrap")
    def _known(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a rig where there is none."""
        content: dict[str, Any] = dump(self)
        return {name: value for name, value in content.items() if name != "rig" or value is not None}

    @property
    def complete(self) -> bool:
        """Whether nothing failed and nothing is missing."""
        return all(one.complete for one in self.data.values())

    def methods_on(self, data: str) -> list[str]:
        """Methods that have pictures of a data set.

        Args:
            data: name of the data set.

        Returns:
            Their names, in the order of the tables.
        """
        return [method for method in self.methods if self.data[data].pictures.get(method)]

    def scores(self, data: str) -> Scores:
        """The values of one data set, with their statistics.

        Args:
            data: name of the data set.

        Returns:
            The scores, as :func:`imfuse.score_folders` returns them.
        """
        one, methods, metrics = self.data[data], self.methods_on(data), tuple(self.metrics)
        rows = tuple(
            ImageScores(
                method,
                name,
                {symbol: picture.value(symbol) for symbol in metrics},
                *picture.ranges,
            )
            for method in methods
            for name in one.pairs
            if (picture := one.pictures[method].get(name))
        )
        return Scores(
            self.convention.name,
            metrics,
            tuple(methods),
            pairs=len(one.pairs),
            rows=rows,
            failed=tuple(
                Failure(method, name, text) for method, pairs in one.failed.items() for name, text in pairs.items()
            ),
            missing={method: tuple(names) for method, names in one.missing.items()},
            unmatched={method: tuple(names) for method, names in one.unmatched.items()},
            unmatched_infrared=tuple(one.unmatched_infrared),
            unmatched_visible=tuple(one.unmatched_visible),
        )

    def write(self, path: Path) -> None:
        """Write as JSON.

        Args:
            path: the file; an old one stays whole until the new one is. Its folder is made.

        Raises:
            ImageError: the disk refuses.
        """
        # Not by pydantic: names of files may be no text, and floats are written as Python writes them.
        text = json.dumps(self.model_dump(), allow_nan=False, indent=1) + "\n"
        write_file(path, text.encode("ascii"), through_links=False)


def read_results(path: Path, max_values: int = MAX_VALUES) -> Results:
    """Read the results of a benchmark, whoever wrote them.

    Args:
        path: ``results.json``, or the folder that holds it.
        max_values: how many names, scores and other values the file may hold, counted before they are read.

    Returns:
        The results; the files that they list are not opened.

    Raises:
        BenchmarkError: the file cannot be read, or is not what :class:`Results` describes; the message shows where.

    Example:
        ```python
        read_results(Path("runs/tno")).scores("tno").summary("EN", "auif").mean
        ```
    """
    file = path / "results.json" if path.is_dir() else path
    shown = printable(file)
    content = read_json(file, max_values)
    if not isinstance(content, dict) or "format" not in content:
        raise BenchmarkError(f"{shown}: not what imfuse benchmark writes", _WHICH)
    if content["format"] != FORMAT:
        other = f"{_SHORT.repr(content['format']):.20}"
        raise BenchmarkError(f"{shown}: of format {other}, this version reads {FORMAT}", "run the benchmark again")
    try:
        return Results.model_validate(content, strict=True)
    except ValidationError as error:
        raise BenchmarkError(f"{shown}: {first_problem(error)}") from None


_WHICH = "give the folder of a benchmark that ran"
# Of what is nested, one entry of each level: the file may hold anything.
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict = 20, 1, 1


def read_json(file: Path, max_values: int) -> Any:
    """What a file of results holds, whoever wrote it. Raises ``BenchmarkError``."""
    try:
        data = read_input(file, BenchmarkError, "a results.json of imfuse", _MAX_BYTES)
    except BenchmarkError as error:
        raise BenchmarkError(error.message, _WHICH) from None
    values = sum(map(data.count, (b",", b"[", b"{")))
    if values > max_values:
        shown = f"{printable(file)}: about {values} values found, at most {max_values} are read"
        raise BenchmarkError(shown, f"use max_values={values} to allow it")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise BenchmarkError(f"{printable(file)}: not a JSON file", _WHICH) from None
