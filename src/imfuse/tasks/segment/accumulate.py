"""Segmentation scores of a validation."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from imfuse.data.pairs import UNLABELLED
from imfuse.tasks.segment.scores import mean_iou, pixel_accuracy


class SegmentationScores(MulticlassConfusionMatrix):
    """Mean intersection over union and accuracy, of one confusion matrix over all pictures.

    Pixels of 255 do not count; classes that neither labels nor predictions have are left out of the mean.

    >>> import torch
    >>> scores = SegmentationScores(3)
    >>> scores.update(torch.tensor([[0, 1, 1, 2]]), torch.tensor([[0, 0, 1, 255]]))
    >>> {name: round(value.item(), 3) for name, value in scores.compute().items()}
    {'mIoU': 0.5, 'accuracy': 0.667}
    """

    def __init__(self, classes: int, **options: Any) -> None:
        super().__init__(classes, ignore_index=UNLABELLED, validate_args=False, **options)

    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Both scores; nan where no pixel had a label."""
        return {"mIoU": mean_iou(self.confmat), "accuracy": pixel_accuracy(self.confmat)}
