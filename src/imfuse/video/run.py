"""Two sources of frames through one method into a file of video, or into a window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from imfuse.core.errors import ImfuseError, VideoError
from imfuse.core.files import file_identity
from imfuse.core.lock import output_lock
from imfuse.core.notes import note
from imfuse.core.signals import raise_terminated
from imfuse.core.text import printable
from imfuse.fusing.engine import Engine
from imfuse.fusing.fuser import Fuser
from imfuse.fusing.pipeline import Pipeline
from imfuse.fusing.stream import FramePair, FusedPair, Stream, picture_of
from imfuse.imaging import quantise
from imfuse.imaging.inputs import Array, Bits, PathLike, Stored
from imfuse.video.formats import QUALITY, Format
from imfuse.video.frames import Frame, Frames
from imfuse.video.output import open_target
from imfuse.video.pairing import MAX_GAP, PairCounts, pair_frames
from imfuse.video.reader import has_pyav, open_frames
from imfuse.video.target import Target

AHEAD = 4
"""Frames that are decoded ahead of each source."""
Show = Callable[[Array, float], bool]
"""A window: it is given a picture and when it was read, and says whether to go on."""


@dataclass(frozen=True)
class VideoProgress:
    """How far a video is.

    Args:
        done: frames that were looked at.
        total: how many there will be, ``None`` of a camera.
        seconds: how much of the video that is.

    Example:
        >>> step = VideoProgress(30, 560, 1.0)
        >>> f"{step.done / step.total:.0%}"
        '5%'
    """

    done: int
    total: int | None
    seconds: float


@dataclass(frozen=True)
class VideoReport:
    """What became of two videos.

    Args:
        output: the file, ``None`` where none was asked for.
        size: height and width of its frames.
        written: frames that this run fused.
        resumed: frames of an earlier run that were kept.
        dropped_infrared: infrared frames that no visible one was nearest to.
        dropped_visible: visible frames without an infrared one near enough.
        late: frames that came behind later ones.
        dropped_live: pairs of cameras that came faster than they were fused.
        damaged: frames that could not be decoded as they were meant.
        sound: whether the file has the sound of the visible one.
        finished: whether it was finished before, so that nothing was done.
        seconds: wall time.

    Example:
        >>> VideoReport(Path("fused.mp4"), written=560, seconds=28.0).rate
        20.0
    """

    output: Path | None
    size: tuple[int, int] = (0, 0)
    written: int = 0
    resumed: int = 0
    dropped_infrared: int = 0
    dropped_visible: int = 0
    late: int = 0
    dropped_live: int = 0
    damaged: int = 0
    sound: bool = False
    finished: bool = False
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Frames per second of this run."""
        return self.written / self.seconds if self.seconds else 0.0


def fuse_video(
    fuser: Fuser,
    infrared: PathLike,
    visible: PathLike,
    output: PathLike | None,
    *,
    rate: float | None = None,
    raw: str | None = None,
    max_gap: float = MAX_GAP,
    codec: str = "h264",
    quality: int = QUALITY,
    pixel_format: str | None = None,
    side_by_side: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    batch: int = 1,
    smooth: bool = False,
    show: Show | None = None,
    progress: Callable[[VideoProgress], None] | None = None,
) -> VideoReport:
    """Fuse two videos, of any rates and, with a rig, of any sizes.

    Each visible frame is fused with the infrared one that was taken nearest to it; the sound of the visible file is
    kept. While it works, the frames are in files beside the output, ``fused.part-000.mp4``, which can be played
    whatever happens; they are joined at the end. ``resume`` continues behind the last whole second in them.

    Args:
        fuser: what fuses; of a range of "steady" the brightness does not pump.
        infrared: whatever :func:`imfuse.video.open_frames` takes.
        visible: as well.
        output: the file, .mp4, .mov or .mkv; ``None`` where the frames are shown alone.
        rate: frames per second of sources that do not say it.
        raw: size and format of frames on a pipe.
        max_gap: seconds that two frames of a pair may lie apart.
        codec: "h264", or "ffv1" without losses, for .mkv.
        quality: of H.264: 0, the best, to 51.
        pixel_format: one of the encoder.
        side_by_side: infrared, visible and fused beside each other.
        resume: continue what an interrupted run left.
        overwrite: redo it, and replace other files.
        batch: the most frames that go through the network at once.
        smooth: filter over time where nothing moves.
        show: called with each picture.
        progress: called before the first frame and after each.

    Returns:
        What became of the frames.

    Raises:
        VideoError: a source cannot be read, or the output not be written; what was fused stays in the parts.
        ImfuseError: as for :class:`imfuse.Fuser` and its call.

    Example:
        ```python
        fuser = imfuse.Fuser(range="steady")
        report = imfuse.video.fuse_video(fuser, "infrared.mp4", "visible.mp4", "fused.mp4")
        print(report.written, report.rate)
        ```
    """
    started = time.perf_counter()
    format_ = Format(codec, quality, pixel_format)
    with ExitStack() as stack:
        sources = [
            stack.enter_context(open_frames(source, rate=rate, raw=raw if str(source) == "-" else None))
            for source in (infrared, visible)
        ]
        live = any(source.live for source in sources)
        target: Target | None = None
        if output is not None:
            _refuse_sources(Path(output), infrared, visible)
            fingerprint = _fingerprint(fuser, sources, (max_gap, codec, quality, pixel_format, side_by_side, smooth))
            target = open_target(Path(output), format_, fingerprint, fuser.bits or 8)
            stack.enter_context(output_lock(target.path.parent, f"a run that writes {target.path.name}"))
            if target.is_finished and not overwrite:
                return VideoReport(target.path, sources[1].size, finished=True)
            target.begin(sources[1].rate, resume=resume and not live, overwrite=overwrite)
        run = _Run(fuser, sources, target, max_gap, side_by_side, live)
        stack.enter_context(raise_terminated())
        run.work(batch, smooth, show, progress)
        heard = str(visible) if Path(str(visible)).is_file() else None
        sound = target.finish(heard) if target is not None else False
    return replace(run.report(), sound=sound, seconds=time.perf_counter() - started)


class _Run:
    """One pass over two sources."""

    def __init__(
        self, fuser: Fuser, sources: list[Frames], target: Target | None, max_gap: float, side_by_side: bool, live: bool
    ) -> None:
        self.fuser, self.sources, self.target = fuser, sources, target
        self.max_gap, self.side_by_side, self.live = max_gap, side_by_side, live
        self.names = [source.name for source in sources]
        self.counts = PairCounts()
        self.written, self.size, self.dropped = 0, (0, 0), 0
        self.kept_until = target.kept_until if target is not None else 0.0

    def work(
        self, batch: int, smooth: bool, show: Show | None, progress: Callable[[VideoProgress], None] | None
    ) -> None:
        """Fuse; whatever ends it, what was fused is in the part."""
        total = self._total()
        tell = progress or (lambda _: None)
        tell(VideoProgress(0, total, 0.0))
        readers = [Pipeline(source, depth=AHEAD, newest=self.live) for source in self.sources]
        pairs = self._pairs(*readers)
        fused = Stream(self.fuser, pairs, self._finish, batch=batch, newest=self.live, smooth=smooth)
        done = 0
        try:
            for done, item in enumerate(fused, 1):
                if item is not None and not self._put(item, show):
                    break
                tell(VideoProgress(done, total, self.counts.seconds))
        except KeyboardInterrupt:
            # Of a camera this is the ordinary end.
            if not self.live:
                raise
        except ImfuseError as error:
            raise self._with_rest(error) from error
        finally:
            self.dropped = fused.dropped + sum(reader.dropped for reader in readers)
            for reader in readers:
                reader.close()
            fused.close()
            if self.target is not None:
                with suppress(VideoError):
                    self.target.close_part()
        if not done:
            raise VideoError(
                f"{printable(self.names[0])} and {printable(self.names[1])}: no two frames were taken within "
                f"{self.max_gap:g} s of each other",
                "use a larger max_gap=...",
            )
        self._doubt_ends()

    def report(self) -> VideoReport:
        """What became of the frames."""
        counts = self.counts
        return VideoReport(
            None if self.target is None else self.target.path,
            self.size,
            written=self.written,
            resumed=counts.paired - self.written - self.dropped if self.kept_until else 0,
            dropped_infrared=counts.dropped_infrared,
            dropped_visible=counts.dropped_visible,
            late=counts.late,
            dropped_live=self.dropped,
            damaged=sum(source.damaged for source in self.sources),
        )

    def _pairs(self, infrared: Pipeline, visible: Pipeline) -> Iterator[FramePair]:
        start: float | None = None
        for number, (first, second) in enumerate(pair_frames(infrared, visible, self.max_gap, self.counts)):
            start = second.time if start is None and self.live else start or 0.0
            seconds = second.time - start
            # Names say which side is which; one look is enough.
            paths = [Path(name) if number == 0 and "://" not in name else None for name in self.names]
            yield FramePair(
                Stored(first.picture, self.names[0], paths[0]),
                Stored(second.picture, self.names[1], paths[1]),
                seconds,
                second,
                only_seen=seconds < self.kept_until - 5e-4,
            )

    def _finish(self, engine: Engine, fused: FusedPair) -> tuple[Array, float, Frame]:
        picture = picture_of(engine, fused)
        if self.side_by_side:
            picture = _beside(fused, picture)
        return picture, fused.pair.seconds, fused.pair.label

    def _put(self, item: tuple[Array, float, Frame], show: Show | None) -> bool:
        """Write and show a picture; whether to go on."""
        picture, seconds, frame = item
        if self.target is not None:
            self.target.write(picture, seconds)
        self.written += 1
        self.size = (picture.shape[0], picture.shape[1])
        return show is None or show(picture, frame.read)

    def _total(self) -> int | None:
        visible = self.sources[1]
        if visible.length is None or self.sources[0].length is None:
            return None
        shorter = min(source.length / source.rate for source in self.sources if source.length is not None)
        return min(visible.length, round(shorter * visible.rate))

    def _with_rest(self, error: ImfuseError) -> ImfuseError:
        """The error, and where that is which was fused before it."""
        kept = None if self.target is None else self.target.part
        if kept is None or not self.written:
            return error
        return type(error)(
            f"{error.message}; {self.written} frames are in {printable(kept)}",
            *error.advice,
            "use resume=True to continue behind them",
        )

    def _doubt_ends(self) -> None:
        """Tell of what stopped, and of sources of different lengths."""
        for source in self.sources:
            if source.stopped:
                note(f"{printable(source.name)}: stopped after {self.counts.seconds:.1f} s: {source.stopped}")
            if source.damaged:
                note(f"{printable(source.name)}: {source.damaged} frames are damaged")
        if any(source.length is None or source.live or source.stopped for source in self.sources):
            return
        lengths = [(source.length or 0) / source.rate for source in self.sources]
        if abs(lengths[0] - lengths[1]) > max(self.max_gap, *(1.5 / source.rate for source in self.sources)):
            note(
                f"{printable(self.names[0])} has {lengths[0]:.1f} s and {printable(self.names[1])} {lengths[1]:.1f} s: "
                "fused up to the end of the shorter"
            )


def _beside(fused: FusedPair, picture: Array) -> Array:
    """Infrared, visible and fused in one row."""
    prepared = fused.prepared
    visible = prepared.visible if prepared.colours is None else prepared.colours
    bits: Bits = 16 if picture.dtype == np.uint16 else 8
    panels = [quantise(prepared.infrared, bits), quantise(visible, bits), picture]
    return np.hstack([np.dstack([one] * 3) if one.ndim == 2 else one for one in panels])


def _refuse_sources(output: Path, *sources: PathLike) -> None:
    there = file_identity(output)
    for source in sources:
        if there is not None and there == file_identity(Path(str(source))):
            raise VideoError(f"{printable(output)}: is one of the two videos", "choose another output=...")


def _fingerprint(fuser: Fuser, sources: list[Frames], settings: tuple[Any, ...]) -> str:
    """What tells this video from others: by size and date of the files, which may be large."""
    words = []
    for source in sources:
        with suppress(OSError):
            status = Path(source.name).stat()
            words.append(f"{status.st_size} {status.st_mtime_ns}")
        words.append(f"{source.length} {source.rate} {source.size}")
    return fuser.fingerprint(*words, repr(settings), str(has_pyav()))
