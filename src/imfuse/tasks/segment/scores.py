"""How well classes are found: one confusion matrix over all pictures, and what follows from it."""

from __future__ import annotations

import torch
from torch import Tensor


def confusion_matrix(truth: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Numbers of pixels, (classes, classes) int64: rows are true classes, columns predicted ones.

    Both are class numbers of one shape. Pixels whose true class is not below ``classes`` do not count.

    >>> confusion_matrix(torch.tensor([0, 0, 1, 255]), torch.tensor([0, 1, 1, 0]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    known = truth < classes
    pairs = truth[known].long() * classes + predicted[known].long()
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


def intersection_over_union(counts: Tensor) -> Tensor:
    """Of each class, float64; nan for one that neither the labels nor the predictions have.

    >>> intersection_over_union(torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]])).tolist()
    [0.5, 0.5, nan]
    """
    counts = counts.double()
    right = counts.diagonal()
    return right / (counts.sum(0) + counts.sum(1) - right)


def mean_iou(counts: Tensor) -> Tensor:
    """Mean of :func:`intersection_over_union` over the classes that occur; nan where no pixel has a label."""
    return torch.nanmean(intersection_over_union(counts))


def pixel_accuracy(counts: Tensor) -> Tensor:
    """Share of the labelled pixels whose class was found; nan where no pixel has a label."""
    counts = counts.double()
    return counts.diagonal().sum() / counts.sum()
