"""A detector of others, from an ONNX file."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imfuse.core.boxes import Boxes
from imfuse.core.errors import ImageError, ImfuseError, ModelError, first_line
from imfuse.core.files import read_input
from imfuse.core.text import one_line, printable, shortened
from imfuse.metrics.detection_protocols import COCO
from imfuse.tasks.detect.boxing import as_boxes, as_input, checked_threshold
from imfuse.tasks.detect.layouts import Float, Size, recognise
from imfuse.tasks.detect.onnx_file import MAX_BYTES, check_onnx

_TYPES: dict[str, type[np.floating[Any]]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_USUAL_SIZE, _LARGEST_SIZE = 640, 8192
_MOST_NAMES, _LONGEST_NAMES = 10_000, 1 << 20
# Rounding may take a sigmoid a little beyond 1.
_SLACK = 1e-3


class Detector:
    """A detector of objects in pictures, from an ONNX file that its trainer exported; needs ``imfuse[detect]``.

    It runs on the processor, and gives the same boxes each time. The file is a program that somebody wrote: it cannot
    touch other files, but may take long or much memory.

    Args:
        file: the ONNX file, all weights in it, at most 1 GiB.
        layout: what its outputs mean, one of ``imfuse.tasks.detect.layouts.LAYOUTS``; "auto" goes by their shapes.
        names: its classes in their order, or a text file with one a line. Left out: those that the file tells, as
            Ultralytics writes them, or COCO's for 80 classes, else their numbers.
        threshold: the smallest score of a box.
        size: side of the square that pictures are brought to, for a file that takes any; by default what the file
            tells, or 640.
        threads: of the network; by default all cores.

    Raises:
        ModelError: the file is missing, is no ONNX file or a damaged one, keeps weights elsewhere, takes or returns
            other things than a detector of a known layout does, or another setting cannot be used.
        ImfuseError: onnxruntime is not installed.

    Example:
        ```python
        detector = Detector("yolo11n.onnx", threshold=0.25)
        boxes = detector.find(picture)
        print([detector.names[number] for number in boxes.classes], boxes.corners)
        ```
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        layout: str = "auto",
        names: Sequence[str] | str | os.PathLike[str] | None = None,
        threshold: float = 0.05,
        size: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.file = printable(Path(file))
        self.threshold = checked_threshold(threshold)
        data = read_input(file, ModelError, "an ONNX file", MAX_BYTES, fixed=True)
        check_onnx(data, self.file)
        self._session = self._open(data, threads)
        told, inputs = self._described()
        self._input, self._type, self.size = self._checked_input(inputs, size, told)
        given = _names_of(told, self.file) if names is None else _given_names(names)
        shapes = [output.shape for output in self._run(np.zeros((1, 3, *self.size), np.float32))]
        try:
            self.layout, classes = recognise(shapes, self.size, None if given is None else len(given), layout)
        except ModelError as error:
            raise ModelError(f"{self.file}: {error.message}", *error.advice) from None
        usual = COCO if classes == len(COCO) else tuple(map(str, range(classes)))
        self.names: tuple[str, ...] = usual if given is None else given
        settings = [self.layout.name, self.names, self.threshold, self.size]
        self.fingerprint = hashlib.sha256(hashlib.sha256(data).digest() + json.dumps(settings).encode()).hexdigest()

    def __repr__(self) -> str:
        name, size = Path(self.file).name, f"{self.size[1]}x{self.size[0]}"
        return f"{type(self).__name__}({name!r}, layout={self.layout.name!r}, {len(self.names)} classes, {size})"

    def find(self, picture: npt.NDArray[Any]) -> Boxes:
        """Find the objects of one picture.

        Args:
            picture: (H, W) or (H, W, 3) RGB; uint8, or floating in [0, 1].

        Returns:
            At most 300 boxes, the surest first; ``names`` has the names of their classes.

        Raises:
            ImageError: the picture is of another shape or type, or has other values.
            ModelError: the detector fails, or returns what is no boxes.
        """
        _check_picture(picture)
        given, placement = as_input(picture, self.size, self.layout)
        corners, scores = self.layout.decode(self._run(given), self.size)
        if not (np.isfinite(corners).all() and np.isfinite(scores).all()):
            raise ModelError(f"{self.file}: returns NaN or infinite values for a picture")
        if scores.size and not -_SLACK <= scores.min() <= scores.max() <= 1 + _SLACK:
            raise ModelError(
                f"{self.file}: scores from {scores.min():.3g} to {scores.max():.3g} where layout {self.layout.name} "
                "has them from 0 to 1",
                "say which it is, layout=...",
            )
        return as_boxes(corners, np.clip(scores, 0, 1), placement, self.threshold, self.layout.nms)

    def _open(self, data: bytes, threads: int | None) -> Any:
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise ImfuseError("a detector needs another package: pip install 'imfuse[detect]'") from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # it would print beside our one line
        options.intra_op_num_threads = threads or 0
        options.inter_op_num_threads = 1
        try:
            # It would print, and try once more.
            return onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"], enable_fallback=0)
        except Exception as error:
            raise ModelError(f"{self.file}: onnxruntime cannot open it ({_reason(error)})") from error

    def _run(self, given: Float) -> list[Float]:
        try:
            outputs = self._session.run(None, {self._input: given.astype(self._type)})
        except Exception as error:
            size = f"{given.shape[3]}x{given.shape[2]}"
            raise ModelError(f"{self.file}: fails on an input of {size} ({_reason(error)})") from error
        kinds = {getattr(output, "dtype", np.dtype(object)).kind for output in outputs}
        if kinds != {"f"}:
            raise ModelError(f"{self.file}: outputs of floating numbers are expected, as networks have them")
        return [output.astype(np.float32) for output in outputs]

    def _described(self) -> tuple[Mapping[str, str], Sequence[tuple[str, list[Any], str]]]:
        """What the file tells about itself, and name, shape and type of its inputs."""
        try:
            told = self._session.get_modelmeta().custom_metadata_map
            return told, [(one.name, list(one.shape), one.type) for one in self._session.get_inputs()]
        except UnicodeDecodeError as error:
            raise ModelError(f"{self.file}: has names that are no text") from error

    def _checked_input(
        self, inputs: Sequence[tuple[str, list[Any], str]], size: int | None, told: Mapping[str, str]
    ) -> tuple[str, type[np.floating[Any]], Size]:
        if len(inputs) != 1:
            raise ModelError(f"{self.file}: one input, a picture, is expected, found {len(inputs)}")
        name, shape, kind = inputs[0]
        # A side that may have any length has a name, or nothing, for a number.
        fixed = [side if isinstance(side, int) and side > 0 else None for side in shape]
        if len(fixed) != 4 or fixed[0] not in (None, 1) or fixed[1] not in (None, 3) or kind not in _TYPES:
            found = shortened(f"{kind} ({', '.join(map(str, shape))})")
            raise ModelError(f"{self.file}: an input tensor(float) (1, 3, height, width) is expected, found {found}")
        sides = fixed[2], fixed[3]
        if size is not None and any(side not in (None, size) for side in sides):
            raise ModelError(f"{self.file}: takes pictures of {sides[1]}x{sides[0]} only, not size={size}")
        height, width = (side or wish for side, wish in zip(sides, _wished_size(size, told), strict=True))
        if max(height, width) > _LARGEST_SIZE:
            raise ModelError(f"{self.file}: an input of {width}x{height}, at most {_LARGEST_SIZE} are supported")
        return name, _TYPES[kind], (height, width)


def _reason(error: Exception) -> str:
    return shortened(one_line(first_line(error)), 200)


def _check_picture(picture: npt.NDArray[Any]) -> None:
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3) or 0 in picture.shape:
        raise ImageError(f"a picture (H, W) or (H, W, 3) is expected, found {picture.shape}")
    if picture.dtype == np.uint8:
        return
    if picture.dtype.kind != "f":
        raise ImageError(f"a picture of uint8, or floating in [0, 1], is expected, found {picture.dtype}")
    if not (picture.min() >= 0 and picture.max() <= 1):  # NaN neither
        raise ImageError("a floating picture in [0, 1] is expected, found other values")


def _wished_size(size: int | None, told: Mapping[str, str]) -> Size:
    """Of an input that may have any: what is asked for, what the file tells (``imgsz``), or the usual one."""
    if size is not None:
        if size < 1:
            raise ModelError(f"size={size}: a number of pixels is expected")
        return size, size
    stored = _literal(told.get("imgsz", ""))
    if isinstance(stored, list) and len(stored) == 2 and all(isinstance(side, int) and side > 0 for side in stored):
        return stored[0], stored[1]
    return _USUAL_SIZE, _USUAL_SIZE


def _names_of(told: Mapping[str, str], file: str) -> tuple[str, ...] | None:
    """Names of the classes as Ultralytics stores them, ``{0: 'person', ...}``; ``None`` where there are none."""
    if "names" not in told:
        return None
    stored = _literal(told["names"])
    if isinstance(stored, dict) and [*stored] == [*range(len(stored))]:
        stored = [*stored.values()]
    if not isinstance(stored, list) or not stored or not all(isinstance(name, str) for name in stored):
        raise ModelError(f"{file}: its names of classes cannot be read", "name them, names=...")
    return _checked_names(stored, file)


def _literal(text: str) -> object:
    if len(text) > _LONGEST_NAMES:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _given_names(names: Sequence[str] | str | os.PathLike[str]) -> tuple[str, ...]:
    return read_names(names) if isinstance(names, (str, os.PathLike)) else _checked_names(names, "names")


def read_names(file: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read names of classes, one a line.

    Args:
        file: a text file in UTF-8, such as ``classes.txt`` or ``coco.names``.

    Returns:
        The names in their order; empty lines at the end do not count.

    Raises:
        ModelError: the file cannot be read, or a line of it is empty.

    Example:
        ```python
        Detector("detector.onnx", names=read_names("classes.txt"))
        ```
    """
    data = read_input(file, ModelError, "a text file with a name on each line", _LONGEST_NAMES, fixed=True)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ModelError(f"{printable(Path(file))}: not a text file, a name on each line is expected") from None
    return _checked_names([line.strip() for line in text.strip().splitlines()], printable(Path(file)))


def _checked_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    if not 0 < len(names) <= _MOST_NAMES:
        raise ModelError(f"{where}: {len(names)} names of classes, 1 to {_MOST_NAMES} are expected")
    if "" in names:
        raise ModelError(f"{where}: line {[*names].index('') + 1} is empty, a name of a class is expected")
    return tuple(map(shortened, names))
