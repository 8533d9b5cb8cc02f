"""What scores of one run and of several seeds say of a row: means, spreads, intervals, and differences of two rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from torch import Tensor

from imfuse.benchmark.tasks.results import Difference, Interval, Measure
from imfuse.core.boxes import Boxes
from imfuse.metrics.detection import CONFIDENCE, DRAWS, drawn_precision
from imfuse.tasks.segment.scores import drawn_matrices, intersection_over_union

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """Scores of one seed: of all pictures, (measures,), and of each draw of them, (measures, draws).

    Draws are those of all runs on as many pictures, so that differences are paired.
    """

    values: Float
    drawn: Float


def detection_run(found: Sequence[Boxes], known: Sequence[Boxes], classes: Sequence[str]) -> Run:
    """Of boxes: measures are those of :func:`detection_measures`."""
    table = drawn_precision(found, known, len(classes), DRAWS)
    # The mean over classes first, and AP@0.5 before AP@[0.5, 0.95].
    rows = np.concatenate([table[-1:], table[:-1]]).transpose(2, 0, 1).reshape(2 * len(table), -1)
    ordered = rows[_interleaved(len(table))]
    return Run(ordered[:, 0], ordered[:, 1:])


def detection_measures(classes: Sequence[str]) -> list[str]:
    """Names of the measures of detection, both means first."""
    return ["mAP50", "mAP", *(f"{kind} {name}" for kind in ("AP50", "AP") for name in classes)]


def _interleaved(rows: int) -> list[int]:
    """From AP@0.5 of the mean and all classes, then AP likewise, to both means and then the classes."""
    return [0, rows, *range(1, rows), *range(rows + 1, 2 * rows)]


def segmentation_run(counts: Tensor, night: Sequence[bool | None]) -> Run:
    """Of confusion matrices (pictures, classes, classes): measures are those of :func:`segmentation_measures`."""
    values = [_overlaps(counts.sum(0)[None])]
    if len(counts) > 1:
        values.append(_overlaps(drawn_matrices(counts, DRAWS)))
    for wanted in (True, False) if _both(night) else ():
        chosen = counts[[one is wanted for one in night]]
        drawn = drawn_matrices(chosen, DRAWS) if len(chosen) > 1 else None
        # Of these pictures alone: draws of them are others than those of all.
        parts = [_overlaps(chosen.sum(0)[None])[:, :1]] + ([] if drawn is None else [_overlaps(drawn)[:, :1]])
        both = zip(values, _filled(parts, values), strict=True)
        values = [np.concatenate([whole, part], axis=1) for whole, part in both]
    return Run(values[0][0], values[1].T if len(values) > 1 else np.zeros((values[0].shape[1], 0)))


def segmentation_measures(classes: Sequence[str], night: Sequence[bool | None]) -> list[str]:
    """Names of the measures of segmentation, both means first."""
    parts = ["mIoU by night", "mIoU by day"] if _both(night) else []
    return ["mIoU", "mIoU of objects", *(f"IoU {name}" for name in classes), *parts]


def _both(night: Sequence[bool | None]) -> bool:
    return True in night and False in night


def _filled(parts: list[Float], values: list[Float]) -> list[Float]:
    """A single picture is not drawn: nan."""
    missing = [np.full((len(one), 1), math.nan) for one in values[len(parts) :]]
    return [*parts, *missing]


def _overlaps(counts: Tensor) -> Float:
    """Of (N, classes, classes): mean with background, mean without, then each class, (N, 2 + classes)."""
    each = intersection_over_union(counts)
    means = [each.nanmean(-1), each[:, 1:].nanmean(-1)]
    return np.asarray(torch.cat([torch.stack(means, -1), each], -1).numpy(), np.float64)


def measures_of(
    names: Sequence[str], runs: Mapping[str, Sequence[Run]], row: str, references: Sequence[str]
) -> dict[str, Measure]:
    """Everything that is said of a row.

    Args:
        names: of the measures.
        runs: of every row, one for each seed; a row of another number of seeds is compared by its first.
        row: that is meant.
        references: rows that it is compared with.

    Returns:
        A measure for each name.
    """
    own = runs[row]
    others = {name: runs[name] for name in references if name != row}
    measures = {}
    for i, name in enumerate(names):
        values = np.array([run.values[i] for run in own])
        measures[name] = Measure(
            value=_number(values.mean()),
            spread=_number(values.std(ddof=1)) if len(values) > 1 else None,
            pictures=percentiles(_drawn(own, i)),
            differences={other: _difference(own, theirs, i) for other, theirs in others.items()},
        )
    return measures


def _difference(own: Sequence[Run], other: Sequence[Run], i: int) -> Difference:
    paired = len(own) == len(other)
    gains = np.array([mine.values[i] - theirs.values[i] for mine, theirs in zip(own, other, strict=False)])
    means = [np.mean([run.values[i] for run in runs]) for runs in (own, other)]
    mean = gains.mean() if paired else means[0] - means[1]
    several = max(len(own), len(other)) > 1
    return Difference(
        value=_number(mean),
        pictures=percentiles(_drawn(own, i) - _drawn(other, i)),
        seeds=student(gains) if several else None,
    )


def _drawn(runs: Sequence[Run], i: int) -> Float:
    """A measure in each draw of the pictures, in the mean over seeds, as its value is."""
    return np.asarray(np.mean([run.drawn[i] for run in runs], axis=0), np.float64)


def percentiles(drawn: Float) -> Interval:
    """The middle 95 % of what draws gave."""
    defined = drawn[np.isfinite(drawn)]
    if not len(defined):
        return Interval(low=None, high=None)
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(defined, (tail, 100 - tail))
    return Interval(low=float(low), high=float(high))


def student(gains: Float) -> Interval:
    """Student's 95 % interval of the mean of differences of equal seeds; none of fewer than two.

    >>> student(np.array([0.01, 0.03])).excludes_zero
    False
    """
    if len(gains) < 2 or not np.isfinite(gains).all():
        return Interval(low=None, high=None)
    half = stats.t.ppf(0.5 + CONFIDENCE / 200, len(gains) - 1) * gains.std(ddof=1) / math.sqrt(len(gains))
    return Interval(low=float(gains.mean() - half), high=float(gains.mean() + half))


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
