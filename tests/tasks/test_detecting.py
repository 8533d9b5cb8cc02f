"""Objects of pairs and folders: files, resuming, scores, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imfuse.cli.main import main
from imfuse.core.errors import ImageError, MetricError, PairError, RegistrationError
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import read_image, read_metadata, write_image
from imfuse.registration.rig import Rig
from imfuse.registration.transform import Transform
from imfuse.tasks.detect import DetectionReport, Detector, Truth, detect_files, detect_folder, detect_fused, draw_boxes
from imfuse.tasks.detect.drawing import class_colour
from onnx_files import write_detector

pytest.importorskip("onnxruntime")
SIZE = (64, 96)
TRUE = "0 0.3125 0.3125 0.125 0.25\n1 0.625 0.625 0.25 0.3125\n"
"""What the detector of the tests finds, as YOLO text."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("detector") / "some.onnx")


@pytest.fixture(scope="module")
def detector(file: Path) -> Detector:
    return Detector(file, threads=1)


@pytest.fixture(scope="module")
def fuser() -> Fuser:
    return Fuser("laplacian_pyramid", device="cpu")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    (tmp_path / "truth").mkdir()
    for name in ("1", "2", "3"):
        write_image(tmp_path / "ir" / f"{name}.png", random.integers(0, 256, SIZE, np.uint8))
        write_image(tmp_path / "vi" / f"{name}.png", random.integers(0, 256, (*SIZE, 3), np.uint8))
        (tmp_path / "truth" / f"{name}.txt").write_text(TRUE)
    return tmp_path


def run(place: Path, detector: Detector, fuser: Fuser, truth: bool = False, **how: object) -> DetectionReport:
    known = Truth(place / "truth") if truth else None
    return detect_folder(detector, fuser, place / "ir", place / "vi", place / "out", truth=known, **how)


def test_folders_are_written_scored_and_done_once(folders: Path, detector: Detector, fuser: Fuser) -> None:
    (folders / "truth" / "3.txt").unlink()
    report = run(folders, detector, fuser, truth=True)
    assert (report.written, report.failed, report.unlabelled) == (("1", "2", "3"), (), ("3",))
    assert report.scores is not None
    assert (report.scores.mean.ap.value, report.scores.mean.truths, report.scores.pictures) == (pytest.approx(1), 4, 2)
    text = (folders / "out" / "labels" / "1.txt").read_text()
    assert text.splitlines()[0] == "0 0.312500 0.312500 0.125000 0.250000 0.900000"
    fused = fuser(read_image(folders / "ir" / "1.png"), read_image(folders / "vi" / "1.png"))
    drawn = draw_boxes(fused, detector.find(fused), detector.names)
    assert np.array_equal(read_image(folders / "out" / "boxes" / "1.png"), drawn)
    content = json.loads((folders / "out" / "coco.json").read_text())
    assert ([one["file_name"] for one in content["images"]], len(content["annotations"])) == (
        ["1.png", "2.png", "3.png"],
        6,
    )

    (folders / "out" / "labels" / "2.txt").unlink()
    for part in ("boxes/3.png", "labels/3.txt"):
        (folders / "out" / part).unlink()
    (folders / "out" / "coco.json").unlink()
    again = run(folders, detector, fuser, truth=True)
    assert (again.skipped, again.written) == (("1", "2"), ("3",))
    assert repr(again.scores) == repr(report.scores), "with nan for buses"
    assert (folders / "out" / "labels" / "2.txt").read_text() == text
    assert json.loads((folders / "out" / "coco.json").read_text()) == content


def test_other_settings_are_done_anew(folders: Path, file: Path, detector: Detector, fuser: Fuser) -> None:
    run(folders, detector, fuser)
    surer = Detector(file, threshold=0.8)
    assert run(folders, surer, fuser).written == ("1", "2", "3")
    assert len((folders / "out" / "labels" / "1.txt").read_text().splitlines()) == 1
    assert run(folders, surer, fuser, drawn=0.95).written == ("1", "2", "3")
    assert run(folders, surer, Fuser("dwt"), drawn=0.95).written == ("1", "2", "3")


def test_pairs_of_two_cameras_are_searched_by_their_rig(folders: Path, detector: Detector, fuser: Fuser) -> None:
    rig = Rig.of(Transform(np.array([[1.0, 0, 8], [0, 1, 0], [0, 0, 1]]), "shift"), SIZE, SIZE)
    run(folders, detector, fuser)
    assert run(folders, detector, Fuser("laplacian_pyramid", rig=rig)).written == ("1", "2", "3")
    assert run(folders, detector, Fuser("laplacian_pyramid", rig=rig)).skipped == ("1", "2", "3")
    cut = Fuser("laplacian_pyramid", rig=rig, outside="crop")
    assert run(folders, detector, cut).written == ("1", "2", "3")
    assert read_image(folders / "out" / "boxes" / "1.png").shape == (64, 88, 3)
    with pytest.raises(RegistrationError, match=r"labels=\.\.\. are of whole visible pictures"):
        run(folders, detector, cut, truth=True)


def test_pictures_made_elsewhere_score_as_those_fused_here(folders: Path, detector: Detector, fuser: Fuser) -> None:
    fuser.folder(folders / "ir", folders / "vi", folders / "fused")
    truth = Truth(folders / "truth")
    elsewhere = detect_fused(detector, folders / "fused", folders / "out2", truth=truth)
    assert elsewhere.written == ("1", "2", "3")
    assert repr(elsewhere.scores) == repr(run(folders, detector, fuser, truth=True).scores)
    for name in ("1.txt", "2.txt", "3.txt"):
        texts = [(folders / out / "labels" / name).read_text() for out in ("out", "out2")]
        assert texts[0] == texts[1]
    assert detect_fused(detector, folders / "fused", folders / "out2").skipped == ("1", "2", "3")
    # One camera alone, of 16 bits.
    write_image(folders / "raw" / "1.png", np.random.default_rng(0).integers(7000, 8000, SIZE, np.uint16))
    raw = detect_fused(detector, folders / "raw", folders / "out3", range="minmax", truth=truth)
    assert len(raw.boxes["1"].boxes) == 2
    assert read_image(folders / "out3" / "boxes" / "1.png").max() == 255


def test_sub_folders_keep_their_place(folders: Path, detector: Detector) -> None:
    (folders / "vi" / "1.png").rename(folders / "vi" / "sub.png")
    (folders / "deep" / "a").mkdir(parents=True)
    (folders / "vi").rename(folders / "deep" / "a" / "b")
    (folders / "truth" / "a" / "b").mkdir(parents=True)
    (folders / "truth" / "2.txt").rename(folders / "truth" / "a" / "b" / "2.txt")
    report = detect_fused(detector, folders / "deep", folders / "out", recursive=True, truth=Truth(folders / "truth"))
    assert report.written == ("a/b/2", "a/b/3", "a/b/sub")
    assert report.unlabelled == ("a/b/3", "a/b/sub")
    assert (folders / "out" / "labels" / "a" / "b" / "sub.txt").is_file()
    assert (folders / "out" / "boxes" / "a" / "b" / "sub.png").is_file()


def test_one_pair(folders: Path, detector: Detector, fuser: Fuser) -> None:
    words = detector, fuser, folders / "ir" / "1.png", folders / "vi" / "1.png", folders / "out"
    report = detect_files(*words)
    assert (report.written, len(report.boxes["1"].boxes)) == (("1",), 2)
    assert detect_files(*words).skipped == ("1",)
    assert "imfuse:boxes" in read_metadata(folders / "out" / "boxes" / "1.png")


def test_true_labels_are_never_written_over(folders: Path, detector: Detector, fuser: Fuser) -> None:
    """The folder of the data set itself as the output, whose labels are not ours."""
    (folders / "truth").rename(folders / "labels")
    with pytest.raises(
        ImageError, match=r"labels/1.txt: this file exists, and nothing says that imfuse made it \(3 in"
    ):
        detect_folder(detector, fuser, folders / "ir", folders / "vi", folders)
    for words in ({"truth": Truth(folders / "labels")}, {"truth": Truth(folders / "labels"), "overwrite": True}):
        with pytest.raises(PairError, match=r"labels: is the labels folder itself; choose another output="):
            detect_folder(detector, fuser, folders / "ir", folders / "vi", folders, **words)
    assert (folders / "labels" / "1.txt").read_text() == TRUE
    detect_folder(detector, fuser, folders / "ir", folders / "vi", folders, overwrite=True)
    assert (folders / "labels" / "1.txt").read_text() != TRUE


def test_other_files_are_not_written_over(folders: Path, detector: Detector, fuser: Fuser) -> None:
    (folders / "out").mkdir()
    (folders / "out" / "coco.json").write_text("{}")
    with pytest.raises(ImageError, match=r"coco.json: this file exists"):
        run(folders, detector, fuser)
    (folders / "vi").rename(folders / "boxes")
    with pytest.raises(PairError, match="is the fused folder itself"):
        detect_fused(detector, folders / "boxes", folders, overwrite=True)


def test_wrong_labels_fail_their_picture_alone(folders: Path, detector: Detector, fuser: Fuser) -> None:
    (folders / "truth" / "2.txt").write_text("0 0.5 0.5 0.2\n")
    report = run(folders, detector, fuser, truth=True)
    [(name, why)] = report.failed
    assert (name, report.written) == ("2", ("1", "3"))
    assert why.endswith("2.txt: line 1: 4 columns, 5 are expected (class x y w h) or 6 with the confidence")
    assert report.scores is not None
    assert report.scores.pictures == 2


@pytest.mark.parametrize("line", ["77 0.5 0.5 0.2 0.2", "0 0.5 0.5 0.2", "0 1.5 0.5 0.2 0.2"])
def test_labels_that_are_all_wrong_say_why(
    folders: Path, file: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("1", "2", "3"):
        (folders / "truth" / f"{name}.txt").write_text(line)
    words = ["--fused", str(folders / "vi"), "--labels", str(folders / "truth"), "-o", str(folders / "out")]
    assert main(["detect", *words, "--detector", str(file)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(f"{name}.txt: line 1: " in said for name, said in zip("123", lines, strict=True))


def test_nothing_to_compare_with(folders: Path, detector: Detector, fuser: Fuser, file: Path) -> None:
    for name in ("1", "2", "3"):
        (folders / "truth" / f"{name}.txt").write_text("5 0.5 0.5 0.2 0.2\n")
    with pytest.raises(
        MetricError, match=r"protocol refinefuse: the labels of 3 pictures have no box of People, Car, Bus"
    ):
        run(folders, detector, fuser, truth=True)
    other = Detector(file, names=["a", "b", "c"])
    with pytest.raises(MetricError, match=r"the detector has none of its classes"):
        run(folders, other, fuser, truth=True)
    with pytest.raises(PairError, match=r"ir: no labels of these pictures there, such as 1.txt; YOLO text or VOC XML"):
        detect_folder(detector, fuser, folders / "ir", folders / "vi", folders / "out", truth=Truth(folders / "ir"))
    with pytest.raises(MetricError, match="unknown protocol 'voc'"):
        detect_fused(detector, folders / "vi", folders / "out", truth=Truth(folders / "truth", "voc"))


def test_drawn_boxes_have_the_colours_of_their_classes(detector: Detector) -> None:
    plain = np.full((*SIZE, 3), 90, np.uint8)
    boxes = detector.find(plain)
    drawn = draw_boxes(plain, boxes, detector.names)
    assert (drawn[20, 24] == class_colour(0)).all()
    assert (drawn[40, 48] == class_colour(1)).all()
    assert (draw_boxes(plain[..., 0], boxes, detector.names, smallest=0.95) == 90).all()
    assert len({class_colour(number) for number in range(80)}) == 80


def test_command(folders: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ir, vi, out = str(folders / "ir"), str(folders / "vi"), str(folders / "out")
    words = ["detect", ir, vi, "-o", out, "--detector", str(file), "--model", "laplacian_pyramid", "--threads", "1"]
    assert main([*words, "--labels", str(folders / "truth")]) == 0
    shown = capsys.readouterr().out
    assert "3 pairs searched into" in shown
    assert [line.split()[:3] for line in shown.splitlines()[2:5]] == [
        ["People", "3", "1.000"],
        ["Car", "3", "1.000"],
        ["Bus", "0", "absent"],
    ]
    assert main([*words, "--labels", str(folders / "truth"), "--protocol", "m3fd6"]) == 0
    assert "the detector cannot find Motorcycle, Lamp, Truck, left out of the mean" in capsys.readouterr().err
    (folders / "truth" / "2.txt").write_text("9 0.5 0.5 0.2 0.2\n")
    assert main([*words, "--labels", str(folders / "truth")]) == 1
    assert "class 9, but there are 6 (0 to 5); name the classes of the labels, --label-names" in capsys.readouterr().err
    coco = ["--protocol", "coco", "--labels", str(folders / "truth")]
    (folders / "truth" / "2.txt").unlink()
    assert main([*words, *coco]) == 0
    shown = capsys.readouterr().out
    assert "79 classes are not shown: no label has them, or the detector does not know them" in shown
    assert "toothbrush" not in shown
    (folders / "truth" / "2.txt").write_text("9 0.5 0.5 0.2 0.2\n")
    names = folders / "names.txt"
    names.write_text("\n".join(["person", "car", *"abcdefgh"]))
    assert main([*words, "--labels", str(folders / "truth"), "--label-names", str(names)]) == 0
    assert main(["detect", "--fused", vi, "-o", f"{out}2", "--detector", str(file), "--layout", "yolov8"]) == 0
    assert "3 pictures searched into" in capsys.readouterr().out
    pair = ["detect", f"{ir}/1.png", f"{vi}/1.png", "-o", f"{out}3", *words[5:]]
    assert main(pair) == 0
    assert capsys.readouterr().out.endswith("1.png: 1 person, 1 car\n")
    assert main(pair) == 0
    assert "finished before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ir", "vi"], "give --detector FILE"),
        (["ir", "vi", "--detector", "vi/1.png"], "vi/1.png: not an ONNX file, or a damaged one; export"),
        (["--fused", "vi", "ir", "--detector", "DETECTOR"], "or --fused DIR"),
        (["--detector", "DETECTOR"], "give INFRARED and VISIBLE, or --pairs FILE, or --fused DIR"),
        (["--fused", "vi", "--detector", "DETECTOR", "--threshold", "nan"], "--threshold nan: a score between 0"),
        (["ir/1.png", "vi/1.png", "--labels", "truth", "--detector", "DETECTOR"], "--labels truth: of two folders"),
        (["--fused", "vi", "--detector", "DETECTOR", "--layout", "yolov5"], "are of no layout that is known"),
        (["--fused", "vi", "--detector", "DETECTOR", "--size", "640"], "not --size 640"),
        (["--fused", "vi", "--detector", "DETECTOR", "--threshold", "2"], "--threshold 2: a score between 0 and 1"),
        (["--fused", "vi", "--detector", "DETECTOR", "--protocol", "x", "--labels", "truth"], "unknown protocol 'x'"),
        (["--fused", "none", "--detector", "DETECTOR"], "none: "),
        (["--fused", "truth", "--detector", "DETECTOR"], "truth: no pictures in the fused folder"),
        (["--fused", "vi", "--detector", "DETECTOR", "--drawn", "5"], "--drawn 5: a score from 0 to 1"),
        (["--fused", "vi", "--detector", "DETECTOR", "--protocol", "coco"], "--protocol coco: of true boxes, --labels"),
    ],
)
def test_misuse_is_one_line(
    folders: Path,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(folders)
    assert main(["detect", *(str(file) if word == "DETECTOR" else word for word in words)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
