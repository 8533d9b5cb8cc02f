"""What a detector's file wants to be given, and what it returns: one specification for each output layout.

N is the number of places or queries that a picture has in the network, C the number of classes. Boxes come back in
pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ModelError
from imfuse.metrics.detection_protocols import COCO

Float = npt.NDArray[np.float32]
Size = tuple[int, int]
Shape: TypeAlias = tuple[int, ...]
Decoded = tuple[Float, Float]
"""Corners (N, 4) in pixels of the input, and the score of each class (N, C), from 0 to 1."""

_IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_NANODET_STRIDES = (8, 16, 32)
_USUAL = len(COCO)


@dataclass(frozen=True)
class Layout:
    """How pictures go into a detector and what its outputs mean.

    Args:
        name: by which it is asked for.
        outputs: shapes of the outputs in words.
        classes: number of classes of outputs of such shapes, for an input of (height, width); ``None`` where the
            shapes are others.
        decode: corners and scores of outputs.
        nms: intersection over union from which of two boxes of one class the surer one alone is kept; ``None`` where
            the network returns each object once.
        letterbox: the aspect ratio is kept and the rest is padded; else the picture is stretched.
        centred: the padding is on both sides; else on the right and below.
        fill: level of the padding, of 255; ``None`` for the mean of each channel.
        mean: levels that are subtracted, of 255, in the order of the channels.
        deviation: what the rest is divided by.
        channels: their order.

    Example:
        >>> layout = LAYOUTS["yolov8"]
        >>> layout.classes([(1, 84, 8400)], (640, 640)), layout.letterbox, layout.nms
        (80, True, 0.7)
    """

    name: str
    outputs: str
    classes: Callable[[Sequence[Shape], Size], int | None]
    decode: Callable[[Sequence[Float], Size], Decoded]
    nms: float | None
    letterbox: bool = True
    centred: bool = True
    fill: float | None = 114
    mean: tuple[float, float, float] = (0, 0, 0)
    deviation: tuple[float, float, float] = (255, 255, 255)
    channels: Literal["RGB", "BGR"] = "RGB"


def recognise(shapes: Sequence[Shape], size: Size, classes: int | None, name: str = "auto") -> tuple[Layout, int]:
    """Find the layout of a detector.

    Args:
        shapes: those of its outputs.
        size: height and width of its input.
        classes: how many it has, where that is known.
        name: of the layout, or "auto".

    Returns:
        The layout, and the number of classes.

    Raises:
        ModelError: no layout fits, several do, or that of the name does not.

    Example:
        >>> layout, classes = recognise([(1, 25200, 85)], (640, 640), None)
        >>> layout.name, classes
        ('yolov5', 80)
    """
    if name != "auto" and name not in LAYOUTS:
        raise ModelError(f"layout={name!r} is not known; there are auto, {', '.join(LAYOUTS)}")
    tried = LAYOUTS.values() if name == "auto" else [LAYOUTS[name]]
    fits = possible = [(layout, number) for layout in tried if (number := layout.classes(shapes, size))]
    if classes is not None:
        fits = [fit for fit in possible if fit[1] == classes]
    elif len(fits) > 1:
        fits = [fit for fit in fits if fit[1] == _USUAL] or fits
    if len(fits) == 1:
        return fits[0]
    found = f"outputs of {' '.join(map(_text, shapes))}" + ("" if classes is None else f" for {classes} classes")
    if fits:
        names = ", ".join(layout.name for layout, _ in fits)
        raise ModelError(f"{found} may be of {names}", "say which it is, layout=...", "name its classes, names=...")
    known = "; ".join(f"{layout.name} {layout.outputs}" for layout in tried)
    raise ModelError(f"{found} are of no layout that is known: {known}", *_advice(shapes, possible))


def _advice(shapes: Sequence[Shape], possible: Sequence[tuple[Layout, int]]) -> list[str]:
    """What helps where no layout fits: names for all classes that one would have, or another export."""
    # What is left by suppression: six or seven numbers of each box, or several outputs, counts and classes among them.
    left = shapes[0][2:] in ((6,), (7,)) if len(shapes) == 1 else any(len(shape) < 3 for shape in shapes)
    if left:
        return ["export it without suppression (nms)"]
    numbers = " or ".join(f"{number} as {layout.name}" for layout, number in possible)
    return [f"name all its classes, {numbers}, names=..."] if possible else []


def _yolov5_classes(shapes: Sequence[Shape], size: Size) -> int | None:
    # Its own export has the three maps, from which the first output comes, behind it.
    if not shapes or any(len(shape) != 5 for shape in shapes[1:]):
        return None
    return _single(shapes[0], 5, swapped=False)


def _yolov8_classes(shapes: Sequence[Shape], size: Size) -> int | None:
    return _single(shapes[0], 4, swapped=True) if len(shapes) == 1 else None


def _single(shape: Shape, others: int, swapped: bool) -> int | None:
    """Classes of one output of (1, N, others + C), or swapped of (1, others + C, N)."""
    if len(shape) != 3 or shape[0] != 1:
        return None
    width, places = shape[1:] if swapped else shape[:0:-1]
    return width - others if others < width <= places else None


def _yolov5(outputs: Sequence[Float], size: Size) -> Decoded:
    rows = outputs[0][0]
    return _corners(rows[:, :4]), rows[:, 5:] * rows[:, 4:5]


def _yolov8(outputs: Sequence[Float], size: Size) -> Decoded:
    rows = outputs[0][0].T
    return _corners(rows[:, :4]), rows[:, 4:]


def _nanodet_levels(shapes: Sequence[Shape], size: Size) -> list[tuple[int, int]]:
    """Which outputs are scores and distances at each stride; nothing where the shapes are others."""
    if len(shapes) != 2 * len(_NANODET_STRIDES) or any(len(shape) != 3 or shape[0] != 1 for shape in shapes):
        return []
    levels = []
    for stride in _NANODET_STRIDES:
        places = -(-size[0] // stride) * -(-size[1] // stride)
        own = [i for i, shape in enumerate(shapes) if shape[1] == places]
        if len(own) != 2 or shapes[own[1]][2] % 4 or shapes[own[1]][2] < 8:
            return []
        levels.append((own[0], own[1]))
    widths = {(shapes[scores][2], shapes[distances][2]) for scores, distances in levels}
    return levels if len(widths) == 1 else []


def _nanodet_classes(shapes: Sequence[Shape], size: Size) -> int | None:
    levels = _nanodet_levels(shapes, size)
    return shapes[levels[0][0]][2] if levels else None


def _nanodet(outputs: Sequence[Float], size: Size) -> Decoded:
    corners, scores = [], []
    levels = _nanodet_levels([output.shape for output in outputs], size)
    for stride, (score, distance) in zip(_NANODET_STRIDES, levels, strict=True):
        bins = outputs[distance][0].reshape(len(outputs[distance][0]), 4, -1)  # (N, sides, bins)
        sides = _softmax(bins) @ np.arange(bins.shape[2], dtype=np.float32) * np.float32(stride)
        rows, columns = np.divmod(np.arange(len(bins)), -(-size[1] // stride))
        centre = ((np.stack([columns, rows], axis=1) + 0.5) * stride).astype(np.float32)
        corners.append(np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1))
        scores.append(outputs[score][0])
    return np.concatenate(corners), np.concatenate(scores)


def _queries(shapes: Sequence[Shape]) -> tuple[int, int] | None:
    """Which of two outputs are logits and which are boxes; the last one where both might be boxes."""
    if len(shapes) != 2 or any(len(shape) != 3 or shape[0] != 1 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        return None
    boxes = [i for i, shape in enumerate(shapes) if shape[2] == 4]
    return (1 - boxes[-1], boxes[-1]) if boxes else None


def _rtdetr_classes(shapes: Sequence[Shape], size: Size) -> int | None:
    places = _queries(shapes)
    return shapes[places[0]][2] if places else None


def _detr_classes(shapes: Sequence[Shape], size: Size) -> int | None:
    classes = _rtdetr_classes(shapes, size)
    return classes - 1 if classes else None


def _rtdetr(outputs: Sequence[Float], size: Size) -> Decoded:
    logits, boxes = _of_queries(outputs, size)
    scores = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    return boxes, scores.astype(np.float32)


def _detr(outputs: Sequence[Float], size: Size) -> Decoded:
    logits, boxes = _of_queries(outputs, size)
    return boxes, _softmax(logits)[:, :-1]  # the last one is of no object


def _of_queries(outputs: Sequence[Float], size: Size) -> Decoded:
    places = _queries([output.shape for output in outputs])
    assert places is not None
    height, width = size
    scale = np.array([width, height, width, height], np.float32)
    return outputs[places[0]][0], _corners(outputs[places[1]][0] * scale)


def _corners(boxes: Float) -> Float:
    """Left, top, right and bottom of centres and sides."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _softmax(values: Float) -> Float:
    powers = np.exp(values - values.max(-1, keepdims=True))
    shares: Float = powers / powers.sum(-1, keepdims=True)
    return shares


def _text(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("yolov5", "(1, N, 5 + C)", _yolov5_classes, _yolov5, nms=0.6),
        Layout("yolov8", "(1, 4 + C, N), of YOLO11 as well", _yolov8_classes, _yolov8, nms=0.7),
        Layout(
            "nanodet",
            "six, (1, N, C) and (1, N, 4 bins) for each of strides 8, 16 and 32",
            _nanodet_classes,
            _nanodet,
            nms=0.6,
            centred=False,
            fill=None,
            mean=_IMAGENET[0][::-1],
            deviation=_IMAGENET[1][::-1],
            channels="BGR",
        ),
        Layout("rtdetr", "logits (1, N, C) and boxes (1, N, 4)", _rtdetr_classes, _rtdetr, nms=None, letterbox=False),
        Layout(
            "detr",
            "logits (1, N, C + 1) and boxes (1, N, 4)",
            _detr_classes,
            _detr,
            nms=None,
            letterbox=False,
            mean=_IMAGENET[0],
            deviation=_IMAGENET[1],
        ),
    )
}
"""The layouts by name."""
