"""Segmentation scores of a validation. Needs ``imfuse[train]``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from imfuse.tasks.segment.scores import confusion_matrix, mean_iou, pixel_accuracy


class SegmentationScores(Metric):
    """Mean intersection over union and accuracy, of one confusion matrix over all pictures, on all processes.

    Pixels whose true class is not below ``classes``, such as 255, do not count; classes that neither labels nor
    predictions have are left out of the mean.

    Args:
        classes: how many there are.
        options: those of ``torchmetrics.Metric``.

    Example:
        >>> import torch
        >>> scores = SegmentationScores(3)
        >>> scores.update(torch.tensor([[0, 1, 1, 2]]), torch.tensor([[0, 0, 1, 255]]))
        >>> {name: round(value.item(), 3) for name, value in scores.compute().items()}
        {'mIoU': 0.5, 'accuracy': 0.667}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    counts: Tensor

    def __init__(self, classes: int, **options: Any) -> None:
        super().__init__(**options)
        self.classes = classes
        self.add_state("counts", torch.zeros(classes, classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add class numbers of pictures, both of one shape such as (N, H, W)."""
        self.counts += confusion_matrix(truth, predicted, self.classes)

    def compute(self) -> dict[str, Tensor]:
        """Both scores; nan where no pixel had a label."""
        return {"mIoU": mean_iou(self.counts), "accuracy": pixel_accuracy(self.counts)}
