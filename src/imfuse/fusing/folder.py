"""Files and folders of pairs: reading and writing overlap the network, finished results are recognised."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from imfuse.core.errors import ImageError, PairError, describe_failure
from imfuse.core.version import VERSION
from imfuse.fusing.engine import Engine, Float, Prepared
from imfuse.imaging import Pair, match_folders, read_metadata, remove_leftovers, write_image
from imfuse.imaging.inputs import Array, Stored, read
from imfuse.imaging.read import image_hash

FINGERPRINT = "imfuse:fingerprint"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
AHEAD_PIXELS = 32_000_000

Outcome = Literal["written", "skipped", "failed"]
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Progress:
    """How far a folder is: called once with ``outcome=None`` before the first pair, then after each pair."""

    done: int
    total: int
    name: str = ""
    outcome: Outcome | None = None


@dataclass
class FolderReport:
    """What became of the pairs of two folders, by name, and the files that found no partner.

    ``failed`` holds (name, message); ``seconds`` is the wall time.
    """

    written: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    unmatched_infrared: tuple[str, ...] = ()
    unmatched_visible: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass
class _Job:
    """A pair on its way; it carries its pictures only while a step needs them."""

    pair: Pair
    out: Path
    outcome: Outcome | None = None
    message: str = ""
    fingerprint: str = ""
    prepared: Prepared | None = field(default=None, repr=False)
    fused: Float | None = field(default=None, repr=False)


def fuse_files(engine: Engine, infrared: Path, visible: Path, out: Path, *, overwrite: bool = False) -> bool:
    """See :meth:`imfuse.Fuser.files`."""
    if any(_is_same(out, path) for path in (infrared, visible)):
        raise ImageError(f"{out}: is one of the two pictures to fuse; choose another name (--output)")
    job = _Job(Pair(visible.stem, infrared, visible), out)
    _read(job, engine, overwrite)
    if job.outcome == "skipped":
        return False
    _fuse(job, engine)
    _write(job, engine)
    return True


def fuse_pair(
    engine: Engine, pair: Pair, out: Path, digests: tuple[str, str], load: Callable[[], tuple[Stored, Stored]]
) -> Array | None:
    """Fuse a pair whose pictures others need as well; ``digests`` are those of its files, ``load`` gives the pictures.

    Returns:
        The pixels that were written, or None where ``out`` is already the result, so that nothing was done.
    """
    job = _Job(pair, out, fingerprint=engine.fingerprint(*digests))
    if is_finished(out, job.fingerprint):
        return None
    job.prepared = engine.prepare(*load())
    _fuse(job, engine)
    return _write(job, engine)


def fuse_folder(
    engine: Engine,
    infrared: Path,
    visible: Path,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
    workers: int = 2,
) -> FolderReport:
    """See :meth:`imfuse.Fuser.folder`."""
    started = time.perf_counter()
    pairing = match_folders(infrared, visible)
    make_output(out, infrared, visible)
    remove_leftovers(out)
    total = len(pairing.pairs)
    tell = progress or (lambda _: None)
    tell(Progress(0, total))
    jobs = (_Job(pair, out / f"{pair.name}.png") for pair in pairing.pairs)
    finished: list[_Job] = []
    for job in _stream(engine, jobs, overwrite, max(1, workers)):
        finished.append(job)
        tell(Progress(len(finished), total, job.pair.name, job.outcome))
    return FolderReport(
        written=tuple(job.pair.name for job in finished if job.outcome == "written"),
        skipped=tuple(job.pair.name for job in finished if job.outcome == "skipped"),
        failed=tuple((job.pair.name, job.message) for job in finished if job.outcome == "failed"),
        unmatched_infrared=pairing.unmatched_infrared,
        unmatched_visible=pairing.unmatched_visible,
        seconds=time.perf_counter() - started,
    )


class _Pace:
    """How many pairs may be under way in a stage: fewer of large pictures, which need about 40 bytes per pixel."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        # Nothing is known before the first picture is read, so begin as if they were large.
        self.largest = AHEAD_PIXELS

    def see(self, prepared: Prepared | None, first: bool) -> None:
        pixels = prepared.visible.size if prepared is not None else 1
        self.largest = pixels if first else max(self.largest, pixels)

    def depth(self) -> int:
        return min(2 * self.workers, AHEAD_PIXELS // self.largest)


def _stream(engine: Engine, jobs: Iterable[_Job], overwrite: bool, workers: int) -> Iterator[_Job]:
    """Read ahead in threads, fuse here, write behind in threads."""
    pace = _Pace(workers)

    def step(function: Callable[[_Job], object]) -> Callable[[_Job], _Job]:
        return lambda job: _guarded(function, job)

    def watched(read_jobs: Iterator[_Job]) -> Iterator[_Job]:
        for i, job in enumerate(read_jobs):
            pace.see(job.prepared, first=i == 0)
            yield job
            del job

    with _threads(workers) as readers, _threads(workers) as writers:
        reading = watched(_in_order(readers, step(lambda job: _read(job, engine, overwrite)), jobs, pace.depth))
        fused = map(step(lambda job: _fuse(job, engine)), reading)
        yield from _in_order(writers, step(lambda job: _write(job, engine)), fused, pace.depth, eager=True)


def _in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[Item], Made],
    items: Iterable[Item],
    depth: Callable[[], int],
    eager: bool = False,
) -> Iterator[Made]:
    """Map in threads, in order, with ``depth()`` items ahead; ``eager`` hands out what is done before it asks on."""
    under_way: deque[Future[Made]] = deque()
    for item in items:
        under_way.append(pool.submit(function, item))
        del item
        while under_way and (len(under_way) > depth() or (eager and under_way[0].done())):
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


@contextmanager
def _threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        # After Ctrl-C what is being written is finished, and nothing new begins.
        pool.shutdown(wait=True, cancel_futures=True)


def _guarded(function: Callable[[_Job], object], job: _Job) -> _Job:
    """One step of a job that is still open; whatever goes wrong is the job's own failure."""
    if job.outcome is None:
        try:
            function(job)
        except Exception as error:
            job.outcome, job.message = "failed", describe_failure(error, job.pair.visible)
    if job.outcome is not None:
        job.prepared = job.fused = None
    return job


def _read(job: _Job, engine: Engine, overwrite: bool) -> None:
    job.fingerprint = engine.fingerprint(image_hash(job.pair.infrared), image_hash(job.pair.visible))
    if not overwrite and is_finished(job.out, job.fingerprint):
        job.outcome = "skipped"
        return
    job.prepared = engine.prepare(read(job.pair.infrared, engine.max_pixels), read(job.pair.visible, engine.max_pixels))


def _fuse(job: _Job, engine: Engine) -> None:
    assert job.prepared is not None
    job.fused = engine.fuse_luminance(job.prepared)


def _write(job: _Job, engine: Engine) -> Array:
    assert job.prepared is not None
    assert job.fused is not None
    pixels = engine.finish(job.prepared, job.fused).as_type(engine.bits or 8)
    (ir_low, ir_high), (vi_low, vi_high) = job.prepared.limits
    metadata = {
        "Software": f"imfuse {VERSION} ({engine.spec.name})",
        "imfuse:infrared-range": f"{ir_low:g},{ir_high:g}",
        "imfuse:visible-range": f"{vi_low:g},{vi_high:g}",
        FINGERPRINT: job.fingerprint,
    }
    write_image(job.out, pixels, metadata=metadata)
    job.outcome = "written"
    return pixels


def is_finished(out: Path, fingerprint: str) -> bool:
    """Say whether ``out`` is this very result; ``ImageError`` where it is a file that imfuse did not make."""
    if not out.is_file() or _is_broken(out):
        return False
    found = read_metadata(out).get(FINGERPRINT)
    if found is None:
        raise ImageError(
            f"{out}: this file exists, and nothing in it says that imfuse made it; "
            "choose another --output, or replace it with --overwrite"
        )
    return found == fingerprint


def _is_broken(out: Path) -> bool:
    """An empty file, or a PNG without its end: what a system that went down in the middle may leave."""
    try:
        with out.open("rb") as stream:
            start = stream.read(len(_PNG_START))
            stream.seek(max(0, out.stat().st_size - len(_PNG_END)))
            return not start or (start == _PNG_START and stream.read() != _PNG_END)
    except OSError:
        # Writing says in plain words what is wrong with this path.
        return True


def make_output(out: Path, infrared: Path, visible: Path) -> None:
    """Make the folder of results. Raises ``PairError`` where it is one of the others, or ``ImageError``."""
    for side, folder in (("infrared", infrared), ("visible", visible)):
        if _is_same(out, folder):
            raise PairError(f"{out}: is the {side} folder itself; choose another output folder (--output)")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else getattr(error, "strerror", None) or error
        raise ImageError(f"{out}: cannot make the output folder ({reason}); choose another one (--output)") from error


def _is_same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except (OSError, ValueError):
        return False
