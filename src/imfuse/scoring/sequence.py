"""How steady fused sequences are: folders of frames, in the order of their names, or videos."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from imfuse.core.errors import ImageError, PairError
from imfuse.core.files import is_folder
from imfuse.fusing.alignment import RigLike, read_rig
from imfuse.fusing.folder import Progress
from imfuse.imaging import Pair, Range, RangeLike, as_range, find_pairing, inputs, match_fused, write_file
from imfuse.imaging.inputs import MAX_PIXELS, PathLike, Stored
from imfuse.metrics.temporal import FrameChange, Levels, TemporalMeter, temporal_summary
from imfuse.scoring.levels import ScoredImage, to_gray
from imfuse.scoring.ranges import FusedBy
from imfuse.scoring.sources import Sources, check_size
from imfuse.scoring.spreadsheet import csv_text
from imfuse.video.pairing import pair_frames
from imfuse.video.reader import open_frames

MEASURES = FrameChange._fields


@dataclass(frozen=True)
class SequenceScores:
    """How steady each method is over a sequence, in gray levels.

    :func:`score_sequence` makes them.

    Args:
        frames: names of the frames, in order.
        curves: for each method the change to each frame from the one before: the first is that of the second frame.
        infrared: the files of the infrared frames; none of videos.
        visible: those of the visible frames.
        fused: those of each method.

    Example:
        >>> change = FrameChange(3, 2, 1, 0, 2, 0)
        >>> SequenceScores(("1", "2"), {"ours": (change,)}).summary("ours").flicker
        1.0
    """

    frames: tuple[str, ...]
    curves: Mapping[str, tuple[FrameChange, ...]]
    infrared: tuple[Path, ...] = ()
    visible: tuple[Path, ...] = ()
    fused: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    def summary(self, method: str) -> FrameChange:
        """Means of a method over the frames.

        Args:
            method: its name.

        Returns:
            The mean of each value.
        """
        return temporal_summary(list(self.curves[method]))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the curves, one line for each method and frame.

        Args:
            path: of the file.
        """
        lines = [
            (method, frame, *change)
            for method, curve in self.curves.items()
            for frame, change in zip(self.frames[1:], curve, strict=True)
        ]
        write_file(path, csv_text([("method", "frame", *MEASURES), *lines]))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write means and curves.

        Args:
            path: of the file.
        """
        methods = {
            method: {
                "mean": self.summary(method)._asdict(),
                "curves": dict(zip(MEASURES, map(list, zip(*curve, strict=True)), strict=True)),
            }
            for method, curve in self.curves.items()
        }
        content = {"unit": "gray levels", "frames": self.frames, "methods": methods}
        write_file(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def score_sequence(
    fused: PathLike | Mapping[str, PathLike],
    infrared: PathLike,
    visible: PathLike,
    *,
    range: RangeLike | None = None,
    visible_range: RangeLike | None = None,
    max_pixels: int = MAX_PIXELS,
    rig: RigLike = None,
    progress: Callable[[Progress], None] | None = None,
) -> SequenceScores:
    """Measure flicker, pumping and consistency of videos, or of folders of frames, which belong together by name.

    A fused video has one frame for each visible frame that has an infrared one, as ``imfuse video`` writes them.

    Frames are brought to gray levels 0..255 with one range for all of them, so that the sources do not pump. They are
    read one by one; sequences of any length need the memory of two frames.

    Args:
        fused: the folder, or the video, of each method by its name; or one, which lends its name.
        infrared: the folder of infrared frames, or their video.
        visible: that of the visible frames.
        range: what of the infrared frames becomes black and white: limits, or "full". Frames of more than 8 bits need
            it.
        visible_range: the same for the visible frames.
        max_pixels: the largest frame that is read, in pixels.
        rig: the two cameras, for sources that are not registered.
        progress: called before the first frame and after each.

    Returns:
        The change from frame to frame for each method.

    Raises:
        PairError: the folders or videos do not belong together, there are fewer than two frames, or a method lacks
            some.
        VideoError: a video cannot be read.
        ImageError: a frame cannot be read, or needs a range.
        MetricError: frames differ in size, or are smaller than 16x16.

    Warns:
        ImfuseWarning: pairs were found by a rule that may be wrong.

    Example:
        ```python
        scores = imfuse.scoring.score_sequence({"a": "results/a", "b": "results/b"}, "infrared", "visible")
        scores.summary("a").flicker
        ```
    """
    tell = progress or (lambda _: None)
    ranges = tuple(None if one is None else _fixed(one) for one in (range, visible_range))
    cameras = None if rig is None else read_rig(rig)
    folders = (
        {name: Path(path) for name, path in fused.items()}
        if isinstance(fused, Mapping)
        else {Path(fused).resolve().name or "fused": Path(fused)}
    )
    videos = [not is_folder(path) for path in (infrared, visible, *folders.values())]
    if any(videos) and not all(videos):
        raise PairError("folders of frames, or videos, are expected; both were given")
    jobs = [] if all(videos) else list(_jobs(folders, infrared, visible))
    steps = _decoded(folders, infrared, visible) if all(videos) else _read(jobs, max_pixels)
    meter, names = TemporalMeter(), list[str]()
    for step in steps:
        if not names:
            tell(Progress(0, step.total))
        sources = Sources(step.infrared, step.visible, "matlab", cameras)
        seen = [
            sources.seen(side, _range_of(stored, ranges[side], side), FusedBy())
            for side, stored in enumerate((step.infrared, step.visible))
        ]
        frames = {method: sources.common(frame) for method, frame in step.fused.items()}
        for frame in frames.values():
            check_size(frame, seen[1].image.stored)
        levels = {method: _gray(ScoredImage(frame, "matlab")) for method, frame in frames.items()}
        meter.add(levels, _gray(seen[0].image), _gray(seen[1].image))
        names.append(step.name)
        tell(Progress(len(names), max(step.total, len(names)), step.name))
    return SequenceScores(
        tuple(names),
        {method: tuple(meter.curves[method]) for method in folders},
        tuple(pair.infrared for pair, _ in jobs),
        tuple(pair.visible for pair, _ in jobs),
        {method: tuple(files[method] for _, files in jobs) for method in folders if jobs},
    )


@dataclass(frozen=True)
class _Step:
    """One frame of both sources and of every method, and how many there are, as far as that is known."""

    name: str
    infrared: Stored
    visible: Stored
    fused: Mapping[str, Stored]
    total: int


def _read(jobs: list[tuple[Pair, dict[str, Path]]], max_pixels: int) -> Iterator[_Step]:
    for pair, files in jobs:
        infrared, visible = (inputs.read(path, max_pixels) for path in (pair.infrared, pair.visible))
        fused = {method: inputs.read(path, max_pixels) for method, path in files.items()}
        yield _Step(pair.name, infrared, visible, fused, len(jobs))


def _decoded(videos: Mapping[str, Path], infrared: PathLike, visible: PathLike) -> Iterator[_Step]:
    """Frames of videos; the fused ones in step with the visible frames that have an infrared one."""
    with ExitStack() as opened:
        sources = [opened.enter_context(open_frames(path)) for path in (infrared, visible)]
        fused = {method: opened.enter_context(open_frames(path)) for method, path in videos.items()}
        frames = {method: iter(one) for method, one in fused.items()}
        number = 0
        for first, second in pair_frames(sources[0], sources[1]):
            found = {method: next(one, None) for method, one in frames.items()}
            stored = {m: inputs.as_stored(one.picture, fused[m].name) for m, one in found.items() if one is not None}
            if short := [method for method in found if method not in stored]:
                raise PairError(f"{short[0]}: ends after frame {number}, and the sources do not")
            names = [one.name for one in sources]
            ir, vi = inputs.as_stored(first.picture, names[0]), inputs.as_stored(second.picture, names[1])
            yield _Step(str(number), ir, vi, stored, sources[1].length or 0)
            number += 1
        if number < 2:
            raise PairError(
                f"{visible}: {number} with an infrared frame is no sequence; folders of frames or videos are expected"
            )
        if longer := [method for method, one in frames.items() if next(one, None) is not None]:
            raise PairError(f"{longer[0]}: has more than {number} frames, with which the sources end")


def _jobs(folders: Mapping[str, Path], infrared: PathLike, visible: PathLike) -> Iterator[tuple[Pair, dict[str, Path]]]:
    """Each frame with the files of all methods."""
    pairs = find_pairing(infrared, visible, without=tuple(folders.values())).pairs
    if len(pairs) < 2:
        raise PairError(f"{visible}: one frame is no sequence; at least two are expected")
    files = {method: match_fused(folder, pairs)[0] for method, folder in folders.items()}
    for method, found in files.items():
        missing = [pair.name for pair in pairs if pair.name not in found]
        if missing:
            raise PairError(
                f"{method}: {len(missing)} of {len(pairs)} frames are missing, the first is {missing[0]}; "
                "a sequence is measured without gaps"
            )
    for pair in pairs:
        yield pair, {method: found[pair.name] for method, found in files.items()}


def _fixed(given: RangeLike) -> Range:
    """A range that is the same for every frame."""
    taken = as_range(given)
    if taken.kind in ("full", "limits"):
        return taken
    raise ImageError(
        f"range={given!r}: is another one in every frame, so the source would flicker itself",
        "give one for the whole sequence, range='LOW,HIGH'",
    )


def _range_of(stored: Stored, given: Range | None, side: int) -> Range:
    if given is not None or stored.pixels.dtype == "uint8":
        return given or Range("full")
    name = ("range", "visible_range")[side]
    raise ImageError(
        f"{stored.name}: {stored.pixels.dtype} found; a sequence of more than 8 bits needs one range for all frames",
        f"give {name}='LOW,HIGH'",
    )


def _gray(image: ScoredImage) -> Levels:
    return to_gray(image.levels, "matlab")
