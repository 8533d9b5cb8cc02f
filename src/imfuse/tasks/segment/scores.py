"""How well classes are found: one confusion matrix over all pictures, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
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
        (classes,) float64, from 0 to 1; nan for a class that neither the labels nor the predictions have. Of several
        matrices (..., classes, classes) it is (..., classes), and so are the other scores.

    Example:
        >>> intersection_over_union(torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]])).tolist()
        [0.5, 0.5, nan]
    """
    counts = counts.double()
    right = counts.diagonal(dim1=-2, dim2=-1)
    return right / (counts.sum(-2) + counts.sum(-1) - right)


def class_accuracy(counts: Tensor) -> Tensor:
    """Share of the pixels of each class that were found, its recall.

    Args:
        counts: a confusion matrix, (classes, classes).

    Returns:
        (classes,) float64, from 0 to 1; nan for a class that the labels do not have.

    Example:
        >>> class_accuracy(torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]])).tolist()
        [0.5, 1.0, nan]
    """
    counts = counts.double()
    return counts.diagonal(dim1=-2, dim2=-1) / counts.sum(-1)


def mean_iou(counts: Tensor, *, background: bool = True) -> Tensor:
    """Mean of :func:`intersection_over_union` over the classes that occur.

    Args:
        counts: a confusion matrix, (classes, classes).
        background: whether class 0, what has no label of its own in MSRS and MFNet, counts as one of them.

    Returns:
        A number, float64; nan where no pixel has a label.

    Example:
        >>> mean_iou(torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]])).item()
        0.5
    """
    return torch.nanmean(intersection_over_union(counts)[..., 0 if background else 1 :], dim=-1)


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
    return counts.diagonal(dim1=-2, dim2=-1).sum(-1) / counts.sum((-2, -1))


def bootstrap_interval(each: Tensor, score: Callable[[Tensor], Tensor], draws: int = 1000) -> tuple[Tensor, Tensor]:
    """Ends of the 95 % percentile bootstrap interval of a score: pictures are drawn anew, their matrices summed.

    Args:
        each: the confusion matrix of each picture, (pictures, classes, classes).
        score: of a matrix, such as :func:`mean_iou`.
        draws: how often as many pictures are drawn, with a fixed seed.

    Returns:
        The lower and the upper end, in the shape of the score; nan where fewer than two pictures are given, or where no
        draw has the class.

    Example:
        >>> each = torch.tensor([[[4, 0], [0, 4]], [[4, 0], [4, 0]]])
        >>> [round(end.item(), 3) for end in bootstrap_interval(each, mean_iou)]
        [0.25, 1.0]
    """
    if len(each) < 2:
        none = torch.full_like(score(each.sum(0)), torch.nan)
        return none, none
    drawn = drawn_matrices(each, draws)
    low, high = torch.nanquantile(score(drawn), drawn.new_tensor([0.025, 0.975]), dim=0)
    return low, high


def drawn_matrices(each: Tensor, draws: int = 1000) -> Tensor:
    """Confusion matrices of draws of the pictures with replacement; the same draws for as many pictures.

    Args:
        each: the confusion matrix of each picture, (pictures, classes, classes).
        draws: how often as many pictures are drawn, with a fixed seed.

    Returns:
        (draws, classes, classes) float64.

    Example:
        >>> drawn_matrices(torch.ones(3, 2, 2), draws=2).sum((1, 2)).tolist()
        [12.0, 12.0]
    """
    pictures = len(each)
    times = np.random.default_rng(0).multinomial(pictures, np.full(pictures, 1 / pictures), size=draws)
    return (torch.from_numpy(times).double() @ each.flatten(1).double()).view(draws, *each.shape[1:])
