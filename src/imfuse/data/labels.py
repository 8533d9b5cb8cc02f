"""True classes of pictures: found in a folder or a data set, and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imfuse.core.errors import ImageError, PairError
from imfuse.core.text import printable
from imfuse.data.layouts import Part, find_labels
from imfuse.data.pairs import UNLABELLED, label_files, read_labels


def labels_of(folder: Path, part: Part = "test", *, recursive: bool = False) -> dict[str, Path]:
    """Files of true classes by the names of their pictures.

    Args:
        folder: of PNG files, or a data set in the layout of MSRS or of MFNet, which has folders of labels.
        part: the part of the data set that is meant.
        recursive: look into the sub-folders of the labels as well.

    Returns:
        The files, those of the part alone where the set lists its parts.

    Raises:
        PairError: there are none.

    Example:
        ```python
        labels_of(Path("msrs"))  # those in msrs/test/Segmentation_labels
        ```
    """
    found, names = find_labels(folder, part)
    files = label_files(found, recursive)
    chosen = {name: path for name, path in files.items() if names is None or name.rpartition("/")[2] in names}
    if not chosen:
        raise PairError(
            f"{printable(found)}: no labels there; PNG files of class numbers, named as the pairs, are expected"
        )
    return chosen


def read_classes(path: Path, classes: int) -> NDArray[np.uint8]:
    """Class numbers of a file, (H, W) uint8, below ``classes`` or 255 for unknown. Raises ``ImageError``."""
    labels = read_labels(path)
    if odd := np.unique(labels[(labels >= classes) & (labels != UNLABELLED)]).tolist():
        some = ", ".join(map(str, odd[:5]))
        raise ImageError(
            f"{printable(path)}: class {some}, but {classes} classes are known; 0 to {classes - 1}, and "
            f"{UNLABELLED} for unknown, are expected"
        )
    return labels
