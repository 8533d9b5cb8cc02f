"""Files and folders of pairs: reading and writing overlap the network, finished results are recognised.

What is made of a pair is a ``Task``: a fused picture here, classes in ``imfuse.tasks.segment``. All else is the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imfuse.core.errors import ImageError, PairError, describe_failure
from imfuse.core.files import file_identity, stem_of
from imfuse.core.lock import output_lock
from imfuse.core.notes import collected, note
from imfuse.core.output import check_replaceable
from imfuse.core.signals import raise_terminated
from imfuse.core.text import printable
from imfuse.core.version import VERSION
from imfuse.fusing.alignment import rig_metadata
from imfuse.fusing.engine import Engine, Float, Prepared
from imfuse.fusing.folder_pairs import folder_pairs, is_same, source_folders
from imfuse.fusing.nodata import with_nodata
from imfuse.fusing.resume import FINGERPRINT, is_finished
from imfuse.fusing.task import Computed, EngineTask, Outcome, PairJob, Task
from imfuse.fusing.threads import Pace, in_order, threads
from imfuse.imaging import Pair, Pairing, remove_leftovers, write_image
from imfuse.imaging._geotags import read_geotags
from imfuse.imaging.inputs import Array, Stored, digest

INFRARED_RANGE, VISIBLE_RANGE = "imfuse:infrared-range", "imfuse:visible-range"
INFRARED_PALETTE = "imfuse:infrared-palette"
"""Keys of the metadata that say which values of the two pictures became black and white: ``LOW,HIGH``, or degrees."""
ALIGNMENT = "imfuse:alignment"
"""Key of the transform by which the infrared picture was aligned: its model, the nine numbers of its matrix by rows,
and the evidence for it."""


@dataclass(frozen=True)
class Progress:
    """How far a run over many pairs is; functions that take ``progress`` call it with one of these.

    Args:
        done: pairs that are done; 0 in the call before the first pair.
        total: pairs in all.
        name: the pair that was done last.
        outcome: "written", "skipped" (finished by an earlier run) or "failed"; ``None`` before the first pair.

    Example:
        >>> def show(step: Progress) -> None:
        ...     print(f"{step.done} of {step.total} {step.name} {step.outcome or ''}".rstrip())
        >>> show(Progress(0, 42))
        0 of 42
        >>> show(Progress(1, 42, "01", "written"))
        1 of 42 01 written
    """

    done: int
    total: int
    name: str = ""
    outcome: Outcome | None = None


@dataclass(frozen=True)
class FolderReport:
    """What became of the pairs of two folders, and the files that found no partner.

    A pair goes by its name, the stem of its visible file; each is in one of the first three, in natural order.

    Args:
        written: pairs whose results were made.
        skipped: pairs whose results an earlier run with the same files and settings had made.
        failed: pairs that could not be done, each with a line that says why.
        warnings: pairs that were done with a doubt, each with a line that says what and why.
        unmatched_infrared: names of infrared files without a partner.
        unmatched_visible: names of visible files without a partner.
        seconds: wall time.

    Example:
        >>> report = FolderReport(written=("01", "02"), failed=(("03", "ir/03.png: the file is empty"),))
        >>> dict(report.failed)
        {'03': 'ir/03.png: the file is empty'}
    """

    written: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    unmatched_infrared: tuple[str, ...] = ()
    unmatched_visible: tuple[str, ...] = ()
    seconds: float = 0.0


class _Fusing(EngineTask[Float]):
    """One fused picture of each pair."""

    carries = True

    def compute(self, prepared: Prepared) -> Float:
        return self.engine.fuse_luminance(prepared)

    def pictures(self, prepared: Prepared, computed: Float) -> tuple[Array, ...]:
        return (self.engine.finish(prepared, computed).as_type(self.engine.bits or 8),)

    def metadata(self, prepared: Prepared, computed: Float) -> dict[str, str]:
        infrared, visible = prepared.limits
        ranges = {INFRARED_RANGE: infrared.text, VISIBLE_RANGE: visible.text}
        more = {INFRARED_PALETTE: prepared.palette, ALIGNMENT: prepared.alignment}
        more |= rig_metadata(self.engine.rig, self.engine.outside)
        return ranges | {key: value for key, value in more.items() if value}


def fuse_files(engine: Engine, infrared: Path, visible: Path | None, output: Path, *, overwrite: bool = False) -> bool:
    """See :meth:`imfuse.Fuser.files`."""
    visible = infrared if visible is None else visible
    return run_pair(_Fusing(engine), Pair(stem_of(visible), infrared, visible), (output,), overwrite=overwrite)


def fuse_pair(
    engine: Engine, pair: Pair, output: Path, digests: tuple[str, str], load: Callable[[], tuple[Stored, Stored]]
) -> Array | None:
    """Fuse a pair whose pictures others need as well; ``digests`` are those of its files, ``load`` reads the pictures.

    Returns:
        The pixels that were written, or None where ``output`` is already the result, so that nothing was done.
    """
    task = _Fusing(engine)
    job = PairJob[Float](pair, (output,), fingerprint=task.fingerprint(*digests))
    if is_finished(output, job.fingerprint):
        return None
    with engine.doubts():
        job.prepared = engine.prepare(*load())
    _compute(job, task)
    return _write(job, task)[0]


def fuse_folder(
    engine: Engine,
    infrared: Path | None,
    visible: Path | None,
    output: Path,
    *,
    recursive: bool = False,
    pairs: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
    workers: int = 2,
) -> FolderReport:
    """See :meth:`imfuse.Fuser.folder`."""
    pairing = folder_pairs(engine, infrared, visible, recursive=recursive, pairs=pairs, without=(output,))
    sources = source_folders(pairing, infrared, visible)
    return run_folder(
        _Fusing(engine), pairing, output, sources, overwrite=overwrite, progress=progress, workers=workers
    )


def run_pair(task: Task[Computed], pair: Pair, targets: tuple[Path, ...], *, overwrite: bool = False) -> bool:
    """Do one pair; whatever goes wrong is raised.

    Returns:
        False where all targets are already the results of these files and settings, so that nothing was done.
    """
    for target in targets:
        if any(is_same(target, path) for path in (pair.infrared, pair.visible)):
            raise ImageError(f"{target}: is one of the two pictures of the pair", "choose another name (output=...)")
    job = PairJob[Computed](pair, targets)
    _read(job, task, overwrite)
    _compute(job, task)
    _conclude(job, task)
    if job.geotags_lost:
        note(
            f"{printable(pair.visible)}: its geotags are not kept, only in a TIFF picture on the same grid",
            "choose a name that ends in .tif (output=...)",
        )
    return job.outcome == "written"


def run_folder(
    task: Task[Computed],
    pairing: Pairing,
    output: Path,
    sources: Mapping[Path, str],
    parts: Sequence[str] = ("",),
    *,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
    workers: int = 2,
) -> FolderReport:
    """Do every pair of two folders; a pair that fails, by whatever exception, is reported and the others continue.

    Args:
        task: what is made of a pair.
        pairing: the pairs, and the files without a partner.
        output: folder of the results.
        sources: folders that no result may go into, with what they hold.
        parts: folders below it, one for each picture that the task makes; "" is ``output`` itself.
        overwrite: redo finished results and replace other files.
        progress: called before the first pair and after each.
        workers: threads that read ahead; as many write behind.

    Raises:
        PairError: results would go into one of the sources.
        ImageError: a folder of results cannot be made.
        ImfuseError: another run uses the folder.
    """
    started = time.perf_counter()
    folders = [output / part for part in parts]
    task.check(pairing.pairs)
    below = dict.fromkeys(pair.name.rpartition("/")[0] for pair in pairing.pairs)
    _make_folders([output, *(folder / part for folder in folders for part in below)], sources)
    total = len(pairing.pairs)
    report_progress = progress or (lambda _: None)
    report_progress(Progress(0, total))
    jobs: Iterable[PairJob[Computed]] = _jobs(pairing, folders, sources)
    done: list[PairJob[Computed]] = []
    with output_lock(output, "a run over two folders"), raise_terminated():
        for job in _stream(task, jobs, overwrite, max(1, workers)):
            done.append(job)
            report_progress(Progress(len(done), total, job.pair.name, job.outcome))
    return FolderReport(
        written=tuple(job.pair.name for job in done if job.outcome == "written"),
        skipped=tuple(job.pair.name for job in done if job.outcome == "skipped"),
        failed=tuple((job.pair.name, job.message) for job in done if job.outcome == "failed"),
        warnings=(*_warnings_of(done), *_lost_geotags(done)),
        unmatched_infrared=pairing.unmatched_infrared,
        unmatched_visible=pairing.unmatched_visible,
        seconds=time.perf_counter() - started,
    )


def _jobs(pairing: Pairing, folders: Sequence[Path], sources: Iterable[Path]) -> Iterator[PairJob[Computed]]:
    """A job for each pair; it has failed already where a link leads from its result back to what is fused."""
    roots = [Path(os.path.realpath(source)) for source in sources]
    for pair in pairing.pairs:
        job = PairJob[Computed](pair, tuple(folder / f"{pair.name}.png" for folder in folders))
        for target in job.targets:
            if target.is_symlink() and any(Path(os.path.realpath(target)).is_relative_to(root) for root in roots):
                job.outcome = "failed"
                job.message = f"{printable(target)}: a link into a folder that is read; choose another output=..."
        yield job


def _warnings_of(done: Sequence[PairJob[Computed]]) -> Iterator[tuple[str, str]]:
    for job in done:
        if job.outcome == "written":
            yield from ((job.pair.name, text) for text in job.notes)


def _lost_geotags(done: Sequence[PairJob[Computed]]) -> Iterator[tuple[str, str]]:
    """One warning for all, with the first of them: in a survey it is true of every picture."""
    lost = [job.pair for job in done if job.geotags_lost]
    if lost:
        yield (
            lost[0].name,
            f"{printable(lost[0].visible)}: its geotags are not kept, since folders get PNG pictures ({len(lost)} in "
            "all); fuse single files into .tif to keep them",
        )


def _stream(
    task: Task[Computed], jobs: Iterable[PairJob[Computed]], overwrite: bool, workers: int
) -> Iterator[PairJob[Computed]]:
    """Read ahead in threads, compute here, write behind in threads."""
    pace = Pace(workers)

    def guarded(function: Callable[[PairJob[Computed]], object]) -> Callable[[PairJob[Computed]], PairJob[Computed]]:
        return lambda job: _guarded(function, job)

    def paced(read_jobs: Iterator[PairJob[Computed]]) -> Iterator[PairJob[Computed]]:
        for i, job in enumerate(read_jobs):
            pace.observe(job.prepared.visible.size if job.prepared is not None else 1, first=i == 0)
            yield job
            del job

    with threads(workers) as readers, threads(workers) as writers:
        reading = paced(in_order(readers, guarded(lambda job: _read(job, task, overwrite)), jobs, pace.depth))
        computed = map(guarded(lambda job: _compute(job, task)), reading)
        yield from in_order(writers, guarded(lambda job: _conclude(job, task)), computed, pace.depth, eager=True)


def _guarded(function: Callable[[PairJob[Computed]], object], job: PairJob[Computed]) -> PairJob[Computed]:
    """One step of a job that has not failed; whatever goes wrong is the job's own failure."""
    if job.outcome != "failed":
        with collected() as notes:
            try:
                function(job)
            except Exception as error:
                job.outcome, job.message = "failed", describe_failure(error, job.pair.visible)
        job.notes += map(str, notes)
    if job.outcome is not None:
        job.prepared = job.computed = None
    return job


def _read(job: PairJob[Computed], task: Task[Computed], overwrite: bool) -> None:
    for target in job.targets:
        check_replaceable(target, ImageError)
    most = task.max_pixels
    job.fingerprint = task.fingerprint(digest(job.pair.infrared, most), digest(job.pair.visible, most))
    if not overwrite:
        # All are looked at: a file of others in the place of one must stop the pair before anything is written.
        finished = [is_finished(target, job.fingerprint) for target in job.targets]
        if all(finished):
            job.outcome = "skipped"
            return
    with task.doubts():
        job.prepared = task.read(job)
        job.geotags = read_geotags(job.pair.visible)


def _compute(job: PairJob[Computed], task: Task[Computed]) -> None:
    if job.outcome is None:
        assert job.prepared is not None
        job.computed = task.compute(job.prepared)


def _conclude(job: PairJob[Computed], task: Task[Computed]) -> None:
    task.conclude(job, _write(job, task) if job.outcome is None else None)


def _write(job: PairJob[Computed], task: Task[Computed]) -> tuple[Array, ...]:
    assert job.prepared is not None
    assert job.computed is not None
    pictures = task.pictures(job.prepared, job.computed)
    metadata = {
        "Software": f"imfuse {VERSION} ({task.maker})",
        **task.metadata(job.prepared, job.computed),
        FINGERPRINT: job.fingerprint,
    }
    for target, pixels in zip(job.targets, pictures, strict=True):
        geotags = job.geotags
        if geotags is not None and geotags.fit(target, pixels.shape[:2]):
            pixels, geotags = with_nodata(pixels, job.prepared, geotags)
        write_image(target, pixels, metadata=metadata, geotags=geotags, carried=job.carried)
    job.geotags_lost = job.geotags is not None and not any(
        job.geotags.fit(target, pixels.shape[:2]) for target, pixels in zip(job.targets, pictures, strict=True)
    )
    job.outcome = "written"
    return pictures


def _make_folders(folders: Sequence[Path], sources: Mapping[Path, str]) -> None:
    """Make the folders of results. Raises ``PairError`` where one is among the sources, or ``ImageError``."""
    held = {file_identity(source): name for source, name in sources.items()}
    for folder in folders:
        identity = file_identity(folder)
        if identity is not None and identity in held:
            raise PairError(
                f"{folder}: is the {held[identity]} folder itself", "choose another output folder (output=...)"
            )
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else getattr(error, "strerror", None) or error
            raise ImageError(
                f"{folder}: cannot make the output folder ({reason})", "choose another one (output=...)"
            ) from error
        remove_leftovers(folder)
