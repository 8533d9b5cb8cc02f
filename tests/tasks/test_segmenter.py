"""Classes of pairs: arrays, files, folders, scores, and the command."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imfuse.cli.main import main
from imfuse.core.errors import ImageError, ModelError, PairError
from imfuse.core.size_rule import SizeRule
from imfuse.core.weights import save_weights
from imfuse.data.pairs import read_labels
from imfuse.fusing.engine import Prepared
from imfuse.fusing.folder import FolderReport, Progress
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import read_image, write_image
from imfuse.models import create_model
from imfuse.ops.padding import crop_to, pad_to
from imfuse.scenes import CLASSES, PALETTE
from imfuse.tasks.segment.scores import confusion_matrix, intersection_over_union, mean_iou, pixel_accuracy
from imfuse.tasks.segment.segmenter import Segmenter, overlay
from rendered_scenes import rendered


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = create_model("psfusion_compact", weights=None).train()
    with torch.no_grad():
        for _ in range(2):
            model.predict(torch.rand(2, 1, 64, 64), torch.rand(2, 1, 64, 64))
        scene = rendered(96, 128)
        pair = scene.infrared[None], scene.visible.mean(2)[None]
        logits = model.eval().predict(*(torch.tensor(x, dtype=torch.float32)[None] / 255 for x in pair)).semantic
        # No class that wins everywhere.
        model.segmentation.semantic[3].bias.sub_(logits.mean((0, 2, 3)))
    path = tmp_path_factory.mktemp("weights") / "some.safetensors"
    save_weights(path, model.state_dict(), {"model": "psfusion_compact"})
    return path


@pytest.fixture(scope="module")
def segmenter(weights: Path) -> Segmenter:
    return Segmenter(weights=weights)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for seed in range(3):
        scene = rendered(64, 96, seed)
        write_image(tmp_path / "ir" / f"{seed}.png", scene.infrared)
        write_image(tmp_path / "vi" / f"{seed}.png", scene.visible)
        write_image(tmp_path / "labels" / f"{seed}.png", scene.labels)
    return tmp_path


@pytest.mark.parametrize("size", [(64, 96), (75, 101), (3, 5)])
def test_classes_are_those_of_the_plain_network(weights: Path, segmenter: Segmenter, size: tuple[int, int]) -> None:
    scene = rendered(*size)
    found = segmenter(scene.infrared, scene.visible)
    assert (found.shape, found.dtype) == (size, np.uint8)
    images = [
        torch.from_numpy(x.astype(np.float32) / 255) for x in (scene.infrared[None], scene.visible.transpose(2, 0, 1))
    ]
    with torch.inference_mode():
        plain = create_model("psfusion_compact", weights)
        logits = plain.predict(*(pad_to(image[None], SizeRule(32, min_size=64)) for image in images)).semantic
    wanted = crop_to(logits, *size)[0].argmax(0).numpy()
    assert (found != wanted).mean() < 1e-3, "but for ties"
    if size == (75, 101):
        assert len(np.unique(found)) > 1


def test_gray_files_arrays_and_tensors_are_taken(segmenter: Segmenter, folders: Path) -> None:
    scene = rendered(64, 96, 1)
    found = segmenter(folders / "ir" / "1.png", folders / "vi" / "1.png")
    assert np.array_equal(found, segmenter(scene.infrared, scene.visible))
    gray = torch.from_numpy(scene.visible.astype(np.float32).mean(2) / 255)
    assert segmenter(torch.tensor(scene.infrared), gray).shape == (64, 96)
    with pytest.raises(PairError, match="a batch of several"):
        segmenter(torch.rand(2, 1, 64, 64), torch.rand(2, 1, 64, 64))


def test_methods_that_only_fuse_are_refused() -> None:
    with pytest.raises(ModelError, match=r"auif: fuses, but does not segment; these do: psfusion, psfusion_compact"):
        Segmenter("auif")
    with pytest.raises(ModelError, match="classes are found at full size"):
        Segmenter(weights=None, fit="resize")


def test_overlay_paints_classes_and_leaves_the_background() -> None:
    visible = np.full((2, 3), 0.5, np.float32)
    classes = np.array([[0, 1, 2], [0, 8, 0]], np.uint8)
    painted = overlay(visible, classes, strength=1.0)
    assert (painted[classes == 0] == 128).all()
    assert np.array_equal(painted[0, 1], PALETTE[1])
    assert np.array_equal(painted[1, 1], PALETTE[8])
    assert np.array_equal(overlay(visible, classes, strength=0.5)[0, 1], [96, 64, 128])


def test_folders_are_written_scored_and_done_once(segmenter: Segmenter, folders: Path) -> None:
    (folders / "labels" / "2.png").unlink()
    report = segmenter.folder(folders / "ir", folders / "vi", folders / "out", labels=folders / "labels")
    assert (report.written, report.skipped, report.failed, report.unlabelled) == (("0", "1", "2"), (), (), ("2",))
    wanted = torch.zeros(9, 9, dtype=torch.int64)
    for seed in range(3):
        scene = rendered(64, 96, seed)
        classes = segmenter(scene.infrared, scene.visible)
        assert np.array_equal(read_image(folders / "out" / "labels" / f"{seed}.png"), classes)
        drawn = read_image(folders / "out" / "overlay" / f"{seed}.png")
        assert np.array_equal(drawn, overlay(scene.visible.astype(np.float32) / 255, classes))
        if seed < 2:
            wanted += confusion_matrix(torch.from_numpy(scene.labels), torch.from_numpy(classes), 9)
    assert torch.equal(report.counts, wanted)
    again = segmenter.folder(folders / "ir", folders / "vi", folders / "out", labels=folders / "labels")
    assert (again.written, again.skipped) == ((), ("0", "1", "2"))
    assert torch.equal(again.counts, wanted)


def test_files_of_others_and_broken_pairs_are_reported(segmenter: Segmenter, folders: Path) -> None:
    write_image(folders / "out" / "overlay" / "0.png", np.zeros((4, 4), np.uint8))
    (folders / "vi" / "1.png").write_bytes(b"no picture")
    report = segmenter.folder(folders / "ir", folders / "vi", folders / "out")
    assert report.written == ("2",)
    assert [name for name, _ in report.failed] == ["0", "1"]
    assert "nothing in it says that imfuse made it" in report.failed[0][1]
    assert not (folders / "out" / "labels" / "0.png").exists()
    write_image(folders / "labels" / "2.png", np.zeros((4, 4), np.uint8))
    wrong = segmenter.folder(folders / "ir", folders / "vi", folders / "other", labels=folders / "labels")
    assert "4x4" in dict(wrong.failed)["2"]
    (folders / "none").mkdir()
    with pytest.raises(PairError, match="no labels there"):
        segmenter.folder(folders / "ir", folders / "vi", folders / "out", labels=folders / "none")


def test_a_defect_is_the_failure_of_its_pair(
    segmenter: Segmenter, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Segmenter.segment

    def segment(self: Segmenter, pair: Prepared) -> np.ndarray:
        if pair.infrared.shape == (8, 9):
            raise KeyError("what")
        return real(self, pair)

    monkeypatch.setattr(Segmenter, "segment", segment)
    for side in ("ir", "vi"):
        write_image(folders / side / "1.png", np.full((8, 9), 90 if side == "ir" else 120, np.uint8))
    report = segmenter.folder(folders / "ir", folders / "vi", folders / "out", labels=folders / "labels")
    assert report.written == ("0", "2")
    assert [name for name, _ in report.failed] == ["1"]
    assert "KeyError" in report.failed[0][1]
    assert report.counts.sum() == 2 * 64 * 96


def test_unmatched_files_are_listed_and_steps_are_told(segmenter: Segmenter, folders: Path) -> None:
    (folders / "ir" / "0.png").unlink()
    (folders / "vi" / "2.png").unlink()
    steps: list[Progress] = []
    report = segmenter.folder(folders / "ir", folders / "vi", folders / "out", progress=steps.append)
    assert isinstance(report, FolderReport)
    assert (report.unmatched_infrared, report.unmatched_visible) == (("2.png",), ("0.png",))
    assert steps == [Progress(0, 1), Progress(1, 1, "1", "written")]
    assert report.seconds > 0
    assert (report.unlabelled, report.counts) == ((), None)


def test_half_a_result_is_completed(segmenter: Segmenter, folders: Path) -> None:
    segmenter.folder(folders / "ir", folders / "vi", folders / "out")
    painted = (folders / "out" / "overlay" / "1.png").read_bytes()
    (folders / "out" / "overlay" / "1.png").write_bytes(painted[:-20])
    report = segmenter.folder(folders / "ir", folders / "vi", folders / "out")
    assert (report.written, report.skipped) == (("1",), ("0", "2"))
    assert (folders / "out" / "overlay" / "1.png").read_bytes() == painted
    report = segmenter.folder(folders / "ir", folders / "vi", folders / "out", overwrite=True, workers=1)
    assert report.written == ("0", "1", "2")


def test_nothing_that_is_read_is_replaced(segmenter: Segmenter, folders: Path) -> None:
    sides, labels = (folders / "ir", folders / "vi"), folders / "labels"
    before = {path: path.read_bytes() for path in folders.rglob("*.png")}
    with pytest.raises(PairError, match="labels folder itself"):
        segmenter.folder(*sides, folders, labels=labels, overwrite=True)
    with pytest.raises(PairError, match="visible folder itself"):
        segmenter.folder(folders / "ir", labels, folders, overwrite=True)
    with pytest.raises(ImageError, match="one of the two pictures"):
        segmenter.files(folders / "ir" / "0.png", labels / "0.png", folders, overwrite=True)
    assert {path: path.read_bytes() for path in folders.rglob("*.png")} == before
    assert not (folders / "overlay").exists()


def test_reading_overlaps_the_network(segmenter: Segmenter, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[str, set[bool]] = {"prepare": set(), "run": set()}

    def watched(name: str) -> Any:
        real = getattr(Fuser, name)

        def run(*arguments: Any) -> Any:
            threads[name].add(threading.current_thread() is threading.main_thread())
            return real(*arguments)

        return run

    for name in threads:
        monkeypatch.setattr(Fuser, name, watched(name))
    segmenter.folder(folders / "ir", folders / "vi", folders / "out")
    assert threads == {"prepare": {False}, "run": {True}}


def test_what_means_the_same_has_the_same_signature() -> None:
    for name in ("files", "folder"):
        of_fuser, of_segmenter = (inspect.signature(getattr(kind, name)).parameters for kind in (Fuser, Segmenter))
        assert [str(of_segmenter[key]) for key in of_fuser] == [str(value) for value in of_fuser.values()]
        assert of_segmenter.keys() - of_fuser.keys() == ({"labels"} if name == "folder" else set())


def test_one_line_describes_a_segmenter(segmenter: Segmenter) -> None:
    device = segmenter.fuser.device
    expected = f"Segmenter('psfusion_compact', weights='some.safetensors', device='{device}', dtype='float32')"
    assert repr(segmenter) == expected


def test_command(weights: Path, folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = [str(folders / "ir"), str(folders / "vi")]
    options = ["-o", str(folders / "out"), "--weights", str(weights), "--model", "psfusion_compact"]
    assert main(["segment", *sides, *options, "--labels", str(folders / "labels")]) == 0
    said = capsys.readouterr().out
    assert f"3 pairs segmented into {folders / 'out'}" in " ".join(said.split())
    assert all(name in said for name in CLASSES)
    assert "pixel accuracy 0." in said
    (folders / "ir" / "0.png").rename(folders / "ir" / "extra.png")
    (folders / "vi" / "1.png").write_bytes(b"")
    assert main(["segment", *sides, *options, "--labels", str(folders / "labels"), "--workers", "1"]) == 1
    out, err = capsys.readouterr()
    assert "0 pairs segmented into" in " ".join(out.split())
    assert "1 finished before, 1 failed" in " ".join(out.split())
    lines = err.splitlines()
    assert lines[:2] == [
        "imfuse: 1 infrared picture without a partner: extra.png",
        "imfuse: 1 visible picture without a partner: 0.png",
    ]
    assert lines[2].startswith("imfuse: failed: 1: ")
    assert len(lines) == 3
    (folders / "ir" / "extra.png").rename(folders / "ir" / "0.png")
    one = [f"{side}/0.png" for side in sides]
    assert main(["segment", *one, "-o", str(folders / "one"), "--weights", str(weights)]) == 0
    assert read_image(folders / "one" / "labels" / "0.png").shape == (64, 96)
    assert main(["segment", *one, "-o", str(folders / "one"), "--weights", str(weights)]) == 0
    assert "finished before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ir", "vi/0.png"], "give two files or two folders"),
        (["ir/0.png", "vi/0.png", "--labels", "labels"], "two files were given"),
        (["ir", "vi", "--model", "didfuse"], "does not segment"),
        (["ir", "vi", "-o", "ir"], "choose another output folder"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    words: list[str],
    message: str,
    weights: Path,
    folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folders)
    extra = [] if "--model" in words else ["--weights", str(weights)]
    assert main(["segment", *words, *extra]) == 2
    said = capsys.readouterr().err
    assert message in " ".join(said.split())
    assert len(said.strip().splitlines()) == 1


def test_scores_of_a_matrix_and_of_none() -> None:
    counts = torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert intersection_over_union(counts)[:2].tolist() == [0.75, 0.8]
    assert mean_iou(counts).item() == pytest.approx(0.775)
    assert pixel_accuracy(counts).item() == pytest.approx(7 / 8)
    assert mean_iou(torch.zeros(3, 3, dtype=torch.int64)).isnan()
    large = torch.full((2, 2), 2**60)
    assert intersection_over_union(large).tolist() == pytest.approx([1 / 3, 1 / 3])


def test_labels_in_colour_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "colour.png", np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    with pytest.raises(ImageError, match="class numbers as an 8-bit gray image"):
        read_labels(tmp_path / "colour.png")


def test_options_that_settle_a_warning_are_those_of_fuse(
    weights: Path, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(folders / "deep.png", read_image(folders / "vi" / "0.png").astype(np.uint16) * 16)
    pair = [str(folders / "ir" / "0.png"), str(folders / "deep.png")]
    words = ["segment", *pair, "-o", str(folders / "out"), "--weights", str(weights), "--strict"]
    assert main(words) == 2
    assert "use --visible-range 0,4095" in capsys.readouterr().err
    assert main([*words, "--visible-range", "0,4095", "--range", "full", "--infrared-palette", "none"]) == 0
    assert "warning" not in capsys.readouterr().err
