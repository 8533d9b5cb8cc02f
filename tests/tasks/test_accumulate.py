"""Segmentation scores over many batches, beside those of torchmetrics."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.classification import MulticlassConfusionMatrix

import imfuse.tasks
from imfuse.tasks import segment
from imfuse.tasks.segment.accumulate import SegmentationScores
from imfuse.tasks.segment.scores import mean_iou, pixel_accuracy


@pytest.mark.parametrize("classes", [2, 9])
def test_batches_are_counted_as_torchmetrics_counts_them(classes: int) -> None:
    torch.manual_seed(0)
    ours, theirs = SegmentationScores(classes), MulticlassConfusionMatrix(classes, ignore_index=255)
    for size in (3, 1):
        predicted, truth = torch.randint(classes, (2, size, 12, 9)).unbind()
        truth[torch.rand(truth.shape) < 0.2] = 255
        ours.update(predicted, truth)
        theirs.update(predicted, truth)
    assert ours.counts.dtype == torch.int64
    assert torch.equal(ours.counts, theirs.compute())
    assert ours.compute() == {"mIoU": mean_iou(ours.counts), "accuracy": pixel_accuracy(ours.counts)}
    ours.reset()
    assert ours.counts.sum() == 0


def test_nothing_labelled_has_no_scores() -> None:
    scores = SegmentationScores(3)
    scores.update(torch.zeros(1, 4, 4, dtype=torch.int64), torch.full((1, 4, 4), 255))
    assert all(value.isnan() for value in scores.compute().values())


def test_packages_list_what_is_in_them() -> None:
    assert dir(imfuse.tasks) == ["detect", "segment"]
    assert imfuse.tasks.segment is segment
    assert dir(segment) == sorted(segment.__all__)
    assert all(getattr(segment, name).__name__ == name for name in segment.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Segmentor'"):
        segment.Segmentor  # noqa: B018
