"""Scores of fused pictures: of one triple, of files, and of the folders of several methods beside each other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast, overload

import cv2
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from imfuse.core.errors import ImageError, MetricError, PairError, describe_failure
from imfuse.core.files import is_folder, stem_of
from imfuse.fusing.alignment import RigLike, read_rig
from imfuse.fusing.folder import Progress
from imfuse.imaging import Pair, RangeLike, as_range, find_pairing, inputs, match_fused
from imfuse.imaging.inputs import MAX_PIXELS, PathLike, Stored
from imfuse.imaging.inputs import Picture as AnyPicture
from imfuse.imaging.sensors.sensor import ALL, View
from imfuse.metrics import METRICS, get_convention, get_definition, score_images
from imfuse.registration.rig import Rig
from imfuse.scoring.levels import ScoredImage
from imfuse.scoring.ranges import FusedBy, Ranges, stored_settings
from imfuse.scoring.scores import Failure, ImageScores, Scores
from imfuse.scoring.sources import Sources, check_size

Chosen: TypeAlias = "str | Sequence[str] | None"

HEADLINE = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")
"""What is scored by default: what most papers print, as far as the convention defines it."""

_SIDES = ("fused", "infrared", "visible")
_MOST_WORKERS = 8


@overload
def score(
    fused: PathLike,
    infrared: PathLike,
    visible: PathLike,
    *,
    metrics: Chosen = ...,
    convention: str = ...,
    range: RangeLike | None = ...,
    visible_range: RangeLike | None = ...,
    max_pixels: int = ...,
    rig: RigLike = ...,
    view: View = ...,
) -> Any: ...
@overload
def score(
    fused: npt.NDArray[Any] | Image.Image | Tensor,
    infrared: AnyPicture,
    visible: AnyPicture,
    *,
    metrics: Chosen = ...,
    convention: str = ...,
    range: RangeLike | None = ...,
    visible_range: RangeLike | None = ...,
    max_pixels: int = ...,
    rig: RigLike = ...,
    view: View = ...,
) -> dict[str, float]: ...
def score(
    fused: AnyPicture,
    infrared: AnyPicture,
    visible: AnyPicture,
    *,
    metrics: Chosen = None,
    convention: str = "plain",
    range: RangeLike | None = None,
    visible_range: RangeLike | None = None,
    max_pixels: int = MAX_PIXELS,
    rig: RigLike = None,
    view: View = ALL,
) -> dict[str, float] | Scores:
    """Score a fused picture against its sources; or those of a folder, each against its pair.

    A picture is a path, a NumPy array, a PIL image or a tensor, as for ``imfuse.fuse``. All are brought to the gray
    levels 0..255 first: the fused one by the full range of its type, from [0, 1] if it is floating, its sources by
    ``range`` and ``visible_range``, colour by the rule of the convention.

    Args:
        fused: the picture to score, or a folder of them. Arrays are (H, W), (H, W, 1) or (H, W, 3), tensors (H, W),
            (C, H, W) or (1, C, H, W).
        infrared: one source, of the same height and width, or the folder.
        visible: the other.
        metrics: symbols, as a sequence or with commas between them, or "all" that the convention defines. Left out:
            those of ``HEADLINE`` that it defines.
        convention: one of ``imfuse.metrics.CONVENTIONS``.
        range: what of the infrared picture becomes black and white, as for :class:`imfuse.Fuser`. Left out: what the
            metadata of the fused file say that it was fused by, else "auto" as for fusing.
        visible_range: the same for the visible picture.
        max_pixels: the largest file that is read, in pixels.
        rig: the two cameras, for sources that are not registered; what both show is scored.
        view: of files of sensors, which frame or slice was fused, and what the values of the infrared source are.

    Returns:
        The value under each symbol, in the unit of the metric, nan where it is undefined. For folders a ``Scores``;
        see ``score_folders``.

    Raises:
        MetricError: a metric or convention is unknown or not defined, or a picture is too small for it.
        ImageError: a picture cannot be read or used.
        PairError: the sizes differ, or the folders do not belong together.

    Example:
        >>> import numpy as np
        >>> infrared, visible = np.eye(8, dtype=np.uint8) * 255, np.zeros((8, 8), np.uint8)
        >>> round(score(infrared, infrared, visible, metrics="SD")["SD"], 3)
        84.333
    """
    pictures = dict(zip(_SIDES, (fused, infrared, visible), strict=True))
    folders = [
        side for side, picture in pictures.items() if isinstance(picture, (str, os.PathLike)) and is_folder(picture)
    ]
    if len(folders) == len(pictures):
        paths = [cast(PathLike, picture) for picture in pictures.values()]
        settings: dict[str, Any] = {"metrics": metrics, "convention": convention, "max_pixels": max_pixels, "rig": rig}
        return score_folders(*paths, range=range, visible_range=visible_range, view=view, **settings)
    if folders:
        raise PairError(f"three pictures or three folders are expected; folders are: {', '.join(folders)}")
    scorer = Scorer.of(metrics, convention, range, max_pixels, visible_range, rig, view)
    views = {"fused": ALL, "infrared": view, "visible": view.of_visible}
    stored = {side: _load(picture, side, max_pixels, views[side]) for side, picture in pictures.items()}
    fused_by = stored_settings(fused) if isinstance(fused, (str, os.PathLike)) else FusedBy()
    sources = scorer.sources(stored["infrared"], stored["visible"])
    return dict(scorer.score("", "", stored["fused"], sources, fused_by).values)


def score_files(
    fused: Mapping[str, PathLike],
    infrared: PathLike,
    visible: PathLike,
    *,
    metrics: Chosen = None,
    convention: str = "plain",
    range: RangeLike | None = None,
    visible_range: RangeLike | None = None,
    max_pixels: int = MAX_PIXELS,
    rig: RigLike = None,
    view: View = ALL,
) -> Scores:
    """Score what several methods made of one pair.

    Args:
        fused: the file of each method by its name.
        infrared: the infrared file.
        visible: the visible file.
        metrics: as for ``score``; so are the others.
        convention: see ``score``.
        range: see ``score``.
        visible_range: see ``score``.
        max_pixels: see ``score``.
        rig: see ``score``.
        view: see ``score``.

    Returns:
        One row for each method.

    Raises:
        MetricError: a metric or convention is unknown or not defined, or a picture is too small for it.
        ImageError: a picture cannot be read or used.
        PairError: the sizes differ.

    Example:
        ```python
        scores = imfuse.scoring.score_files({"a": "a/1.png", "b": "b/1.png"}, "ir/1.png", "vi/1.png")
        ```
    """
    started = time.perf_counter()
    scorer = Scorer.of(metrics, convention, range, max_pixels, visible_range, rig, view)
    pair = Pair(stem_of(Path(visible)), Path(infrared), Path(visible))
    sources = scorer.read_sources(pair)
    rows = [scorer.score_file(method, pair.name, path, sources) for method, path in _by_name(fused).items()]
    seconds = time.perf_counter() - started
    return Scores(convention, scorer.metrics, tuple(fused), pairs=1, rows=tuple(rows), seconds=seconds)


def score_folders(
    fused: PathLike | Mapping[str, PathLike],
    infrared: PathLike | None,
    visible: PathLike | None,
    *,
    recursive: bool = False,
    pairs: PathLike | None = None,
    metrics: Chosen = None,
    convention: str = "plain",
    range: RangeLike | None = None,
    visible_range: RangeLike | None = None,
    max_pixels: int = MAX_PIXELS,
    rig: RigLike = None,
    view: View = ALL,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Scores:
    """Score folders of fused pictures against the pairs that they were fused from.

    Sources are paired by ``imfuse.imaging.find_pairing``, fused pictures belong to them by ``match_fused``. A pair is
    read once, and what metrics need of it is computed once, for all methods. A picture that is missing or cannot be
    scored is reported in the result, and the others are scored.

    Args:
        fused: the folder of each method by its name, or one folder, which lends its name.
        infrared: the folder of infrared pictures; with ``pairs`` it may be ``None``.
        visible: the folder of visible pictures; the same.
        recursive: look into sub-folders as well; fused pictures are expected in the same ones.
        pairs: a list of pairs, CSV or JSON Lines, as ``imfuse.imaging.read_pairs`` takes it.
        metrics: as for ``score``; so are the others.
        convention: see ``score``.
        range: see ``score``.
        visible_range: see ``score``.
        max_pixels: see ``score``.
        rig: see ``score``.
        view: see ``score``.
        workers: pairs that are scored at a time, each in a thread of its own; by default as many as torch has threads,
            but at most 8.
        progress: called before the first pair and after each.

    Returns:
        One row for each fused picture, and what is missing, unmatched or failed.

    Raises:
        MetricError: a metric or convention is unknown or not defined.
        ImageError: a range is invalid.
        PairError: the folders do not belong together, or lines of the list are wrong.

    Warns:
        ImfuseWarning: pairs were found by a rule that may be wrong.

    Example:
        ```python
        scores = imfuse.score_folders({"a": "results/a", "b": "results/b"}, "infrared", "visible", metrics="EN,VIF")
        scores.summary("EN", "a").mean
        ```
    """
    started = time.perf_counter()
    scorer = Scorer.of(metrics, convention, range, max_pixels, visible_range, rig, view)
    folders = _by_name(fused)
    pairing = find_pairing(infrared, visible, recursive=recursive, pairs=pairs, without=tuple(folders.values()))
    matches = {method: match_fused(folder, pairing.pairs) for method, folder in folders.items()}
    jobs = [
        _Job(pair, {method: files[pair.name] for method, (files, _) in matches.items() if pair.name in files})
        for pair in pairing.pairs
    ]
    results = _score_pairs(scorer, [job for job in jobs if job.fused], workers, progress or (lambda _: None))
    rows = [result for result in results if isinstance(result, ImageScores)]
    return Scores(
        convention,
        scorer.metrics,
        tuple(folders),
        pairs=len(jobs),
        rows=tuple(row for method in folders for row in rows if row.method == method),
        failed=tuple(result for result in results if isinstance(result, Failure)),
        missing={method: tuple(job.pair.name for job in jobs if method not in job.fused) for method in folders},
        unmatched={method: files for method, (_, files) in matches.items()},
        unmatched_infrared=pairing.unmatched_infrared,
        unmatched_visible=pairing.unmatched_visible,
        seconds=time.perf_counter() - started,
    )


def choose_metrics(metrics: Chosen, convention: str) -> tuple[str, ...]:
    """Symbols of ``metrics``, each once. Raises ``MetricError`` for what is unknown or not defined."""
    defined = tuple(symbol for symbol in METRICS if symbol in get_convention(convention).definitions)
    if metrics is None:
        return tuple(symbol for symbol in HEADLINE if symbol in defined) or defined
    if metrics == "all":
        return defined
    wanted = [word.strip() for word in metrics.split(",")] if isinstance(metrics, str) else metrics
    if not wanted:
        raise MetricError(f"no metric is chosen; convention {convention} defines {', '.join(defined)}")
    for symbol in wanted:
        get_definition(symbol, convention)
    return tuple(dict.fromkeys(wanted))


@dataclass(frozen=True)
class _Job:
    """A pair, and what methods made of it."""

    pair: Pair
    fused: Mapping[str, Path]


@dataclass(frozen=True)
class Scorer:
    """What to compute, checked. ``ranges`` are those that the caller gives for both sources."""

    metrics: tuple[str, ...]
    convention: str
    ranges: Ranges
    max_pixels: int
    rig: Rig | None = None
    view: View = ALL

    @classmethod
    def of(
        cls,
        metrics: Chosen,
        convention: str,
        range_: RangeLike | None,
        max_pixels: int,
        visible_range: RangeLike | None = None,
        rig: RigLike = None,
        view: View = ALL,
    ) -> Scorer:
        """Check the arguments of ``score``."""
        ranges = (
            None if range_ is None else as_range(range_),
            None if visible_range is None else as_range(visible_range),
        )
        cameras = None if rig is None else read_rig(rig)
        return cls(choose_metrics(metrics, convention), convention, ranges, max_pixels, cameras, view)

    def read_sources(self, pair: Pair) -> Sources:
        """Infrared and visible picture of a pair; raises what ``score`` raises."""
        views = (pair.infrared, self.view), (pair.visible, self.view.of_visible)
        return self.sources(*(inputs.read(path, self.max_pixels, view=view) for path, view in views))

    def sources(self, infrared: Stored, visible: Stored) -> Sources:
        """The same of pictures that are read."""
        return Sources(infrared, visible, get_convention(self.convention).gray, self.rig)

    def score_file(self, method: str, image: str, path: Path, sources: Sources) -> ImageScores:
        """Score a fused file as its metadata say; raises what ``score`` raises."""
        return self.score(method, image, inputs.read(path, self.max_pixels), sources, stored_settings(path))

    def score(self, method: str, image: str, fused: Stored, sources: Sources, fused_by: FusedBy) -> ImageScores:
        """Score a fused picture; ``fused_by`` is how it is known to be fused."""
        sources.check_alignment(fused, fused_by)
        infrared, visible = (sources.seen(i, self.ranges[i], fused_by) for i in range(2))
        values = self.values(sources.common(fused), infrared.image, visible.image)
        return ImageScores(method, image, values, infrared.range, visible.range)

    def values(self, fused: Stored, infrared: ScoredImage, visible: ScoredImage) -> dict[str, float]:
        """Value under each symbol; the mean over the channels where the convention scores them one by one."""
        check_size(fused, visible.stored)
        image = ScoredImage(fused, visible.gray)
        triples = zip(*(one.pictures(image.channels) for one in (image, infrared, visible)), strict=True)
        # Not inference mode: windows that are made once and kept would be useless for gradients later.
        with torch.no_grad():
            scores = [score_images(f, a, b, 255, self.metrics, self.convention) for f, a, b in triples]
        return {symbol: sum(one[symbol].item() for one in scores) / len(scores) for symbol in self.metrics}


@contextmanager
def _pool(workers: int | None) -> Iterator[ThreadPoolExecutor]:
    """Threads that score pairs side by side, with one thread each for torch and OpenCV.

    Threads serve as well as processes: the time is spent in torch, OpenCV and decoders, which let others run.
    """
    torch_threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    pool = ThreadPoolExecutor(min(torch_threads, _MOST_WORKERS) if workers is None else max(1, workers))
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield pool
    finally:
        # After Ctrl-C nothing new begins.
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(opencv_threads)


def _score_pairs(
    scorer: Scorer, jobs: Sequence[_Job], workers: int | None, progress: Callable[[Progress], None]
) -> list[ImageScores | Failure]:
    results: list[ImageScores | Failure] = []
    progress(Progress(0, len(jobs)))
    with _pool(workers) as pool:
        for done, outcome in enumerate(pool.map(partial(_score_pair, scorer), jobs)):
            results += outcome
            progress(Progress(done + 1, len(jobs), jobs[done].pair.name))
    return results


def _score_pair(scorer: Scorer, job: _Job) -> list[ImageScores | Failure]:
    """Score what all methods made of a pair; whatever goes wrong is the failure of one picture or of the pair."""
    try:
        sources = scorer.read_sources(job.pair)
    except Exception as error:
        return [Failure("", job.pair.name, describe_failure(error, job.pair.visible))]
    return [_score_file(scorer, method, job.pair.name, path, sources) for method, path in job.fused.items()]


def _score_file(scorer: Scorer, method: str, image: str, path: Path, sources: Sources) -> ImageScores | Failure:
    try:
        return scorer.score_file(method, image, path, sources)
    except Exception as error:
        return Failure(method, image, describe_failure(error, path))


def _load(picture: AnyPicture, side: str, max_pixels: int, view: View) -> Stored:
    pictures = inputs.load(picture, side, max_pixels, view=view).pictures
    if len(pictures) > 1:
        raise ImageError(
            f"{side}: a batch of {len(pictures)} pictures; score one triple at a time, or a batch by "
            "imfuse.metrics.score_images"
        )
    return pictures[0]


def _by_name(fused: PathLike | Mapping[str, PathLike]) -> dict[str, Path]:
    if not isinstance(fused, Mapping):
        return {Path(fused).resolve().name or "fused": Path(fused)}
    if not fused:
        raise MetricError("no fused pictures are given to score")
    return {name: Path(path) for name, path in fused.items()}
