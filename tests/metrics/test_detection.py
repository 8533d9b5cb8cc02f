"""Average precision: equal to COCO's evaluation, bootstrap intervals, protocols."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imfuse.core.boxes import Boxes
from imfuse.core.errors import MetricError
from imfuse.metrics.detection import THRESHOLDS, average_precision, box_iou, score_boxes
from imfuse.metrics.detection_protocols import COCO, PROTOCOLS, get_protocol

NONE = Boxes.of([], [])


def oracle(found: Sequence[Boxes], known: Sequence[Boxes], classes: int) -> np.ndarray:
    """AP by class and threshold of faster-coco-eval; nan for classes without true boxes."""
    coco = pytest.importorskip("faster_coco_eval")
    images = [{"id": i + 1, "width": 100, "height": 100} for i in range(len(known))]
    kinds = [{"id": c + 1, "name": str(c)} for c in range(classes)]
    entries: list[list[dict[str, object]]] = [[], []]
    for side, pictures in enumerate((known, found)):
        for i, boxes in enumerate(pictures):
            for (left, top, right, bottom), kind, score in zip(boxes.corners, boxes.classes, boxes.scores, strict=True):
                box = [float(left), float(top), float(right - left), float(bottom - top)]
                entry = {"id": len(entries[side]) + 1, "image_id": i + 1, "category_id": int(kind) + 1, "bbox": box}
                entries[side].append(entry | {"area": box[2] * box[3], "iscrowd": 0, "score": float(score)})
    truth = coco.COCO({"images": images, "categories": kinds, "annotations": entries[0]})
    if not entries[1]:
        present = {int(kind) for boxes in known for kind in boxes.classes}
        rows = [[0.0 if c in present else math.nan] * len(THRESHOLDS) for c in range(classes)]
        return np.array(rows)
    run = coco.COCOeval_faster(truth, truth.loadRes(entries[1]), "bbox")
    run.evaluate()
    run.accumulate()
    precision = np.asarray(run.eval["precision"])[:, :, :, 0, -1]  # (T, recalls, classes)
    return np.where(precision > -1, precision, np.nan).mean(1).T


def random_pictures(seed: int, pictures: int, classes: int, most: int) -> tuple[list[Boxes], list[Boxes]]:
    """True boxes, and detections that are near them, doubled, of another class, or nowhere near."""
    random = np.random.default_rng(seed)
    known, found = [], []
    for _ in range(pictures):
        number = random.integers(0, most + 1)
        start, side = random.integers(0, 60, (number, 2)), random.integers(1, 40, (number, 2))
        true = Boxes.of(np.concatenate([start, start + side], axis=1), random.integers(0, classes, number))
        picked = random.integers(0, number, random.integers(0, 2 * most + 1)) if number else np.zeros(0, int)
        moved = true.corners[picked] + random.integers(-3, 4, (len(picked), 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        kinds = np.where(random.random(len(picked)) < 0.8, true.classes[picked], random.integers(0, classes))
        known.append(true)
        # Few levels, so that many scores are equal.
        found.append(Boxes.of(moved, kinds, random.integers(1, 20, len(picked)) / 20))
    return found, known


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 3), st.integers(0, 8))
def test_equal_to_coco(seed: int, pictures: int, classes: int, most: int) -> None:
    found, known = random_pictures(seed, pictures, classes, most)
    ours = average_precision(found, known, classes)
    np.testing.assert_allclose(ours, oracle(found, known, classes), atol=1e-6)


def test_equal_to_coco_with_more_than_100_detections() -> None:
    found, known = random_pictures(1, 3, 1, 120)
    assert max(map(len, found)) > 100
    np.testing.assert_allclose(average_precision(found, known, 1), oracle(found, known, 1), atol=1e-6)


def test_draws_are_scores_of_repeated_pictures() -> None:
    found, known = random_pictures(3, 8, 2, 6)
    # Copies of equal scores have an order of their own.
    apart = np.random.default_rng(0)
    found = [Boxes(boxes.corners, boxes.classes, apart.random(len(boxes))) for boxes in found]
    scores = score_boxes(found, known, ["a", "b"], draws=200)
    drawn = np.random.default_rng(0).integers(8, size=(200, 8))
    means = []
    for row in drawn:
        row.sort()
        means.append(np.nanmean(average_precision([found[i] for i in row], [known[i] for i in row], 2)[:, 0]))
    low, high = np.percentile(means, (2.5, 97.5))
    assert (scores.mean.ap50.low, scores.mean.ap50.high) == pytest.approx((low, high))
    assert scores.mean.ap50.low < scores.mean.ap50.value < scores.mean.ap50.high


def test_absent_classes_are_left_out_and_found_in_vain_counts() -> None:
    known, wrong = Boxes.of([[0, 0, 9, 9]], [0]), Boxes.of([[0, 0, 9, 9]], [1], [0.9])
    scores = score_boxes([known, wrong], [known, NONE], ["a", "b", "c"])
    assert [one.ap50.value for one in scores.classes[1:]] == pytest.approx([math.nan, math.nan], nan_ok=True)
    assert scores.mean.ap.value == pytest.approx(1)
    assert score_boxes([wrong], [known], ["a", "b"]).mean.ap50.value == 0
    both = Boxes.of([[50, 50, 60, 60], [0, 0, 9, 9]], [0, 0], [0.9, 0.8])
    assert score_boxes([both], [known], ["a"]).mean.ap50.value == pytest.approx(0.5)


def test_one_picture_has_no_interval_and_none_has_no_score() -> None:
    known = Boxes.of([[0, 0, 9, 9]], [0])
    one = score_boxes([known], [known], ["a"]).mean.ap50
    assert (one.value, math.isnan(one.low), math.isnan(one.high)) == (1, True, True)
    assert math.isnan(score_boxes([], [], ["a"]).mean.ap.value)
    assert math.isnan(score_boxes([known], [NONE], ["a"]).mean.ap.value)


def test_overlaps_of_empty_and_touching_boxes() -> None:
    boxes = [[0, 0, 2, 2], [2, 0, 4, 2], [1, 1, 1, 1], [0, 0, 2, 1]]
    assert box_iou(boxes, boxes).tolist() == [[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 0, 0], [0.5, 0, 0, 1]]


def test_protocols_name_classes_as_detectors_do() -> None:
    assert [
        get_protocol("m3fd6").class_of(name) for name in ("Person", "motor-bike", "traffic light", "MOTORBIKE")
    ] == [
        "People",
        None,
        None,
        "Motorcycle",
    ]
    assert get_protocol("m3fd6").lacking(COCO) == ("Lamp",)
    assert get_protocol("refinefuse").lacking(COCO) == ()
    assert len(set(COCO)) == 80
    for protocol in PROTOCOLS.values():
        assert {protocol.class_of(name) for name in protocol.labels} >= set(protocol.classes)


def test_a_protocol_scores_its_classes_alone() -> None:
    """Numbers of COCO's classes in detections, of M3FD's in labels."""
    known = Boxes.of([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9], [60, 0, 69, 9]], [0, 1, 3, 4])
    found = Boxes.of(known.corners[:3], [COCO.index("person"), COCO.index("truck"), COCO.index("car")])
    scores = get_protocol("refinefuse").score([found], [known], COCO)
    assert [(one.name, one.truths, one.ap50.value) for one in scores.classes[:2]] == [("People", 1, 1), ("Car", 1, 0)]
    assert scores.mean.ap50.value == 0.5
    six = get_protocol("m3fd6").score([found], [known], COCO)
    assert [one.name for one in six.classes if not math.isnan(one.ap.value)] == ["People", "Car", "Motorcycle"]


@pytest.mark.parametrize(
    ("names", "known", "message"),
    [
        (
            ["tree"],
            [0],
            r"protocol refinefuse: the detector has none of its classes \('People', 'Car', 'Bus'\); it has 'tree'",
        ),
        (["person"], [1], r"the labels of 1 pictures have no box of People$"),
        (["person"], [], "have no box of People$"),
    ],
)
def test_nothing_to_score_is_an_error(names: list[str], known: list[int], message: str) -> None:
    truth = Boxes.of([[0, 0, 9, 9]] * len(known), known)
    with pytest.raises(MetricError) as caught:
        get_protocol("refinefuse").score([NONE], [truth], names)
    assert re.search(message, caught.value.message)


def test_unknown_protocols_are_refused() -> None:
    with pytest.raises(MetricError, match="unknown protocol 'voc'; there are refinefuse, m3fd6, coco"):
        get_protocol("voc")
