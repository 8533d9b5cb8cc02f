"""Detectors from ONNX files: every layout, sizes, determinism, letterboxes, and files that are wrong or hostile."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imfuse.core.boxes import Boxes
from imfuse.core.errors import ImageError, ModelError
from imfuse.imaging import read_image
from imfuse.metrics.detection_protocols import COCO, Protocol
from imfuse.tasks.detect import boxing
from imfuse.tasks.detect.boxing import as_input, place, suppressed
from imfuse.tasks.detect.detector import Detector, read_names
from imfuse.tasks.detect.labels import read_boxes
from imfuse.tasks.detect.layouts import LAYOUTS, recognise
from onnx_files import BOXES, HEIGHT, NAMES, OUTPUTS, WIDTH, told, write_detector, write_onnx, yolov5, yolov8

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("detectors")
    return {layout: write_detector(folder / f"{layout}.onnx", layout) for layout in LAYOUTS}


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def wanted() -> np.ndarray:
    return np.array([(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h, _, _ in BOXES])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("named", [False, True])
def test_every_layout_is_recognised_and_decoded(files: dict[str, Path], layout: str, named: bool) -> None:
    detector = Detector(files[layout], layout if named else "auto", threads=1)
    assert (detector.layout.name, detector.names, detector.size) == (layout, NAMES, (HEIGHT, WIDTH))
    boxes = detector.find(picture(HEIGHT, WIDTH))
    assert boxes.classes.tolist() == [0, 1]
    np.testing.assert_allclose(boxes.scores, [0.9, 0.75], atol=1e-5)
    np.testing.assert_allclose(boxes.corners, wanted(), atol=1e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(64, 96), (37, 501), (480, 33), (1, 1), (129, 193)])
def test_boxes_come_back_to_the_picture(files: dict[str, Path], layout: str, size: tuple[int, int]) -> None:
    """What the network says in its input lies there in the picture, clipped to it."""
    detector = Detector(files[layout], threads=1)
    boxes = detector.find(picture(*size))
    placement = place(size, detector.size, detector.layout)
    there = placement.into_picture(wanted())
    clipped = np.clip(there, 0, [size[1], size[0]] * 2)
    seen = (clipped[:, 2:] > clipped[:, :2]).all(1)
    np.testing.assert_allclose(boxes.corners, clipped[seen], atol=1e-2 * max(size) / 64)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_one_by_one_and_again(files: dict[str, Path], layout: str) -> None:
    """No picture leaves a trace; gray, colour, uint8 and floating ones of the same levels are the same."""
    detector = Detector(files[layout], threads=1)
    pictures = [picture(50, 70, seed) for seed in range(3)]
    several = [detector.find(one) for one in pictures]
    for one, boxes in zip(reversed(pictures), reversed(several), strict=True):
        for again in (detector.find(one), Detector(files[layout]).find(one.astype(np.float32) / 255)):
            assert np.array_equal(again.corners, boxes.corners)
            assert np.array_equal(again.scores, boxes.scores)
    gray = detector.find(pictures[0][..., 0])
    assert np.array_equal(gray.corners, detector.find(np.repeat(pictures[0][..., :1], 3, axis=2)).corners)


@settings(max_examples=50)
@given(
    st.tuples(st.integers(1, 900), st.integers(1, 900)),
    st.tuples(st.integers(32, 700), st.integers(32, 700)),
    st.sampled_from(list(LAYOUTS)),
)
def test_letterboxes_round_trip(size: tuple[int, int], room: tuple[int, int], layout: str) -> None:
    placement = place(size, room, LAYOUTS[layout])
    height, width = placement.placed
    left, top = placement.margin
    whole = placement.into_input([[0, 0, size[1], size[0]]])
    np.testing.assert_allclose(whole, [[left, top, left + width, top + height]])
    assert 0 <= left <= room[1] - width
    assert 0 <= top <= room[0] - height
    assert max(height / room[0], width / room[1]) == 1 or min(size) < 2 or not LAYOUTS[layout].letterbox
    corners = np.array([[0.25 * size[1], 0.5 * size[0], 0.75 * size[1], size[0]]])
    np.testing.assert_allclose(placement.into_picture(placement.into_input(corners)), corners, atol=1e-9)


def test_a_spot_is_where_its_box_is_in_the_input() -> None:
    spot = np.zeros((100, 200, 3), np.uint8)
    spot[40:60, 120:160] = 255
    for layout in LAYOUTS.values():
        given_, placement = as_input(spot, (128, 128), layout)
        left, top, right, bottom = placement.into_input([[120, 40, 160, 60]])[0]
        bright = given_[0].mean(0) > given_[0].mean(0).max() / 2
        rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        np.testing.assert_allclose(found, (left, top, right, bottom), atol=1)


def test_channels_mean_and_padding_are_those_of_the_layout() -> None:
    red = np.zeros((10, 20, 3), np.uint8)
    red[..., 0] = 255
    yolo, _ = as_input(red, (40, 40), LAYOUTS["yolov8"])
    np.testing.assert_allclose(yolo[0, :, 20, 20], [1, 0, 0])
    np.testing.assert_allclose(yolo[0, :, 0, 0], 114 / 255)
    nano, _ = as_input(red, (40, 40), LAYOUTS["nanodet"])
    np.testing.assert_allclose(
        nano[0, :, 0, 0], [-103.53 / 57.375, -116.28 / 57.12, (255 - 123.675) / 58.395], rtol=1e-5
    )
    assert not nano[0, :, 30, 5].any(), "below, at the mean"
    stretched, _ = as_input(red, (40, 40), LAYOUTS["rtdetr"])
    assert (stretched[0, 0] == 1).all()
    detr, _ = as_input(red, (40, 40), LAYOUTS["detr"])
    np.testing.assert_allclose(
        detr[0, :, 3, 3], [(255 - 123.675) / 58.395, -116.28 / 57.12, -103.53 / 57.375], rtol=1e-5
    )


def test_any_size_that_a_file_takes(tmp_path: Path) -> None:
    free = {"size": ("height", "width")}
    detector = Detector(write_detector(tmp_path / "a.onnx", **free), size=128)
    assert detector.size == (128, 128)
    assert len(detector.find(picture(300, 200))) == 2
    assert Detector(tmp_path / "a.onnx").size == (640, 640)
    sized = write_onnx(tmp_path / "b.onnx", yolov8(), ("h", "w"), metadata=told() | {"imgsz": "[320, 256]"})
    assert Detector(sized).size == (320, 256)
    with pytest.raises(ModelError, match="takes pictures of 96x64 only, not size=128"):
        Detector(write_detector(tmp_path / "c.onnx"), size=128)
    with pytest.raises(ModelError, match="size=0: a number of pixels"):
        Detector(tmp_path / "a.onnx", size=0)
    with pytest.raises(ModelError, match=r"an input of 9000x9000, at most 8192"):
        Detector(tmp_path / "a.onnx", size=9000)


def test_names_come_from_the_file_or_are_given(tmp_path: Path) -> None:
    plain = write_onnx(tmp_path / "plain.onnx", yolov8())
    assert Detector(plain).names == ("0", "1", "2")
    (tmp_path / "names.txt").write_text("\ufeffperson\ncar \r\nstreet lamp\n\n", encoding="utf-8")
    assert Detector(plain, names=tmp_path / "names.txt").names == ("person", "car", "street lamp")
    assert Detector(plain, names=["a", "b", "c"]).names == ("a", "b", "c")
    many = write_onnx(tmp_path / "many.onnx", {"output0": np.zeros((1, 84, 90), np.float32)})
    assert Detector(many).names == COCO
    nasty = write_onnx(tmp_path / "nasty.onnx", yolov8(), metadata={"names": "{0: 'a\\x1b[2J', 1: 'b', 2: 'c'}"})
    assert Detector(nasty).names[0] == "a\\x1b[2J"


@pytest.mark.parametrize("names", ["__import__('os').getcwd()", "{0: 'a', 2: 'b'}", "[1, 2, 3]", "[]", "(" * 5000, "{"])
def test_names_that_are_no_names(tmp_path: Path, names: str) -> None:
    file = write_onnx(tmp_path / "a.onnx", yolov8(), metadata={"names": names})
    with pytest.raises(ModelError, match=r"a.onnx: its names of classes cannot be read; name them, names=..."):
        Detector(file)
    assert Detector(file, names=NAMES).names == NAMES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"person\n\ncar\n", "line 2 is empty"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"a\nb\n", r"for 2 classes are of no layout that is known: yolov5 \(1, N, 5 \+ C\); yolov8"),
    ],
)
def test_wrong_files_of_names(tmp_path: Path, files: dict[str, Path], content: bytes, message: str) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        Detector(files["yolov8"], names=tmp_path / "names.txt")
    with pytest.raises(ModelError, match="no such file"):
        read_names(tmp_path / "nothing.txt")


def external(path: Path) -> Path:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(write_detector(path))
    path.unlink()
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def hidden(path: Path) -> Path:
    """External data in a constant of a branch, where loaders of weights do not look."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(write_detector(path))
    tensor = onnx.TensorProto(data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL, name="c")
    tensor.external_data.add(key="location", value="/etc/passwd")
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    value = onnx.helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, None)
    branch = onnx.helper.make_graph([constant], "branch", [], [value])
    model.graph.node.append(onnx.helper.make_node("If", ["zero"], ["d"], then_branch=branch, else_branch=branch))
    path.write_bytes(model.SerializeToString())
    return path


def other_input(path: Path, kind: str, shape: list[Any], inputs: int = 1) -> Path:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    given_ = [helper.make_tensor_value_info(f"x{i}", getattr(onnx.TensorProto, kind), shape) for i in range(inputs)]
    nodes = [helper.make_node("Identity", ["x0"], ["y"])]
    result = [helper.make_tensor_value_info("y", getattr(onnx.TensorProto, kind), None)]
    model = helper.make_model(
        helper.make_graph(nodes, "g", given_, result), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    path.write_bytes(model.SerializeToString())
    return path


WRONG_INPUTS = [
    (
        "FLOAT",
        [1, 1, 64, 64],
        1,
        r"input tensor\(float\) \(1, 3, height, width\) is expected, found .* \(1, 1, 64, 64\)",
    ),
    ("FLOAT", [1, 64, 64, 3], 1, "is expected, found"),
    ("FLOAT", [3, 64, 64], 1, "is expected, found"),
    ("FLOAT", [8, 3, 64, 64], 1, "is expected, found"),
    ("UINT8", [1, 3, 64, 64], 1, r"found tensor\(uint8\)"),
    ("FLOAT", [1, 3, 64, 64], 2, "one input, a picture, is expected, found 2"),
    ("FLOAT", [1, 3, 64, 64], 1, r"outputs of \(1, 3, 64, 64\) are of no layout that is known: yolov5"),
]


@pytest.mark.parametrize(("kind", "shape", "inputs", "message"), WRONG_INPUTS)
def test_files_that_take_or_return_other_things(
    tmp_path: Path, kind: str, shape: list[Any], inputs: int, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Detector(other_input(tmp_path / "a.onnx", kind, shape, inputs))
    assert "a.onnx: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_wrong_or_hostile(
    tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = files["yolov8"].read_bytes()
    path = tmp_path / "a.onnx"
    for content in (b"PK\x03\x04 rubbish", b"\0" * 100, data[: len(data) // 2], b"<html>", bytes(range(256)), data[:9]):
        path.write_bytes(content)
        with pytest.raises(
            ModelError, match=r"a.onnx: not an ONNX file, or a damaged one; export the detector as ONNX$"
        ):
            Detector(path)
    for where in (tmp_path, tmp_path / "missing.onnx"):
        with pytest.raises(ModelError, match=r"this is a folder|no such file"):
            Detector(where)
    for make in (external, hidden):
        with pytest.raises(ModelError, match="keeps its weights in other files, which are not read"):
            Detector(make(tmp_path / make.__name__ / "b.onnx"))
    path.write_bytes(data.replace(b"ReduceMean", b"ReduceMoon"))
    with pytest.raises(ModelError, match=r"a.onnx: onnxruntime cannot open it \(") as caught:
        Detector(path)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr("imfuse.tasks.detect.detector.MAX_BYTES", 100)
    with pytest.raises(ModelError, match="at most 100 are read"):
        Detector(files["yolov8"])


@settings(max_examples=20)
@given(st.data())
def test_damaged_files_are_one_line(
    files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    content = bytearray(files["yolov8"].read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.onnx"
    path.write_bytes(content)
    with suppress(ModelError):
        # Anything else is a defect, or a crash.
        Detector(path).find(picture(20, 20))


@pytest.mark.parametrize("word", [b"picture", b"output0", b"names"])
def test_names_that_are_no_text(
    tmp_path: Path, files: dict[str, Path], word: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(files["yolov8"].read_bytes().replace(word, b"\xff" + word[1:]))
    with pytest.raises(ModelError, match=r"a.onnx: ") as caught:
        Detector(path)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", ""), "onnxruntime would print"


def test_outputs_that_are_no_boxes(tmp_path: Path) -> None:
    outputs = yolov8()["output0"]
    with pytest.raises(ModelError, match="returns NaN or infinite values for a picture"):
        Detector(write_onnx(tmp_path / "a.onnx", {"y": outputs * np.nan})).find(picture(9, 9))
    with pytest.raises(
        ModelError, match=r"scores from 0 to 9 where layout yolov8 has them from 0 to 1; say .* layout="
    ):
        Detector(write_onnx(tmp_path / "b.onnx", {"y": outputs * 10})).find(picture(9, 9))


def test_a_network_that_fails_at_work_is_one_line(tmp_path: Path) -> None:
    """Constant outputs are shaped by the graph itself: the file says 96x64, the reshape wants another number."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    shape = onnx.numpy_helper.from_array(np.array([1, 7, 11], np.int64), "shape")
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [shape],
    )
    path = tmp_path / "a.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    )
    with pytest.raises(ModelError, match=r"a.onnx: fails on an input of 640x640 \(") as caught:
        Detector(path)
    assert "\n" not in str(caught.value)


def test_layouts_that_shapes_do_not_tell(files: dict[str, Path]) -> None:
    with pytest.raises(
        ModelError, match=r"\(1, 100, 11\) \(1, 100, 4\) may be of rtdetr, detr; say which it is, layout="
    ):
        recognise([(1, 100, 11), (1, 100, 4)], (640, 640), None)
    assert recognise([(1, 100, 11), (1, 100, 4)], (640, 640), 10)[0].name == "detr"
    assert recognise([(1, 100, 11), (1, 100, 4)], (640, 640), None, "detr")[1] == 10
    assert recognise([(1, 300, 80), (1, 300, 4)], (640, 640), None)[0].name == "rtdetr"
    assert recognise([(1, 4, 4), (1, 4, 4)], (640, 640), 4)[0].name == "rtdetr"
    assert recognise([(1, 25200, 85), (1, 3, 80, 80, 85)], (640, 640), None)[0].name == "yolov5"
    assert recognise([(1, 5, 8400)], (640, 640), None)[1] == 1
    with pytest.raises(ModelError, match=r"outputs of \(1, 300, 6\) for 80 classes are of no layout that is known"):
        recognise([(1, 300, 6)], (640, 640), 80)
    for shapes in ([(1, 300, 6)], [(1, 1), (1, 100, 4), (1, 100), (1, 100)]):
        with pytest.raises(ModelError, match=r"; export it without suppression \(nms\)$"):
            recognise(shapes, (640, 640), 80)
    with pytest.raises(ModelError, match=r"for 2 classes are .*; name all its classes, 80 as yolov5, names=\.\.\.$"):
        recognise([(1, 25200, 85)], (640, 640), 2)
    with pytest.raises(ModelError, match=r"layout='yolo' is not known; there are auto, yolov5, yolov8"):
        Detector(files["yolov8"], "yolo")
    with pytest.raises(ModelError, match="are of no layout that is known: nanodet six"):
        Detector(files["yolov8"], "nanodet")


@pytest.mark.parametrize("threshold", [0, 1, -0.5, float("nan")])
def test_thresholds(files: dict[str, Path], threshold: float) -> None:
    with pytest.raises(ModelError, match="a score between 0 and 1 is expected"):
        Detector(files["yolov8"], threshold=threshold)


def test_a_threshold_leaves_out_and_counts_in_the_fingerprint(files: dict[str, Path]) -> None:
    low, high = Detector(files["yolov8"]), Detector(files["yolov8"], threshold=0.8)
    assert [len(one.find(picture(9, 9))) for one in (low, high)] == [2, 1]
    others = [Detector(files["yolov8"], names=["a", "b", "c"]), Detector(files["yolov5"])]
    assert len({one.fingerprint for one in (low, high, *others)}) == 4
    assert repr(low) == "Detector('yolov8.onnx', layout='yolov8', 3 classes, 96x64)"


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros(4),
        np.zeros((0, 4)),
        np.full((4, 4), 2.0),
        np.full((4, 4), np.nan),
        np.zeros((4, 4), np.uint16),
    ],
    ids=["channels", "rank", "empty", "range", "nan", "uint16"],
)
def test_wrong_pictures(files: dict[str, Path], wrong: np.ndarray) -> None:
    with pytest.raises(ImageError, match="is expected, found"):
        Detector(files["yolov8"]).find(wrong)


def test_the_surest_of_a_class_suppresses() -> None:
    boxes = Boxes.of(
        [[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [30, 0, 40, 10]], [0, 0, 1, 0], [0.5, 0.9, 0.4, 0.3]
    )
    assert suppressed(boxes, 0.6).tolist() == [1, 2, 3]
    assert suppressed(boxes, 0.9).tolist() == [1, 0, 2, 3]
    assert suppressed(Boxes.of([], []), 0.5).tolist() == []


def test_at_most_300_boxes(tmp_path: Path) -> None:
    rows = np.zeros((1, 4000, 6), np.float32)
    rows[0, :, :2], rows[0, :, 2:4], rows[0, :, 4:] = np.random.default_rng(0).random((4000, 2)) * 64, 2, 0.9
    detector = Detector(write_onnx(tmp_path / "a.onnx", {"y": rows}, metadata=told(["a"])))
    assert len(detector.find(picture(HEIGHT, WIDTH))) == boxing.MOST_BOXES


def test_without_onnxruntime_the_extra_is_named(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(Exception, match=r"pip install 'imfuse\[detect\]'"):
        Detector(files["yolov8"])


def test_nanodet_scores_as_its_facts_say(shared: Path) -> None:
    """COCO's detector on M3FD's ten pictures: mAP@0.5 and mAP@[0.5, 0.95] over four classes, AP@0.5 of two."""
    file, data = shared / "detector" / "nanodet.onnx", shared / "data" / "m3fd_sample"
    if not file.is_file() or not data.is_dir():
        pytest.skip("no detector or no M3FD in the shared folder")
    detector = Detector(file, threads=1)
    assert (detector.layout.name, detector.names, detector.size) == ("nanodet", COCO, (416, 416))
    names = ("People", "Car", "Bus", "Lamp", "Motorcycle", "Truck")
    protocol = Protocol("four", ("People", "Car", "Bus", "Motorcycle"), names)
    for side, facts in (("vi", (0.522, 0.252, 0.105, 0.477)), ("ir", (0.257, 0.120, 0.172, 0.326))):
        found, known = [], []
        for path in sorted((data / side).glob("*.png")):
            pixels = read_image(path)
            found.append(detector.find(pixels))
            known.append(read_boxes(data / "labels" / f"{path.stem}.txt", pixels.shape[:2], names))
        scores = protocol.score(found, known, detector.names)
        people, car = (one.ap50.value for one in scores.classes[:2])
        assert (scores.mean.ap50.value, scores.mean.ap.value, people, car) == pytest.approx(facts, abs=6e-4)


def test_outputs_of_the_tests_are_of_all_layouts() -> None:
    assert OUTPUTS.keys() == LAYOUTS.keys()
    assert yolov5()["output0"].shape == (1, 40, 8)
