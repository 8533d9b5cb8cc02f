"""Small ONNX files that return boxes which the test knows: one of each layout of detectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Arrays = Mapping[str, np.ndarray]
HEIGHT, WIDTH = 64, 96
NAMES = ("person", "car", "bus")
BOXES = [(30.0, 20.0, 12.0, 16.0, 0, 0.9), (60.0, 40.0, 24.0, 20.0, 1, 0.75)]
"""What every file finds, in pixels of its input: centre, sides, class and score."""


def write_onnx(
    path: Path,
    outputs: Arrays,
    size: tuple[Any, Any] = (HEIGHT, WIDTH),
    channels: Any = 3,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A file whose outputs are constant; nothing times the mean of the input is added, so that it is looked at."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes, values = [], [numpy_helper.from_array(np.zeros(1, np.float32), "nothing")]
    nodes.append(helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0))
    nodes.append(helper.make_node("Mul", ["mean", "nothing"], ["zero"]))
    described = []
    for name, array in outputs.items():
        values.append(numpy_helper.from_array(np.asarray(array, np.float32), f"{name}_value"))
        nodes.append(helper.make_node("Add", [f"{name}_value", "zero"], [name]))
        described.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    picture = helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [1, channels, *size])
    graph = helper.make_graph(nodes, "detector", [picture], described, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if metadata:
        helper.set_model_props(model, dict(metadata))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def told(names: Sequence[str] = NAMES) -> dict[str, str]:
    """Names as Ultralytics stores them."""
    return {"names": str(dict(enumerate(names)))}


def yolov5(places: int = 40) -> dict[str, np.ndarray]:
    rows = np.zeros((1, places, 5 + len(NAMES)), np.float32)
    for i, (x, y, w, h, kind, score) in enumerate(BOXES):
        rows[0, i, :4], rows[0, i, 4], rows[0, i, 5 + kind] = (x, y, w, h), 0.95, score / 0.95
    # The same object once more, a little beside and less sure.
    rows[0, -1] = rows[0, 0] + np.array([1, 0, 0, 0, -0.2, 0, 0, 0], np.float32)
    return {"output0": rows}


def yolov8(places: int = 40) -> dict[str, np.ndarray]:
    rows = yolov5(places)["output0"]
    return {"output0": np.concatenate([rows[..., :4], rows[..., 5:] * rows[..., 4:5]], axis=2).transpose(0, 2, 1)}


def nanodet() -> dict[str, np.ndarray]:
    """Each box at the place of stride 8 nearest to its centre, with distances by two bins."""
    outputs: dict[str, np.ndarray] = {}
    for stride in (8, 16, 32):
        places = (HEIGHT // stride) * (WIDTH // stride)
        outputs[f"scores{stride}"] = np.zeros((1, places, len(NAMES)), np.float32)
    for stride in (8, 16, 32):
        places = (HEIGHT // stride) * (WIDTH // stride)
        outputs[f"distances{stride}"] = np.full((1, places, 4 * 8), -40, np.float32)
    for x, y, w, h, kind, score in BOXES:
        row, column = int(y // 8), int(x // 8)
        place = row * (WIDTH // 8) + column
        centre = np.array([column + 0.5, row + 0.5]) * 8
        sides = np.array([centre[0] - x + w / 2, centre[1] - y + h / 2, x + w / 2 - centre[0], y + h / 2 - centre[1]])
        outputs["scores8"][0, place, kind] = score
        for side, distance in enumerate(sides / 8):
            low = int(distance)
            share = max(distance - low, 1e-9)
            outputs["distances8"][0, place, side * 8 + low] = np.log(1 - share)
            outputs["distances8"][0, place, side * 8 + low + 1] = np.log(share)
    return outputs


def queries(background: bool) -> dict[str, np.ndarray]:
    logits = np.full((1, 10, len(NAMES) + background), -12, np.float32)
    logits[..., len(NAMES) :] = 12
    boxes = np.full((1, 10, 4), 0.5, np.float32)
    for i, (x, y, w, h, kind, score) in enumerate(BOXES):
        boxes[0, i] = x / WIDTH, y / HEIGHT, w / WIDTH, h / HEIGHT
        if background:
            logits[0, i] = np.log([max(1e-9, s) for s in (*(score * (k == kind) for k in range(3)), 1 - score)])
        else:
            logits[0, i, kind] = np.log(score / (1 - score))
    return {"logits": logits, "pred_boxes": boxes}


OUTPUTS: dict[str, Callable[[], dict[str, np.ndarray]]] = {
    "yolov5": yolov5,
    "yolov8": yolov8,
    "nanodet": nanodet,
    "rtdetr": lambda: queries(background=False),
    "detr": lambda: queries(background=True),
}


def write_detector(path: Path, layout: str = "yolov8", names: Sequence[str] = NAMES, **how: Any) -> Path:
    """A detector of a layout that knows its three classes and finds ``BOXES``."""
    return write_onnx(path, OUTPUTS[layout](), metadata=told(names), **how)
