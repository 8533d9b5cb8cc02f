"""A detector that imfuse trained is used as one of others is, by the library and by ``imfuse detect``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from imfuse.cli.main import main
from imfuse.core.errors import ModelError
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import read_image, write_image
from imfuse.tasks.detect import Truth, detect_folder, detect_fused, open_detector
from imfuse.tasks.detect.file import TrainedDetector, save_detector
from imfuse.tasks.detect.network import DetectorNetwork
from imfuse.tasks.examples import Normalisation

SIZE = (48, 64)


def write_trained(path: Path, channels: int = 3) -> Path:
    """A detector of two classes that has learnt nothing, and says all it can of a picture."""
    torch.manual_seed(0)
    network = DetectorNetwork(2, channels).eval()
    save_detector(path, network, ["person", "car"], Normalisation((0.5,) * channels, (0.25,) * channels), {})
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trained(tmp_path_factory.mktemp("trained") / "detector.safetensors")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    (tmp_path / "truth").mkdir()
    for name in ("1", "2"):
        write_image(tmp_path / "ir" / f"{name}.png", random.integers(0, 256, SIZE, np.uint8))
        write_image(tmp_path / "vi" / f"{name}.png", random.integers(0, 256, (*SIZE, 3), np.uint8))
        (tmp_path / "truth" / f"{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    return tmp_path


def test_pictures_and_pairs_are_searched(file: Path, folders: Path) -> None:
    detector = open_detector(file, threshold=0.001)
    assert isinstance(detector, TrainedDetector)
    report = detect_fused(detector, folders / "vi", folders / "found", truth=Truth(folders / "truth"))
    assert report.written == ("1", "2")
    assert report.scores is not None
    assert report.lacking == ("Bus",)
    found = detector.find(read_image(folders / "vi" / "1.png"))
    assert len(found) > 0
    np.testing.assert_allclose(report.boxes["1"].boxes.corners, found.corners, atol=1e-3)
    assert detect_fused(detector, folders / "vi", folders / "found").skipped == ("1", "2")
    # A gray result is searched as well.
    for name in ("1.png", "2.png"):
        write_image(folders / "gray" / name, 255 - read_image(folders / "ir" / name))
    fuser = Fuser("laplacian_pyramid", device="cpu")
    pairs = detect_folder(detector, fuser, folders / "ir", folders / "gray", folders / "pairs")
    assert len(pairs.boxes["2"].boxes) > 0


def test_command(file: Path, folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["detect", "--fused", str(folders / "vi"), "-o", str(folders / "found"), "--detector", str(file)]
    assert main([*words, "--threshold", "0.001", "--labels", str(folders / "truth")]) == 0
    shown = capsys.readouterr().out
    assert "2 pictures searched into" in shown
    assert "People" in shown
    assert main([*words, "--layout", "yolov8"]) == 2
    assert "detector.safetensors: a detector that imfuse trained; --layout yolov8 is of ONNX" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": "yolov8"}, "layout='yolov8' is of ONNX files"),
        ({"names": Path("names.txt")}, "names='names.txt' is of ONNX files"),
        ({"size": 640}, "size=640 is of ONNX files"),
        ({"threshold": 0}, "a score between 0 and 1"),
    ],
)
def test_settings_that_cannot_be(file: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_detector(file, **settings)  # type: ignore[arg-type]


def test_threads_are_those_of_pytorch(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    open_detector(file, threads=3)
    assert told == [3]


def test_a_detector_of_four_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"four.safetensors: looks at 4 channels; pictures of 3 are searched"):
        open_detector(write_trained(tmp_path / "four.safetensors", 4))


@pytest.mark.parametrize("value", [torch.inf, torch.nan, 1e4])
def test_boxes_without_a_place_in_the_picture_are_left_out(value: float) -> None:
    network = DetectorNetwork(2).eval()
    bias = dict(network.named_parameters())["head.boxes.bias"]
    with torch.no_grad():
        bias[:2] = value
    detector = TrainedDetector(network, ["a", "b"], Normalisation((0.5,) * 3, (0.2,) * 3), threshold=1e-6)
    assert len(detector.find(np.zeros((40, 40), np.uint8))) == 0
