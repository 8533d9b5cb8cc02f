"""What finds objects, from whichever file: a detector of others (ONNX), or one of ours (safetensors)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt
import torch

from imfuse.core.boxes import Boxes
from imfuse.core.errors import ModelError
from imfuse.core.safetensors_file import SAFETENSORS
from imfuse.core.text import printable
from imfuse.tasks.detect.boxing import checked_threshold
from imfuse.tasks.detect.detector import Detector
from imfuse.tasks.detect.file import load_detector

COLOURS = 3


class Finder(Protocol):
    """Finds objects in pictures: a ``Detector``, a ``TrainedDetector``, or a class of yours.

    Example:
        ```python
        class Nothing:
            names, fingerprint = ("person",), "nothing 1"

            def find(self, picture):
                return Boxes.of([], [])


        detect_fused(Nothing(), "fused/", "found/")
        ```
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Its classes, by number."""

    @property
    def fingerprint(self) -> str:
        """A text that is another one wherever other boxes may be found."""

    def find(self, picture: npt.NDArray[Any]) -> Boxes:
        """Find the objects of one picture.

        Args:
            picture: (H, W) or (H, W, 3) RGB uint8.

        Returns:
            The boxes, the surest first.
        """


def open_detector(
    file: str | os.PathLike[str],
    layout: str = "auto",
    names: Sequence[str] | str | os.PathLike[str] | None = None,
    threshold: float = 0.05,
    size: int | None = None,
    threads: int | None = None,
) -> Finder:
    """Open the file of a detector: ``.safetensors`` of ``imfuse train detector``, else ONNX.

    Args:
        file: the file.
        layout: of ONNX files, as for ``Detector``.
        names: of ONNX files, the same.
        threshold: the smallest score of a box.
        size: of ONNX files, as for ``Detector``.
        threads: of the network; of PyTorch as a whole for a detector of ours.

    Returns:
        The detector.

    Raises:
        ModelError: the file is no ONNX file of a known layout, or a setting cannot be used, or not with this file.
        WeightsError: it is no file of ``imfuse train detector``.
        ImfuseError: onnxruntime is not installed.

    Example:
        ```python
        boxes = open_detector("runs/detector/detector.safetensors").find(picture)
        ```
    """
    path = Path(file)
    if path.suffix.lower() != SAFETENSORS:
        return Detector(file, layout, names, threshold, size, threads)
    given = {"layout": None if layout == "auto" else layout, "names": names, "size": size}
    for setting, value in given.items():
        if value is not None:
            shown = str(value) if isinstance(value, os.PathLike) else value
            raise ModelError(f"{printable(path)}: a detector that imfuse trained; {setting}={shown!r} is of ONNX files")
    if threads is not None:
        torch.set_num_threads(threads)
    trained = load_detector(path, checked_threshold(threshold))
    if trained.network.channels != COLOURS:
        raise ModelError(
            f"{printable(path)}: looks at {trained.network.channels} channels; pictures of {COLOURS} are searched",
            "train it without infrared as a channel",
        )
    return trained
