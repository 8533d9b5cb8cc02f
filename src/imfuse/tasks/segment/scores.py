"""How well classes are found: one confusion matrix over all pictures, and what follows from it."""

from __future__ import annotations

import torch
from torch import Tensor


def confusion_matrix(truth: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Count the pixels of each true class that were taken for each class.

    Args:
        truth: true class numbers, of any shape; pixels whose number is not below ``classes`` do not count.
        predicted: class numbers of the same shape, below ``classes``.
        classes: how many there are.

    Returns:
        (classes, classes) int64: rows are true classes, columns predicted ones.

    Example:
        >>> confusion_matrix(torch.tensor([0, 0, 1, 255]), torch.tensor([0, 1, 1, 0]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    labelled = truth < classes
    pairs = truth[labelled].long() * classes + predicted[labelled].long()
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


def intersection_over_union(counts: Tensor) -> Tensor:
    """Pixels that were rightly taken for a class, over those that are of it or were taken for it.

    Args:
        counts: a confusion matrix, (classes, classes).

    Returns:
        (classes,) float64, from 0 to 1; nan for a class that neither the labels nor the predictions have.

    Example:
        >>> intersection_over_union(torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]])).tolist()
        [0.5, 0.5, nan]
    """
    counts = counts.double()
    right = counts.diagonal()
    return right / (counts.sum(0) + counts.sum(1) - right)


def mean_iou(counts: Tensor) -> Tensor:
    """Mean of :func:`intersection_over_union` over the classes that occur.

    Args:
        counts: a confusion matrix, (classes, classes).

    Returns:
        A number, float64; nan where no pixel has a label.

    Example:
        >>> mean_iou(torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]])).item()
        0.5
    """
    return torch.nanmean(intersection_over_union(counts))


def pixel_accuracy(counts: Tensor) -> Tensor:
    """Share of the labelled pixels whose class was found.

    Args:
        counts: a confusion matrix, (classes, classes).

    Returns:
        A number, float64; nan where no pixel has a label.

    Example:
        >>> pixel_accuracy(torch.tensor([[1, 1, 0], [0, 2, 0], [0, 0, 0]])).item()
        0.75
    """
    counts = counts.double()
    return counts.diagonal().sum() / counts.sum()
