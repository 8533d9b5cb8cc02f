"""Scores of confusion matrices, and their intervals over pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imfuse.tasks.segment.scores import (
    bootstrap_interval,
    class_accuracy,
    confusion_matrix,
    intersection_over_union,
    mean_iou,
    pixel_accuracy,
)


def some(pictures: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 50, (pictures, 4, 4)))


def test_scores_of_several_matrices_are_those_of_each() -> None:
    each = some(3)
    for score in (intersection_over_union, class_accuracy, mean_iou, pixel_accuracy):
        torch.testing.assert_close(score(each), torch.stack([score(one) for one in each]))


def test_the_background_can_be_left_out() -> None:
    counts = torch.tensor([[90, 0, 0], [5, 5, 0], [0, 0, 0]])
    assert mean_iou(counts).item() == pytest.approx((90 / 95 + 0.5) / 2)
    assert mean_iou(counts, background=False).item() == 0.5
    assert class_accuracy(counts)[:2].tolist() == [1, 0.5]
    assert class_accuracy(counts)[2].isnan()


def test_the_interval_resamples_pictures_and_sums_their_matrices() -> None:
    each = some(12)
    low, high = bootstrap_interval(each, mean_iou)
    times = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), size=1000)
    drawn = [mean_iou((each * torch.from_numpy(t)[:, None, None]).sum(0)).item() for t in times]
    assert (low.item(), high.item()) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    assert low < mean_iou(each.sum(0)) < high
    again = bootstrap_interval(each, mean_iou)
    assert again == (low, high)


def test_intervals_of_too_few_pictures_and_of_rare_classes() -> None:
    one = bootstrap_interval(some(1), intersection_over_union)
    assert all(end.isnan().all() and end.shape == (4,) for end in one)
    none = bootstrap_interval(some(0), mean_iou)
    assert none[0].isnan()
    rare = torch.zeros(5, 2, 2, dtype=torch.int64)
    rare[:, 0, 0] = 4
    rare[0, 1] = torch.tensor([1, 3])
    low, high = bootstrap_interval(rare, intersection_over_union)
    assert 0 < low[1] <= high[1] < 1, "of the draws that have it"


def test_published_confusion_of_random_logits() -> None:
    """Labels and logits by the formulas of the fact sheet."""
    y, x = np.mgrid[0:64, 0:80]
    first = (y // 8 + x // 10) % 9
    first[:4] = 255
    labels = torch.from_numpy(np.stack([first, first[:, ::-1]]))
    logits = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 9, 64, 80)).astype(np.float32))
    easy = 5 * torch.nn.functional.one_hot(labels.clamp(max=8), 9).permute(0, 3, 1, 2) + logits
    for scores, accuracy, overlap in ((easy, 0.99895833, 0.99790974), (logits, 0.11489583, 0.060911367)):
        counts = confusion_matrix(labels, scores.argmax(1), 9)
        assert pixel_accuracy(counts).item() == pytest.approx(accuracy, abs=1e-8)
        assert mean_iou(counts).item() == pytest.approx(overlap, abs=1e-8)
