"""How well boxes are found: average precision as COCO computes it, with bootstrap intervals over pictures.

Boxes of one class are matched picture by picture, the surest first, each to the free true box that it overlaps most.
Detections of all pictures in the order of their scores then give precision over recall; its upper envelope, read at 101
recalls, has the mean that is called average precision (AP). No crowds, no limits on areas, and at most 100 detections
of a class in a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imfuse.core.boxes import Boxes

Float = npt.NDArray[np.float64]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Intersections over union from which a box counts as found; AP@[0.5, 0.95] is the mean over all."""
DRAWS = 1000
CONFIDENCE = 95
_RECALLS = np.linspace(0, 1, 101)
_MOST_FOUND = 100
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Estimate:
    """A number of all pictures, and what it might have been of others.

    Args:
        value: nan where it is not defined.
        low: lower end of the 95 % percentile bootstrap interval: 1,000 draws of the pictures with replacement, with a
            fixed seed; nan for fewer than two pictures.
        high: its upper end.

    Example:
        >>> Estimate(0.42, 0.35, 0.5)
        Estimate(value=0.42, low=0.35, high=0.5)
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScores:
    """How well one class is found, or all of them in the mean.

    Args:
        name: of the class.
        truths: how many true boxes there are.
        ap50: average precision at an intersection over union of 0.5; nan where there is no true box.
        ap: mean over ``THRESHOLDS``, AP@[0.5, 0.95].

    Example:
        >>> ClassScores("Car", 47, Estimate(0.5, 0.3, 0.7), Estimate(0.25, 0.1, 0.4)).ap50.value
        0.5
    """

    name: str
    truths: int
    ap50: Estimate
    ap: Estimate


@dataclass(frozen=True)
class DetectionScores:
    """Average precision by class, and its mean over the classes that have true boxes.

    Args:
        classes: one of each class.
        mean: mAP@0.5 and mAP@[0.5, 0.95].
        pictures: how many there are.

    Example:
        >>> known = Boxes.of([[10, 20, 40, 90]], [0])
        >>> scores = score_boxes([known], [known], ["person", "car"])
        >>> [(one.name, one.truths, round(one.ap50.value, 3)) for one in scores.classes]
        [('person', 1, 1.0), ('car', 0, nan)]
        >>> round(scores.mean.ap.value, 3)
        1.0
    """

    classes: tuple[ClassScores, ...]
    mean: ClassScores
    pictures: int


def box_iou(first: npt.ArrayLike, second: npt.ArrayLike) -> Float:
    """Intersection over union of every box with every other.

    Args:
        first: corners, (N, 4): left, top, right, bottom.
        second: corners, (M, 4).

    Returns:
        (N, M), from 0 to 1; 0 where both are empty.

    Example:
        >>> box_iou([[0, 0, 2, 2]], [[1, 0, 3, 2], [5, 5, 6, 6]]).round(3).tolist()
        [[0.333, 0.0]]
    """
    a, b = (np.asarray(boxes, np.float64).reshape(-1, 4) for boxes in (first, second))
    sides = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2])
    shared = np.maximum(sides, 0).prod(2)
    areas = [np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1] - shared
    overlaps: Float = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return overlaps


def average_precision(
    found: Sequence[Boxes], known: Sequence[Boxes], classes: int, thresholds: npt.ArrayLike = THRESHOLDS
) -> Float:
    """Average precision of each class at each threshold.

    Args:
        found: detections, one entry for each picture.
        known: true boxes of the same pictures.
        classes: how many there are; boxes of others are left out.
        thresholds: intersections over union from which a box counts as found, (T,).

    Returns:
        (classes, T), from 0 to 1; nan for a class without true boxes.

    Source:
        The COCO detection challenge; equal to its evaluation program with ``maxDets`` 100 and all areas.

    Example:
        >>> known = [Boxes.of([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0])]
        >>> found = [Boxes.of([[0, 0, 10, 9]], [0], [0.8])]
        >>> average_precision(found, known, 1, [0.5, 0.95]).round(3).tolist()
        [[0.505, 0.0]]
    """
    steps = np.asarray(thresholds, np.float64).reshape(-1)
    once = np.ones((1, len(known)))
    return np.concatenate([_precision(_tally(found, known, one, steps), once) for one in range(classes)])


def score_boxes(
    found: Sequence[Boxes], known: Sequence[Boxes], classes: Sequence[str], draws: int = DRAWS
) -> DetectionScores:
    """Average precision with bootstrap intervals.

    Pictures are drawn with replacement, all their boxes together; a mean leaves out the classes that a draw has no true
    box of.

    Args:
        found: detections, one entry for each picture.
        known: true boxes of the same pictures.
        classes: names by number; boxes of other numbers are left out.
        draws: how often the pictures are drawn.

    Returns:
        The scores.

    Example:
        >>> known = [Boxes.of([[0, 0, 10, 10]], [0]), Boxes.of([[0, 0, 10, 10]], [0])]
        >>> found = [known[0], Boxes.of([], [])]
        >>> score_boxes(found, known, ["person"]).mean.ap50
        Estimate(value=0.504950495049505, low=0.0, high=1.0)
    """
    table = drawn_precision(found, known, len(classes), draws)
    truths = [sum(int((boxes.classes == number).sum()) for boxes in known) for number in range(len(classes))]
    scores = [_class_scores(*row) for row in zip(classes, truths, table, strict=False)]
    return DetectionScores(tuple(scores), _class_scores("mean", sum(truths), table[-1]), len(known))


def drawn_precision(found: Sequence[Boxes], known: Sequence[Boxes], classes: int, draws: int = DRAWS) -> Float:
    """Average precision of all pictures, and of each draw of them; draws are the same for as many pictures.

    That makes differences of detections of the same pictures paired: one table less the other.

    Args:
        found: detections, one entry for each picture.
        known: true boxes of the same pictures.
        classes: how many there are; boxes of other numbers are left out.
        draws: how often the pictures are drawn; fewer than two pictures are not.

    Returns:
        (classes + 1, 1 + draws, 2): each class and then their mean; all pictures and then each draw; at an intersection
        over union of 0.5, and the mean over ``THRESHOLDS``. nan without a true box.

    Example:
        >>> known = [Boxes.of([[0, 0, 10, 10]], [0]), Boxes.of([[0, 0, 10, 10]], [0])]
        >>> drawn_precision(known, known, 1, draws=2).round(3)[..., 0].tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    pictures = len(known)
    drawn = np.random.default_rng(0).integers(max(1, pictures), size=(draws if pictures > 1 else 0, pictures))
    counts = np.stack([np.bincount(row, minlength=pictures) for row in drawn]) if len(drawn) else drawn
    weights = np.concatenate([np.ones((1, pictures)), counts.astype(np.float64)])
    tallies = [_tally(found, known, number, THRESHOLDS) for number in range(classes)]
    table = np.stack([_summed_up(_precision(tally, weights)) for tally in tallies])
    return np.concatenate([table, _mean_of_classes(table)[None]])


@dataclass(frozen=True)
class _Tally:
    """Detections of one class in all pictures, the surest first.

    ``picture`` is the number of the picture of each; ``hits`` (T, N) says which of them are right at each threshold;
    ``truths`` counts the true boxes of each picture.
    """

    picture: npt.NDArray[np.int64]
    hits: npt.NDArray[np.bool_]
    truths: npt.NDArray[np.int64]


def _tally(found: Sequence[Boxes], known: Sequence[Boxes], number: int, thresholds: Float) -> _Tally:
    scores, pictures, hits, truths = [], [], [], []
    for picture, (some, all_) in enumerate(zip(found, known, strict=True)):
        own, true = some.where(some.classes == number), all_.where(all_.classes == number)
        own = own.where(np.argsort(-own.scores, kind="stable")[:_MOST_FOUND])
        scores.append(own.scores)
        pictures.append(np.full(len(own), picture))
        hits.append(_matched(box_iou(own.corners, true.corners), thresholds))
        truths.append(len(true))
    if not truths:
        return _Tally(np.zeros(0, np.int64), np.zeros((len(thresholds), 0), bool), np.zeros(0, np.int64))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return _Tally(np.concatenate(pictures)[order], np.concatenate(hits, axis=1)[:, order], np.array(truths))


def _matched(overlaps: Float, thresholds: Float) -> npt.NDArray[np.bool_]:
    """Which of the detections of a picture, the surest first, are right at each threshold: (T, N) of (N, M)."""
    found, known = overlaps.shape
    hits = np.zeros((len(thresholds), found), bool)
    free = np.ones((len(thresholds), known), bool)
    rows = np.arange(len(thresholds))
    for i in range(found if known else 0):
        possible = np.where(free, overlaps[i], -1)
        # Of several that overlap alike COCO's program takes the last.
        best = known - 1 - possible[:, ::-1].argmax(1)
        hits[:, i] = possible[rows, best] >= thresholds
        free[rows[hits[:, i]], best[hits[:, i]]] = False
    return hits


def _precision(tally: _Tally, weights: Float) -> Float:
    """Average precision where each picture counts so many times: (draws, T) of (draws, pictures).

    Precision falls with every wrong detection, so that its envelope has its steps at the right ones.
    """
    values = np.empty((len(weights), len(tally.hits)))
    step = max(1, _BLOCK // max(1, len(tally.picture)))
    for start in range(0, len(weights), step):
        part = weights[start : start + step]
        truths = part @ tally.truths
        counts = part[:, tally.picture]
        said = counts.cumsum(1)
        for i, hits in enumerate(tally.hits):
            right = counts[:, hits].cumsum(1)
            envelope = right / np.maximum(said[:, hits], 1)
            envelope = np.maximum.accumulate(envelope[:, ::-1], axis=1)[:, ::-1]
            recall = right / np.maximum(truths, 1)[:, None]
            # How many of the 101 recalls are reached by each right detection first.
            reached = np.diff(np.searchsorted(_RECALLS, recall, side="right"), axis=1, prepend=0)
            values[start : start + step, i] = (reached * envelope).sum(1) / len(_RECALLS)
        values[start : start + step][truths == 0] = np.nan
    return values


def _summed_up(precision: Float) -> Float:
    """At 0.5, and the mean over all thresholds: (draws, 2) of (draws, T)."""
    return np.stack([precision[:, 0], precision.mean(1)], axis=1)


def _mean_of_classes(table: Float) -> Float:
    defined = np.isfinite(table)
    with np.errstate(invalid="ignore"):
        # No class at all has no mean: 0/0.
        mean: Float = np.where(defined, table, 0).sum(0) / defined.sum(0)
    return mean


def _class_scores(name: str, truths: int, table: Float) -> ClassScores:
    return ClassScores(name, truths, _estimate(table[:, 0]), _estimate(table[:, 1]))


def _estimate(values: Float) -> Estimate:
    """Of the value of all pictures, and behind it that of each draw."""
    drawn = values[1:][np.isfinite(values[1:])]
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, (tail, 100 - tail)) if len(drawn) else (math.nan, math.nan)
    return Estimate(float(values[0]), float(low), float(high))
