"""What is made of pictures beside their true classes: a confusion matrix for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from imfuse.data.labels import read_classes
from imfuse.data.pairs import read_labels
from imfuse.imaging import check_same_size
from imfuse.imaging.inputs import Array
from imfuse.tasks.segment.scores import confusion_matrix


class Truths:
    """True classes of some of the pictures of a run. Threads may compare different pictures at the same time.

    Args:
        files: files of true classes by the names of the pictures.
        classes: how many there are.
    """

    def __init__(self, files: Mapping[str, Path], classes: int) -> None:
        self.files, self.classes = files, classes
        self._matrices: dict[str, Tensor] = {}

    def compare(self, name: str, target: Path, found: Array | None) -> None:
        """Count what was found in a picture, where its true classes are known.

        ``found`` are class numbers (H, W), those of the file ``target`` where it is ``None``. Raises ``ImageError`` or
        ``PairError``.
        """
        truth = self.files.get(name)
        if truth is None:
            return
        labels = read_classes(truth, self.classes)
        predicted = read_labels(target) if found is None else found
        why = "labels are of every pixel of the visible picture"
        check_same_size(labels.shape, predicted.shape, truth, target, why)
        matrix = confusion_matrix(torch.from_numpy(labels), torch.from_numpy(predicted), self.classes)
        self._matrices[name] = matrix

    def matrices(self, names: list[str]) -> Tensor:
        """Confusion matrices of these pictures, (pictures, classes, classes), without those that none is known of."""
        known = [self._matrices[name] for name in names if name in self._matrices]
        return torch.stack(known) if known else torch.zeros(0, self.classes, self.classes, dtype=torch.int64)
