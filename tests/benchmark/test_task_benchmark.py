"""``imfuse benchmark --task``: detection by a file and by retrained networks, segmentation, resuming, tables, views."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from imfuse.benchmark.plan import parse_models
from imfuse.benchmark.tasks import retraining
from imfuse.benchmark.tasks.estimates import Run, measures_of
from imfuse.benchmark.tasks.plan import TaskPlan
from imfuse.benchmark.tasks.report import write_task_report
from imfuse.benchmark.tasks.results import TaskResults, read_task_results
from imfuse.benchmark.tasks.run import run_task_benchmark
from imfuse.benchmark.tasks.tables import markdown, write_task_tables
from imfuse.benchmark.tasks.views import judge, write_task_figure
from imfuse.cli.main import main
from imfuse.core.boxes import Boxes
from imfuse.core.errors import BenchmarkError, PairError
from imfuse.imaging import read_image, write_image
from imfuse.metrics.detection_protocols import get_protocol
from imfuse.scenes import PALETTE
from imfuse.tasks.detect.file import save_detector
from imfuse.tasks.detect.network import DetectorNetwork
from imfuse.tasks.examples import Example, Normalisation
from onnx_files import write_detector
from picture_files import write_four_bands
from rendered_scenes import rendered

SIZE = (64, 96)
TRUE = "0 0.3125 0.3125 0.125 0.25\n1 0.625 0.625 0.25 0.3125\n"
"""What the detector of the tests finds, as YOLO text."""
TINY = {"seeds": 2, "steps": 2, "scenes": 2, "size": SIZE, "batch": 2, "crop": (32, 32), "device": "cpu"}
ONE = {**TINY, "seeds": 1, "steps": 1, "size": (64, 64)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pairs with boxes; the third has one that no detector finds."""
    random = np.random.default_rng(0)
    place = tmp_path / "set"
    (place / "labels").mkdir(parents=True)
    for name in ("1", "2", "3"):
        write_image(place / "ir" / f"{name}.png", random.integers(0, 256, SIZE, np.uint8))
        write_image(place / "vi" / f"{name}.png", random.integers(0, 256, (*SIZE, 3), np.uint8))
        (place / "labels" / f"{name}.txt").write_text(TRUE)
    (place / "labels" / "3.txt").write_text("1 0.2 0.8 0.1 0.1\n")
    return place


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime")
    return write_detector(tmp_path / "some.onnx")


def plan_of(data: Path, detector: Path, **how: object) -> TaskPlan:
    settings = {"task": "detect", "models": parse_models("laplacian_pyramid"), "data": ("mine", data)}
    return TaskPlan(**{**settings, "detector": detector, "device": "cpu", **how})


def test_a_detector_is_scored_beside_the_controls(data: Path, detector: Path, tmp_path: Path) -> None:
    results = run_task_benchmark(plan_of(data, detector), tmp_path / "out")
    assert list(results.rows) == ["visible", "infrared", "mean", "laplacian_pyramid"]
    assert results.measures[:4] == ["mAP50", "mAP", "AP50 People", "AP50 Car"]
    assert (results.pictures, results.truths) == (3, {"People": 2.0, "Car": 3.0, "Bus": 0.0})
    for row in results.rows.values():
        assert 0.5 < (row.measures["mAP50"].value or 0) < 1
        assert row.measures["AP50 Bus"].value is None
    # The detector finds the same whatever it sees, so that no difference can be.
    gain = results.rows["laplacian_pyramid"].measures["mAP50"].differences["visible"]
    assert (gain.value, gain.pictures.low, gain.pictures.high, gain.survives) == (0, 0, 0, False)


def test_what_was_found_is_not_looked_for_again(data: Path, detector: Path, tmp_path: Path, monkeypatch) -> None:
    from imfuse.tasks.detect.detector import Detector

    first = run_task_benchmark(plan_of(data, detector), tmp_path / "out")
    monkeypatch.setattr(Detector, "find", lambda *_: pytest.fail("looked again"))
    again = run_task_benchmark(plan_of(data, detector), tmp_path / "out")
    assert again.rows == first.rows
    write_image(data / "vi" / "1.png", np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(pytest.fail.Exception, match="looked again"):
        run_task_benchmark(plan_of(data, detector), tmp_path / "out")


def test_a_detector_that_imfuse_trained(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "ours.safetensors"
    names = get_protocol("refinefuse").labels
    save_detector(file, DetectorNetwork(len(names)), names, Normalisation((0.5,) * 3, (0.25,) * 3), {})
    results = run_task_benchmark(plan_of(data, file), tmp_path / "out")
    assert results.setting["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert results.truths == {"People": 2.0, "Car": 3.0, "Bus": 0.0}


def test_external_results_lack_pairs(data: Path, detector: Path, tmp_path: Path) -> None:
    for name in ("1", "2"):
        write_image(tmp_path / "theirs" / f"{name}.png", np.zeros(SIZE, np.uint8))
    plan = plan_of(data, detector, models=(), fused={"theirs": tmp_path / "theirs"})
    results = run_task_benchmark(plan, tmp_path / "out")
    assert (results.pictures, results.failed) == (2, {"theirs": {"3": "no fused picture"}})


def test_files_of_a_run(data: Path, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("jinja2")
    out = tmp_path / "out"
    words = ["benchmark", "--task", "detect", "--data", f"mine={data}", "--detector", str(detector), "-o", str(out)]
    assert main([*words, "--models", "laplacian_pyramid", "--device", "cpu"]) == 0
    assert "Detection: mine, 3 pictures" in capsys.readouterr().out
    results = read_task_results(out, "detect")
    assert "**" in (out / "task_detect.md").read_text()
    assert r"\toprule" in (out / "task_detect.tex").read_text()
    head, *lines = (out / "task_detect.csv").read_text().splitlines()
    assert head.split(",")[:4] == ["row", "kind", "measure", "value"]
    assert len(lines) > 4 * len(results.measures)
    page = (out / "task_report.html").read_text()
    counts = [page.count(f'class="{kind}"') for kind in ("right", "false", "missed")]
    assert counts == [16, 8, 4]


def test_boxes_are_drawn_side_by_side(data: Path, detector: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    results = run_task_benchmark(plan_of(data, detector), tmp_path / "out")
    file = write_task_figure(results, tmp_path / "out", tmp_path / "boxes.png", ["3"])
    colours = read_image(file)[..., :3].reshape(-1, 3)
    for colour in ((0xFF, 0x4D, 0x4D), (0xFF, 0xD2, 0x1F)):
        assert (abs(colours.astype(int) - colour).max(1) < 40).any()
    with pytest.raises(BenchmarkError, match="no scene '9'"):
        write_task_figure(results, tmp_path / "out", tmp_path / "boxes.png", ["9"])


def test_a_box_of_another_class_is_false_and_the_true_one_missed() -> None:
    known = Boxes.of([[0, 0, 10, 10]], [0])
    assert [one.kind for one in judge(known, known, ["a", "b"])] == ["right"]
    other = Boxes.of([[0, 0, 10, 10], [0, 0, 10, 10]], [1, 0], [0.9, 0.2])
    assert [one.kind for one in judge(other, known, ["a", "b"])] == ["false", "missed"]


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> tuple[TaskResults, Path]:
    folder = tmp_path_factory.mktemp("segment")
    plan = TaskPlan("segment", parse_models("psfusion_compact"), **ONE)
    return run_task_benchmark(plan, folder), folder


def test_segmenters_are_trained_for_every_row(segmented: tuple[TaskResults, Path]) -> None:
    results, _ = segmented
    kinds = {row: one.kind for row, one in results.rows.items()}
    assert kinds == {
        **dict.fromkeys(("visible", "infrared", "mean", "stacked"), "control"),
        "two_stream_compact": "features",
        "psfusion_compact": "method",
        "psfusion_compact (own head)": "head",
    }
    assert [row for row, one in results.rows.items() if one.saw_labels] == [
        "psfusion_compact",
        "psfusion_compact (own head)",
    ]
    assert results.rows["psfusion_compact (own head)"].measures["mIoU"].value > 0.1
    assert sum(results.truths.values()) == pytest.approx(1)
    assert "trained with class labels" in markdown(results)


def test_results_survive_their_file(segmented: tuple[TaskResults, Path], tmp_path: Path) -> None:
    results, folder = segmented
    results.write(tmp_path)
    assert read_task_results(tmp_path, "segment") == results
    assert len(write_task_tables(results, tmp_path)) == 3
    pytest.importorskip("jinja2")
    assert "<svg" in write_task_report(results, folder, tmp_path).read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(format=2), "not what a benchmark of a task writes"),
        (lambda content: content.update(against="nobody"), "none of the rows"),
        (lambda content: content["rows"]["mean"]["measures"].popitem(), "the measures of the first row"),
        (lambda content: content["rows"]["mean"]["measures"]["mIoU"].update(value=float("nan")), "finite number"),
    ],
)
def test_results_of_others_are_checked(
    segmented: tuple[TaskResults, Path], tmp_path: Path, change, message: str
) -> None:
    content = json.loads(segmented[0].write(tmp_path).read_text())
    change(content)
    (tmp_path / "task_segment.json").write_text(json.dumps(content))
    with pytest.raises(BenchmarkError, match=message):
        read_task_results(tmp_path, "segment")


def test_a_killed_run_continues(tmp_path: Path, monkeypatch) -> None:
    """Rows that are done are not trained again, and the result is that of a run in one go."""
    plan = TaskPlan("detect", (), **TINY)
    whole = run_task_benchmark(plan, tmp_path / "whole")
    real, trained = retraining.train_detector, []

    def killed(*args, **how):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(1)
        return real(*args, **how)

    monkeypatch.setattr(retraining, "train_detector", killed)
    with pytest.raises(KeyboardInterrupt):
        run_task_benchmark(plan, tmp_path / "parts")
    monkeypatch.setattr(retraining, "train_detector", lambda *args, **how: trained.append(1) or real(*args, **how))
    assert run_task_benchmark(plan, tmp_path / "parts").rows == whole.rows
    assert len(trained) == 8
    assert whole.rows["stacked"].seeds == [0, 1]
    assert not list((tmp_path / "parts").rglob("*.ckpt"))


def test_segmentation_of_published_sets(tmp_path: Path, monkeypatch, capsys) -> None:
    """MSRS has folders for its parts; MFNet lists of names, and four bands in a file."""
    msrs, mfnet, out = tmp_path / "msrs", tmp_path / "mfnet", tmp_path / "out"
    for part, seeds in (("train", (1, 2)), ("test", (3, 4)), ("val", (5,))):
        for seed in seeds:
            scene, name = rendered(*SIZE, seed), f"{seed:05}{'DN'[seed % 2]}.png"
            if part != "val":
                write_image(msrs / part / "ir" / name, scene.infrared)
                write_image(msrs / part / "vi" / name, scene.visible)
                write_image(msrs / part / "Segmentation_labels" / name, scene.labels)
            write_image(mfnet / "labels" / name, scene.labels)
            write_four_bands(mfnet / "images" / name, np.dstack([scene.visible, scene.infrared]))
        (mfnet / f"{part}.txt").write_text("".join(f"{seed:05}{'DN'[seed % 2]}\n" for seed in seeds))
    words = ["benchmark", "--task", "segment", "--models", "none", "--device", "cpu", "-o", str(out), "--no-report"]
    words += ["--seeds", "1", "--steps", "1", "--batch", "2", "--crop", "32x32"]
    assert main([*words, "--data", f"msrs={msrs}"]) == 0
    results = read_task_results(out, "segment")
    assert (results.title, results.pictures) == ("MSRS", 2)
    assert {"mIoU by night", "mIoU by day"} <= set(results.measures)
    assert [view.name for view in results.views] == ["00003N", "00004D"]
    # The same scenes: what was trained for the one is taken for the other.
    monkeypatch.setattr(retraining, "train_segmenter", lambda *_, **__: pytest.fail("other pictures"))
    assert main([*words, "--data", f"mfnet={mfnet}"]) == 0
    again = read_task_results(out, "segment")
    assert (again.title, again.rows) == ("MFNet", results.rows)
    write_image(mfnet / "images" / "00003N.png", rendered(*SIZE, 3).visible)
    capsys.readouterr()
    assert main([*words, "--data", f"mfnet={mfnet}"]) == 2
    assert "00003N.png: 3 bands found; red, green, blue, infrared are expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "caption"}, "detect or segment is expected"),
        ({"task": "segment", "detector": Path("a.onnx")}, "of task='detect'"),
        ({"detector": Path("a.onnx")}, "none is given"),
        ({"seeds": 0}, "at least 1"),
        ({"against": "nobody"}, "one of visible, infrared"),
        ({"models": parse_models("visible=auif")}, "two methods are called 'visible'"),
    ],
)
def test_plans_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        TaskPlan(**{"task": "detect", "models": (), **settings})


def test_labels_that_are_missing(data: Path, detector: Path, tmp_path: Path) -> None:
    with pytest.raises(PairError, match="no such folder"):
        run_task_benchmark(plan_of(data, detector, labels=tmp_path / "nowhere"), tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PairError, match="no labels of its pairs"):
        run_task_benchmark(plan_of(data, detector, labels=tmp_path / "empty"), tmp_path / "out")


def test_a_published_table_beside_ours(data: Path, detector: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["benchmark", "reproduce", "refinefuse-detection", "--data", str(data), "--detector", str(detector)]
    assert main([*words, "--models", "laplacian_pyramid", "--device", "cpu", "-o", str(out)]) == 0
    text = (out / "reproduce.md").read_text()
    ours = read_task_results(out, "detect").rows["visible"].measures["mAP50"].value
    rows = [line for line in text.splitlines() if line.startswith("|")]
    place = next(i for i, row in enumerate(rows) if row.startswith("| Visible | printed"))
    assert f"{100 * ours:.1f}" in rows[place + 1]
    assert f"{100 * ours - 84.9:+.1f}" in rows[place + 2]
    assert "YOLOv5s" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task", "detect", "--metrics", "EN"], "--metrics EN: of scores of pictures"),
        (["--task", "detect", "--workers", "2"], "--workers 2: of scores of pictures"),
        (["--task", "detect", "--recursive"], "--recursive: of scores of pictures"),
        (["--labels", "truth"], "--labels truth: of a task, --task detect or"),
        (["--detector", "a.onnx"], "--detector a.onnx: of a task, --task detect or"),
        (["--task", "segment", "--segmenter", "unet", "--models", "none"], "'unet': no such segmentation network"),
        (["--task", "segment", "--segmenter", "two_stream_compact", "--models", "none"], "two streams take red, green"),
    ],
)
def test_a_command_line_that_cannot_be(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["benchmark", "--data", f"mine={data}", "-o", str(tmp_path / "out"), *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_files_are_written_again(segmented: tuple[TaskResults, Path], tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    results, folder = segmented
    results.write(folder)
    assert main(["benchmark", "report", str(folder), "--task", "segment", "-o", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "task_segment.md",
        "task_segment.tex",
        "task_segment.csv",
        "task_report.html",
    }
    assert main(["benchmark", "report", str(folder), "--task", "caption"]) == 2


def test_intervals_over_pictures_are_of_the_mean_over_seeds() -> None:
    """Two seeds whose scores lie far apart: the interval of one of them alone would not hold the score of the row."""
    spread = np.linspace(-0.01, 0.01, 101)
    runs = {
        "ours": [Run(np.array([value]), value + spread[None]) for value in (0.2, 0.4)],
        "control": [Run(np.array([value]), value + spread[None]) for value in (0.1, 0.2)],
    }
    found = measures_of(["mIoU"], runs, "ours", ["control"])["mIoU"]
    assert found.value == pytest.approx(0.3)
    assert (found.pictures.low, found.pictures.high) == pytest.approx((0.2905, 0.3095))
    difference = found.differences["control"]
    assert difference.pictures.low == pytest.approx(difference.value) == pytest.approx(0.15)


def test_kept_pictures_are_painted_where_something_was_found(tmp_path: Path) -> None:
    image = np.full((4, 6, 3), 100, np.uint8)
    classes = np.zeros((4, 6), np.uint8)
    classes[:, 3:] = 1
    retraining._keep(tmp_path, "row", [Example("scene 0", image, classes)], {"scene 0": classes})
    kept = read_image(retraining.picture_file(tmp_path, "row", "scene 0"))
    assert (kept[:, :3] == 100).all()
    assert (kept[:, 3:] == np.round(0.4 * 100 + 0.6 * PALETTE[1])).all()
