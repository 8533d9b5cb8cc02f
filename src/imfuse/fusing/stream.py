"""Frames of two cameras as a stream of fused ones: reading, network and colours overlap, memory is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, TypeAlias

from imfuse.core.errors import ModelError
from imfuse.core.notes import ImfuseWarning, collected, note
from imfuse.fusing.engine import Engine, Float, Prepared, Rules
from imfuse.fusing.pipeline import Pipeline, Step
from imfuse.fusing.sides import settled
from imfuse.fusing.steady import SteadyRange
from imfuse.fusing.temporal import TemporalFilter
from imfuse.imaging import inputs
from imfuse.imaging.inputs import Array, Bits, Picture, Result, Stored
from imfuse.imaging.video_frames import frame_pixels, is_video_frame

FrameLike: TypeAlias = Picture | Any
"""What a frame can be: whatever ``Fuser`` takes, or a frame of PyAV."""


@dataclass(frozen=True)
class FramePair:
    """Two frames that belong together, and when they were taken, in seconds; ``label`` is handed through.

    A pair that is ``only_seen`` counts for the range of those that follow and is not fused: its result is ``None``.
    """

    infrared: Stored
    visible: Stored
    seconds: float
    label: Any = None
    only_seen: bool = False


@dataclass(frozen=True)
class FusedPair:
    """A pair of frames behind the network; ``finish`` gives it its colours."""

    pair: FramePair
    prepared: Prepared
    luminance: Float


@dataclass
class _Job:
    pair: FramePair
    rules: Rules
    first: bool
    notes: list[ImfuseWarning] = field(default_factory=list)
    prepared: Prepared | None = None


class Stream(Iterator[Any]):
    """Fused frames, an iterator and an asynchronous one; :func:`imfuse.stream` makes it.

    Args:
        engine: what fuses.
        pairs: the frames, taken in a thread.
        finish: what is made of each, in another one.
        batch: as for :func:`imfuse.stream`.
        newest: as well.
        smooth: as well.

    Example:
        ```python
        async for fused in imfuse.stream(infrared, visible):
            await send(fused)
        ```
    """

    def __init__(
        self,
        engine: Engine,
        pairs: Iterable[FramePair],
        finish: Callable[[Engine, FusedPair], Any],
        *,
        batch: int = 1,
        newest: bool = False,
        smooth: bool = False,
    ) -> None:
        if batch < 1:
            raise ModelError(f"batch={batch!r}: at least one frame is expected")
        work = _Work(engine, finish, TemporalFilter() if smooth else None)
        steps = (
            Step.of_one(work.settle),
            Step.of_one(work.prepare),
            Step(work.fuse, batch),
            Step.of_one(work.finish),
        )
        self._pipeline = Pipeline(pairs, *steps, depth=max(2, batch), newest=newest)

    @property
    def dropped(self) -> int:
        """How many pairs were dropped for newer ones."""
        return self._pipeline.dropped

    def __next__(self) -> Any:
        result, notes = next(self._pipeline)
        for doubt in notes:
            note(doubt.message, *doubt.advice)
        return result

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        result = await asyncio.to_thread(next, self, _END)
        if result is _END:
            raise StopAsyncIteration
        return result

    def close(self) -> None:
        """End its threads."""
        self._pipeline.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_END = object()


class _Work:
    """The steps of a stream. Each runs in a thread of its own, so that what one of them keeps is its alone."""

    def __init__(
        self, engine: Engine, finish: Callable[[Engine, FusedPair], Any], smoothing: TemporalFilter | None
    ) -> None:
        self.engine, self._finish, self._smoothing = engine, finish, smoothing
        self._palette: str | None = None
        self._steady = SteadyRange(), SteadyRange(thermal=False)

    def settle(self, pair: FramePair) -> _Job:
        """Which range shows the frames; the first says what the colours of the infrared mean."""
        engine, first = self.engine, self._palette is None
        order, palette = (engine.order, engine.infrared_palette) if self._palette is None else ("given", self._palette)
        with collected() as notes, engine.doubts():
            infrared, found = settled(pair.infrared, pair.visible, order, palette)
        if self._palette is None:
            self._palette = found or "none"
        rules = Rules(
            self._steady[0].range_of(infrared, engine.range, pair.seconds),
            self._steady[1].range_of(pair.visible, engine.visible_range, pair.seconds),
            order="given",
            palette="none",
            doubt=first,
        )
        return _Job(replace(pair, infrared=infrared), rules, first, notes if first else [])

    def prepare(self, job: _Job) -> _Job:
        """What the network takes. Doubts of the first frame are told, not those of each that follows."""
        if job.pair.only_seen:
            return job
        with collected() as notes, self.engine.doubts():
            job.prepared = self.engine.prepare(job.pair.infrared, job.pair.visible, job.rules)
        job.notes += notes if job.first else []
        return job

    def fuse(self, jobs: list[_Job]) -> list[tuple[_Job, Float | None]]:
        """The step that needs the device."""
        fused: list[Float | None] = []
        for shape, group in groupby(jobs, lambda job: job.prepared and job.prepared.visible.shape):
            alike = list(group)
            pairs = [job.prepared for job in alike if job.prepared is not None]
            fused += self.engine.fuse_luminances(pairs) if shape else [None] * len(alike)
        return list(zip(jobs, fused, strict=True))

    def finish(self, item: tuple[_Job, Float | None]) -> tuple[Any, list[ImfuseWarning]]:
        """The result, and what is to be told of it."""
        job, luminance = item
        if luminance is None or job.prepared is None:
            return None, job.notes
        if self._smoothing is not None:
            luminance = self._smoothing.follow(luminance, job.prepared.infrared, job.prepared.visible)
        return self._finish(self.engine, FusedPair(job.pair, job.prepared, luminance)), job.notes


def paired_frames(
    engine: Engine, infrared: Iterable[FrameLike], visible: Iterable[FrameLike], rate: float
) -> Iterator[FramePair]:
    """The frames of two iterables, one by one; ``rate`` tells the times of those that bring none."""
    for number, (first, second) in enumerate(zip(infrared, visible, strict=False)):
        seconds = second.time if is_video_frame(second) and second.time is not None else number / rate
        ir = _load(engine, first, "infrared", engine.infrared_bands)
        vi = _load(engine, second, "visible", engine.visible_bands)
        inputs.check_batches(ir, vi)
        if len(vi.pictures) != 1:
            raise ModelError(f"a batch of {len(vi.pictures)} pictures: single frames are expected of a stream")
        yield FramePair(ir.pictures[0], vi.pictures[0], seconds, vi.give_back)


def _load(engine: Engine, frame: FrameLike, side: str, bands: tuple[int, ...] | None) -> inputs.Loaded:
    picture = frame_pixels(frame) if is_video_frame(frame) else frame
    return inputs.load(picture, side, engine.max_pixels, bands, engine.view)


def given_back(engine: Engine, fused: FusedPair) -> Any:
    """A result of the kind of the visible frame."""
    give_back: Callable[[list[Result], Bits | None], Any] = fused.pair.label
    return give_back([engine.finish(fused.prepared, fused.luminance)], engine.bits)


def picture_of(engine: Engine, fused: FusedPair) -> Array:
    """A result as an array of 8 bits, or as many as the engine was told."""
    return engine.finish(fused.prepared, fused.luminance).as_type(engine.bits or 8)
