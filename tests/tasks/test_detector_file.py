"""Files of trained detectors: they come back as they were, and what is wrong with one is said in a line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from imfuse.core.errors import ImageError, WeightsError
from imfuse.core.weights import save_weights
from imfuse.tasks.detect.file import TrainedDetector, load_detector, save_detector
from imfuse.tasks.detect.network import DetectorNetwork
from imfuse.tasks.examples import Normalisation

NAMES = ["person", "car"]
PLAIN = Normalisation((0.5,) * 3, (0.25,) * 3)


@pytest.fixture(scope="module")
def network() -> DetectorNetwork:
    torch.manual_seed(0)
    return DetectorNetwork(2).eval()


def test_what_is_saved_comes_back(network: DetectorNetwork, tmp_path: Path) -> None:
    save_detector(tmp_path / "a.safetensors", network, NAMES, PLAIN, {"origin": "noise", "seed": "0"})
    loaded = load_detector(tmp_path / "a.safetensors", threshold=0.001)
    assert loaded.names == ("person", "car")
    assert loaded.normalisation == PLAIN
    assert loaded.header["origin"] == "noise"
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    before = TrainedDetector(network, NAMES, PLAIN, threshold=0.001)
    assert before.fingerprint == loaded.fingerprint != load_detector(tmp_path / "a.safetensors").fingerprint
    found, again = before.find(picture), loaded.find(picture)
    assert len(found) > 0
    assert (found.corners == again.corners).all()
    assert (found.scores == again.scores).all()


def test_pictures_of_any_kind_are_one_picture(network: DetectorNetwork) -> None:
    detector = TrainedDetector(network, NAMES, PLAIN, threshold=0.001)
    gray = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    wanted = detector.find(np.repeat(gray[..., None], 3, axis=2))
    for same in (gray, gray[..., None], gray.astype(np.float32) / 255):
        assert (detector.find(same).corners == wanted.corners).all()


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 5, 2), np.uint8), np.zeros((0, 5), np.uint8), np.zeros(9, np.uint8), np.zeros((9, 9), int)]
)
def test_what_is_no_picture_is_refused(network: DetectorNetwork, picture: np.ndarray) -> None:
    with pytest.raises(ImageError, match="is expected, found"):
        TrainedDetector(network, NAMES, PLAIN).find(picture)


HEADER = {
    "task": "detect",
    "network": "compact",
    "names": json.dumps(NAMES),
    "channels": "3",
    "mean": "[0.5, 0.5, 0.5]",
    "deviation": "[0.25, 0.25, 0.25]",
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"task": "segment"}, "does not say that it is a detector"),
        ({"network": "huge"}, "does not say that it is a detector"),
        ({"names": "[]"}, "names="),
        ({"names": '["a", 3]'}, "names="),
        ({"names": "[" * 100_000}, "names="),
        ({"names": json.dumps(["a"] * 5000)}, "names="),
        ({"names": '["a"]'}, "wrong shape"),
        ({"channels": "5"}, "channels="),
        ({"channels": "1000000000"}, "channels="),
        ({"channels": "x"}, "channels="),
        ({"mean": "[0.5]"}, "mean="),
        ({"mean": "[0.5, 0.5, NaN]"}, "mean="),
        ({"deviation": "[0.5, 0.5, 0]"}, "deviation="),
    ],
)
def test_a_header_that_cannot_be_is_one_line(
    network: DetectorNetwork, tmp_path: Path, changed: dict[str, str], message: str
) -> None:
    save_weights(tmp_path / "odd.safetensors", network.state_dict(), HEADER | changed)
    with pytest.raises(WeightsError, match=message) as raised:
        load_detector(tmp_path / "odd.safetensors")
    assert len(str(raised.value)) < 700
    assert "\n" not in str(raised.value)


def test_weights_of_others_are_refused(network: DetectorNetwork, tmp_path: Path) -> None:
    state = network.state_dict()
    for name, wrong in {
        "missing": {key: value for key, value in state.items() if "stem" not in key},
        "NaN": state | {"head.boxes.bias": torch.full((4,), torch.nan)},
        "int64": state | {"head.boxes.bias": torch.zeros(4, dtype=torch.int64)},
    }.items():
        save_weights(tmp_path / "odd.safetensors", wrong, HEADER)
        with pytest.raises(WeightsError, match=name):
            load_detector(tmp_path / "odd.safetensors")
    (tmp_path / "odd.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(WeightsError):
        load_detector(tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match="no such file"):
        load_detector(tmp_path / "none.safetensors")
