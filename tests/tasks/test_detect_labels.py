"""Files of boxes: YOLO text and VOC XML with exact complaints, COCO JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imfuse.core.boxes import Boxes
from imfuse.core.errors import PairError
from imfuse.tasks.detect.labels import PictureBoxes, label_file, read_boxes, write_coco, write_yolo, yolo_text

NAMES = ("People", "Car", "Bus")
SIZE = (100, 200)


def read(folder: Path, content: str | bytes, name: str = "a.txt") -> Boxes:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_boxes(folder / name, SIZE, NAMES)


def test_lines_with_and_without_confidence(tmp_path: Path) -> None:
    boxes = read(tmp_path, "\ufeff1 0.5 0.5 0.25 0.5\r\n\n  2.0 0.1 0.1 0.2 0.2 0.75 \n")
    assert boxes.corners.tolist() == [[75, 25, 125, 75], [0, 0, 40, 20]]
    assert (boxes.classes.tolist(), boxes.scores.tolist()) == ([1, 2], [1, 0.75])
    for empty in ("", "\n \n"):
        assert len(read(tmp_path, empty)) == 0, "known to show nothing"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("0 0.5 0.5 0.2", r"4 columns, 5 are expected \(class x y w h\) or 6 with the confidence"),
        ("0 0.5 0.5 0.2 0.2 0.9 7", "7 columns"),
        ("0 0.5 0,5 0.2 0.2", "'0,5' is not a number"),
        ("car 0.5 0.5 0.2 0.2", "'car' is not a number"),
        ("0 nan 0.5 0.2 0.2", "NaN or infinity"),
        ("1.5 0.5 0.5 0.2 0.2", "class 1.5, a whole number from 0 is expected"),
        ("-1 0.5 0.5 0.2 0.2", "class -1, a whole number"),
        ("3 0.5 0.5 0.2 0.2", r"class 3, but there are 3 \(0 to 2\); name the classes of the labels, label_names=..."),
        ("0 0.5 0.5 0 0.2", "a box of 0 x 0.2, sides above 0 are expected"),
        ("0 0.95 0.5 0.2 0.2", r"the box 0.95 0.5 0.2 0.2 leaves the picture; x y w h are shares"),
        ("0 120 40 20 20", "the box 120 40 20 20 leaves the picture"),
        ("0 0.5 0.5 0.2 0.2 1.5", "confidence 1.5, a number from 0 to 1 is expected"),
    ],
)
def test_complaints_name_the_line(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(PairError, match=rf"a.txt: line 3: {complaint}") as caught:
        read(tmp_path, f"0 0.5 0.5 0.2 0.2\n\n{line}\n")
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(PairError, match=r"b.txt: no such file"):
        read_boxes(tmp_path / "b.txt", SIZE, NAMES)
    with pytest.raises(PairError, match="this is a folder, a file of boxes is expected"):
        read_boxes(tmp_path, SIZE, NAMES)
    with pytest.raises(PairError, match=r"a.txt: not a text file; lines of class x y w h are expected"):
        read(tmp_path, b"\x89PNG\xff\xfe")


@given(st.lists(st.tuples(*[st.floats(0, 0.45)] * 2, *[st.floats(0.05, 0.5)] * 2, st.integers(0, 2)), max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, ...]]) -> None:
    path = tmp_path_factory.mktemp("labels") / "sub" / "a.txt"
    corners = [(x * 200, y * 100, (x + w) * 200, (y + h) * 100) for x, y, w, h, _ in rows]
    boxes = Boxes.of(corners, [row[4] for row in rows], [0.25] * len(rows))
    write_yolo(path, boxes, SIZE)
    again = read_boxes(path, SIZE, NAMES)
    np.testing.assert_allclose(again.corners, boxes.corners, atol=1e-3)
    assert (again.classes.tolist(), again.scores.tolist()) == (boxes.classes.tolist(), boxes.scores.tolist())
    assert all(len(line.split()) == 5 for line in yolo_text(boxes, SIZE, confidence=False).splitlines())


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep")
    (tmp_path / "a.txt").symlink_to(tmp_path / "precious.txt")
    write_yolo(tmp_path / "a.txt", Boxes.of([], []), SIZE)
    assert (tmp_path / "precious.txt").read_text() == "keep"


VOC = """<annotation><size><width>200</width></size>
<object><name>Car</name><bndbox><xmin>10</xmin><ymin>20.5</ymin><xmax>60</xmax><ymax>80</ymax></bndbox></object>
<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
</annotation>"""


def test_voc_is_read(tmp_path: Path) -> None:
    boxes = read(tmp_path, VOC.format(name="People", left="1"), "a.xml")
    assert boxes.corners.tolist() == [[10, 20.5, 60, 80], [1, 1, 9, 9]]
    assert boxes.classes.tolist() == [1, 0]
    # Some programs write 0 where they do not know.
    assert len(read(tmp_path, VOC.format(name="People", left="1").replace("200", "0"), "a.xml")) == 2
    assert label_file(tmp_path, "a") == tmp_path / "a.xml"
    read(tmp_path, "")
    assert label_file(tmp_path, "a") == tmp_path / "a.txt"
    assert label_file(tmp_path, "b") is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            VOC.format(name="Tram", left="1"),
            "object 2 is of class 'Tram'; there are People, Car, Bus; name the classes",
        ),
        (VOC.format(name="Car", left="x"), "object 2: xmin is 'x', a number is expected"),
        (VOC.format(name="Car", left="inf"), "object 2: xmin is 'inf', a number"),
        (VOC.replace(">80<", ">102<"), r"object 1: the box \[10.0, 20.5, 60.0, 102.0\] leaves the picture of 200x100"),
        (VOC.format(name="Car", left="-3"), r"object 2: the box \[-3.0, 1.0, 9.0, 9.0\] leaves the picture"),
        (
            VOC.replace("</size>", "<height>400</height></size>"),
            "of a picture of 200x400, but the picture has 200x100",
        ),
        (VOC.format(name="Car", left="9"), "object 2: xmin < xmax and ymin < ymax are expected"),
        ("<annotation><object>", "not an XML file of annotations"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "not an XML file of annotations"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "XML with a document type is not read"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"), "XML with a document type is not read"),
    ],
)
def test_wrong_or_hostile_voc(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    with pytest.raises(PairError, match=rf"a.xml: {complaint}"):
        read(tmp_path, content, "a.xml")


def test_coco_files_open_in_its_programs(tmp_path: Path) -> None:
    boxes = Boxes.of([[10, 20, 40.5, 90]], [2], [0.75])
    path = tmp_path / "coco.json"
    write_coco(path, {"a.png": PictureBoxes(boxes, SIZE), "b.png": PictureBoxes(Boxes.of([], []), SIZE)}, NAMES)
    content = json.loads(path.read_text())
    assert content["images"][1] == {"id": 2, "file_name": "b.png", "width": 200, "height": 100}
    assert [one["name"] for one in content["categories"]] == list(NAMES)
    [entry] = content["annotations"]
    assert (entry["image_id"], entry["category_id"], entry["bbox"], entry["score"]) == (1, 3, [10, 20, 30.5, 70], 0.75)
    coco = pytest.importorskip("faster_coco_eval").COCO(str(path))
    assert len(coco.loadRes(content["annotations"]).anns) == 1
