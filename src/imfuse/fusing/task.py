"""What a run makes of each pair: a task, in steps, and the pair on its way through them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from imfuse.fusing.engine import Engine, Prepared
from imfuse.fusing.folder_pairs import carried_of, read_pair, refuse_swapped
from imfuse.imaging import Pair
from imfuse.imaging._geotags import GeoTags
from imfuse.imaging.carried import Carried
from imfuse.imaging.inputs import Array

Outcome = Literal["written", "skipped", "failed"]
Computed = TypeVar("Computed")


@dataclass
class PairJob(Generic[Computed]):
    """A pair on its way to its results; it carries its pictures only while a step needs them."""

    pair: Pair
    targets: tuple[Path, ...]
    outcome: Outcome | None = None
    message: str = ""
    notes: list[str] = field(default_factory=list)
    fingerprint: str = ""
    geotags: GeoTags | None = None
    geotags_lost: bool = False
    carried: Carried | None = field(default=None, repr=False)
    prepared: Prepared | None = field(default=None, repr=False)
    computed: Computed | None = field(default=None, repr=False)


class Task(ABC, Generic[Computed]):
    """What a run makes of each pair, in steps; ``compute`` runs in the caller's thread, the others beside it."""

    maker: str
    """What results are said to be made by."""
    max_pixels: int
    """Largest picture that is read."""

    @abstractmethod
    def fingerprint(self, *digests: str) -> str:
        """What tells this result from others; ``digests`` are those of the two files."""

    def check(self, pairs: Sequence[Pair]) -> None:
        """Look at the pairs before anything is written. Raises ``PairError``."""

    def doubts(self) -> AbstractContextManager[None]:
        """Around reading: what is noted there may be an error."""
        return nullcontext()

    @abstractmethod
    def read(self, job: PairJob[Computed]) -> Prepared:
        """Both files, ready for ``compute``."""

    @abstractmethod
    def compute(self, prepared: Prepared) -> Computed:
        """The step that needs the device."""

    @abstractmethod
    def pictures(self, prepared: Prepared, computed: Computed) -> tuple[Array, ...]:
        """Pixels of every file that is written."""

    def metadata(self, prepared: Prepared, computed: Computed) -> dict[str, str]:
        """What the files say besides who made them and their fingerprint."""
        return {}

    def conclude(self, job: PairJob[Computed], pictures: tuple[Array, ...] | None) -> None:
        """Called when the files of a pair are there; ``pictures`` are ``None`` where an earlier run wrote them."""


class EngineTask(Task[Computed]):
    """A task of pairs that an engine prepares."""

    carries = False
    """Whether results have the metadata of the visible picture."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.maker, self.max_pixels = engine.spec.name, engine.max_pixels

    def fingerprint(self, *digests: str) -> str:
        """That of the engine."""
        return self.engine.fingerprint(*digests)

    def check(self, pairs: Sequence[Pair]) -> None:
        """Refuse pairs that look swapped."""
        refuse_swapped(self.engine, pairs)

    def doubts(self) -> AbstractContextManager[None]:
        """Those that the engine makes errors where it is strict."""
        return self.engine.doubts()

    def read(self, job: PairJob[Computed]) -> Prepared:
        """As the engine prepares it; what is known of the visible picture goes with the job where results carry it."""
        pictures = read_pair(self.engine, job.pair)
        if self.carries and self.engine.settings.metadata == "keep":
            job.carried = carried_of(job.pair, pictures, self.engine.settings.deidentify)
        return self.engine.prepare(*pictures)
