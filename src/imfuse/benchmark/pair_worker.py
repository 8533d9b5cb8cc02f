"""The work on one pair, in whatever process: fuse it by every model, score every result, remember both by content."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter

from imfuse.benchmark.bounds import Name, Score, at_most
from imfuse.benchmark.plan import ModelEntry
from imfuse.core.errors import BenchmarkError, ImageError, describe_failure
from imfuse.core.files import read_input
from imfuse.core.notes import collected, note
from imfuse.core.version import VERSION
from imfuse.fusing.folder import fuse_pair
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import Pair, inputs, write_file
from imfuse.imaging.read import image_hash
from imfuse.scoring.files import Scorer
from imfuse.scoring.ranges import UsedRange, stored_settings
from imfuse.scoring.sources import Sources


@dataclass(frozen=True)
class Job:
    """A pair of a data set, and the pictures that were made of it elsewhere, by method."""

    data: str
    pair: Pair
    fused: Mapping[str, Path]


@dataclass(frozen=True)
class FusedPicture:
    """A picture that a method made of a pair, its SHA-256, its scores (nan where undefined), the sources' ranges."""

    file: Path
    sha256: str
    scores: Mapping[str, float]
    infrared_range: UsedRange | None
    visible_range: UsedRange | None


@dataclass
class Outcome:
    """What became of a job. ``failed`` maps a method to the reason; "" stands for all methods.

    ``doubts`` are notes that were made meanwhile, each with its advice.
    """

    data: str
    name: str
    sha256: tuple[str, str] = ("", "")
    pictures: dict[str, FusedPicture] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    doubts: list[tuple[str, ...]] = field(default_factory=list)


@dataclass(frozen=True)
class PairWorker:
    """Everything that the work on a pair depends on; one in each process, which keeps its networks.

    Attributes:
        models: what to fuse with.
        scorer: what to compute.
        output: folder of the benchmark: pictures go to ``fused``, scores are remembered in ``cache``.
        fuser_settings: device, dtype, range and rig of every ``Fuser``.
    """

    models: tuple[ModelEntry, ...]
    scorer: Scorer
    output: Path
    fuser_settings: Mapping[str, Any]

    @cached_property
    def fusers(self) -> dict[str, Fuser]:
        """Every model, loaded; raises ``ModelError`` or ``WeightsError``."""
        loaded = {}
        for entry in self.models:
            settings: dict[str, Any] = {**self.fuser_settings, **entry.options}
            loaded[entry.label] = Fuser(entry.model, entry.weights, **settings)
        return loaded

    def run(self, job: Job) -> Outcome:
        """Fuse and score a pair. Whatever goes wrong is the failure of one method or of the pair."""
        outcome = Outcome(job.data, job.pair.name)
        with collected() as notes:
            self._run(job, outcome)
        outcome.doubts = [(one.message, *one.advice) for one in notes]
        return outcome

    def _run(self, job: Job, outcome: Outcome) -> None:
        try:
            work = _Work(self, job)
            outcome.sha256 = work.digests
        except Exception as error:
            outcome.failed[""] = describe_failure(error, job.pair.visible)
            return
        for method in (*self.fusers, *job.fused):
            work.do(method, outcome)


class _Work:
    """One pair under way; its pictures are decoded when the first score is missing."""

    def __init__(self, worker: PairWorker, job: Job) -> None:
        self.worker, self.job = worker, job
        self.digests = image_hash(job.pair.infrared), image_hash(job.pair.visible)
        self.record = _Record(worker, self.digests)

    @cached_property
    def sources(self) -> Sources:
        return self.worker.scorer.read_sources(self.job.pair)

    def do(self, method: str, outcome: Outcome) -> None:
        """Fuse and score by one method, or note why not."""
        try:
            outcome.pictures[method] = self._result(method)
        except Exception as error:
            outcome.failed[method] = describe_failure(error, self.job.fused.get(method, self.job.pair.visible))

    def _result(self, method: str) -> FusedPicture:
        scorer = self.worker.scorer
        file, pixels = self.job.fused.get(method), None
        if file is None:
            file, pixels = self._fuse(method)
        digest = image_hash(file)
        known = self.record.of(digest)
        missing = tuple(symbol for symbol in scorer.metrics if symbol not in known.scores)
        if missing:
            fused = inputs.read(file, scorer.max_pixels) if pixels is None else inputs.as_stored(pixels, str(file))
            row = replace(scorer, metrics=missing).score(method, "", fused, self.sources, stored_settings(file))
            known = _Known(
                scores={**known.scores, **_defined(row.values)},
                infrared_range=row.infrared_range,
                visible_range=row.visible_range,
            )
            self.record.remember(digest, known)
        scores = {symbol: _or_nan(known.scores[symbol]) for symbol in scorer.metrics}
        return FusedPicture(file, digest, scores, known.infrared_range, known.visible_range)

    def _fuse(self, method: str) -> tuple[Path, inputs.Array | None]:
        """The file of the result, and its pixels where they were made just now."""
        file = self.worker.output / "fused" / self.job.data / method / f"{self.job.pair.name}.png"
        fuser = self.worker.fusers[method]
        return file, fuse_pair(fuser, self.job.pair, file, self.digests, self._stored)

    def _stored(self) -> tuple[inputs.Stored, inputs.Stored]:
        return self.sources.read


class _Known(BaseModel):
    """What was computed of a fused picture: its scores by symbol, undefined ones null, and by which ranges."""

    scores: Annotated[dict[Name, Score | None], at_most(1000)] = Field(default_factory=dict)
    infrared_range: UsedRange | None = None
    visible_range: UsedRange | None = None


_Remembered: TypeAlias = Annotated[
    dict[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], _Known],
    at_most(10_000),
]
_MOST_REMEMBERED = 16 << 20
_REMEMBERED: TypeAdapter[_Remembered] = TypeAdapter(_Remembered)


class _Record:
    """Scores that were computed before, of any fused picture of a pair: a file named by all they depend on.

    It holds them by the SHA-256 of the fused picture.
    """

    def __init__(self, worker: PairWorker, digests: tuple[str, ...]) -> None:
        scorer = worker.scorer
        depends = [VERSION, scorer.convention, *map(str, scorer.ranges), *digests]
        depends += [scorer.rig.digest] if scorer.rig else []
        name = hashlib.sha256(json.dumps(depends).encode()).hexdigest()
        self.file = worker.output / "cache" / f"{name}.json"
        self.content = self._read()

    def of(self, digest: str) -> _Known:
        return self.content.get(digest, _Known())

    def remember(self, digest: str, known: _Known) -> None:
        self.content[digest] = known
        try:
            write_file(self.file, _REMEMBERED.dump_json(self.content), through_links=False)
        except ImageError as error:
            # The scores are there, and so is what they are of.
            note(f"{error.message}: scores are not remembered there", *error.advice)

    def _read(self) -> _Remembered:
        """Nothing where there is no file, or one that is not what was written: it is computed again."""
        try:
            content = read_input(self.file, BenchmarkError, "remembered scores", _MOST_REMEMBERED)
            return _REMEMBERED.validate_json(content, strict=True)
        except (BenchmarkError, ValueError, RecursionError):
            return {}


def _defined(values: Mapping[str, float]) -> dict[str, float | None]:
    """Undefined and infinite are one thing to a mean."""
    return {symbol: value if math.isfinite(value) else None for symbol, value in values.items()}


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
