"""Files of segmentation networks: what they say, what is refused, and checkpoints of the authors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imfuse.core.errors import ImfuseError, WeightsError
from imfuse.core.weights import save_weights
from imfuse.tasks.segment.convert import convert_segmenter
from imfuse.tasks.segment.file import SegmenterFile, load_segmenter, save_segmenter
from imfuse.tasks.segment.networks import SegmentationNetwork, build_segmenter

NAME = "segformer_compact"
HEADER = {
    "task": "segment",
    "network": NAME,
    "classes": "9",
    "channels": "3",
    "mean": "0.4, 0.5, 0.6",
    "deviation": "0.2, 0.2, 0.2",
}


@pytest.fixture(scope="module")
def network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return build_segmenter(NAME).eval()


def test_the_header_says_what_was_trained(network: SegmentationNetwork, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_segmenter(path, network, NAME, 9, 3, (0.4, 1 / 3, 0.6), (0.2,) * 3, origin="auif on msrs", seed=0, steps=20)
    file = load_segmenter(path)
    assert {**HEADER, "mean": "0.4, 0.333333333, 0.6"}.items() <= file.header.items()
    assert (file.header["origin"], file.header["seed"], file.header["steps"]) == ("auif on msrs", "0", "20")
    assert not file.network.training
    first = path.read_bytes()
    save_segmenter(path, file.network, NAME, 9, 3, file.mean, file.deviation, origin="auif on msrs", seed=0, steps=20)
    assert path.read_bytes() == first


def test_pictures_are_normalised_and_classified(network: SegmentationNetwork) -> None:
    file = SegmenterFile(network, NAME, 9, 3, (0.4, 0.5, 0.6), (0.2, 0.1, 0.5), {})
    picture = np.random.default_rng(0).random((40, 50, 3), np.float32)
    normalised = (picture - [0.4, 0.5, 0.6]) / [0.2, 0.1, 0.5]
    with torch.inference_mode():
        logits = network(torch.tensor(normalised, dtype=torch.float32).permute(2, 0, 1)[None])
    assert np.array_equal(file.classes_of(picture), logits[0].argmax(0).numpy())


def test_reading_a_file_draws_nothing(network: SegmentationNetwork, tmp_path: Path) -> None:
    save_weights(tmp_path / "some.safetensors", network.state_dict(), HEADER)
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    load_segmenter(tmp_path / "some.safetensors")
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "detect"}, "does not say that it is a segmenter"),
        ({"network": "unet\n\x1b[2J" + "x" * 10**5}, "no such segmentation network"),
        ({"network": "segformer_b5"}, "not the layout of this network"),
        ({"network": "two_stream_compact"}, "two streams take"),
        ({"classes": "10"}, "wrong shape"),
        ({"classes": "999999999999"}, "a number from 1 to 255 is expected"),
        ({"classes": "9.0"}, "a number from 1 to 255 is expected"),
        ({"channels": "2"}, "a number from 3 to 4 is expected"),
        ({"channels": "4", "mean": "1, 1, 1, 1", "deviation": "1, 1, 1, 1"}, "wrong shape"),
        ({"mean": "0.4, 0.5"}, "3 numbers are expected"),
        ({"mean": "0.4, nan, 0.5"}, "3 numbers are expected"),
        ({"deviation": "0.2, 0, 0.2"}, "positive numbers are expected"),
    ],
)
def test_headers_that_cannot_be_are_one_line(
    network: SegmentationNetwork, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    path = tmp_path / "some.safetensors"
    save_weights(path, network.state_dict(), HEADER | changes)
    with pytest.raises(WeightsError, match=message) as caught:
        load_segmenter(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_damaged_and_foreign_files_are_one_line(network: SegmentationNetwork, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_weights(path, network.state_dict(), HEADER)
    whole = path.read_bytes()
    state = network.state_dict()
    pickle = tmp_path / "pickle.safetensors"
    torch.save(state, pickle)
    for content in (b"", whole[:100], whole[:-10], b"\xff" * 16, pickle.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(WeightsError) as caught:
            load_segmenter(path)
        assert "\n" not in str(caught.value)
    save_weights(path, {**state, "head.fuse.weight": state["head.fuse.weight"] * torch.nan}, HEADER)
    with pytest.raises(WeightsError, match=r"NaN or infinite values in head\.fuse\.weight"):
        load_segmenter(path)
    with pytest.raises(WeightsError, match="no such file"):
        load_segmenter(tmp_path / "none.safetensors")


def published(network: SegmentationNetwork) -> dict[str, torch.Tensor]:
    """The state of a network under the names that its authors give to it."""
    return {network.published_name(name): value for name, value in network.state_dict().items()}


@pytest.mark.parametrize("name", ["banet_compact", "segformer_compact", "segformer_b0", "segnext_compact"])
def test_checkpoints_of_the_authors_are_recognised(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_segmenter(name, 7).eval()
    entries = published(network)
    if name.startswith("segformer"):
        entries["decode_head.conv_seg.bias"] = torch.zeros(7)
    torch.save({"meta": {"CLASSES": ["a"]}, "state_dict": entries}, tmp_path / "theirs.pth")
    assert convert_segmenter(tmp_path / "theirs.pth", tmp_path / "ours.safetensors") == name
    file = load_segmenter(tmp_path / "ours.safetensors")
    assert (file.classes, file.mean, file.header["origin"]) == (7, (0.485, 0.456, 0.406), "converted from theirs.pth")
    images = torch.rand(1, 3, 40, 50)
    with torch.inference_mode():
        assert torch.equal(file.network(images), network(images))


def test_other_checkpoints_are_one_line(network: SegmentationNetwork, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.pth", tmp_path / "ours.safetensors"
    entries = published(network)

    def refused(content: Any, message: str, **how: Any) -> None:
        torch.save(content, theirs)
        with pytest.raises(ImfuseError, match=message) as caught:
            convert_segmenter(theirs, ours, **how)
        assert "\n" not in str(caught.value)
        assert not ours.exists()

    refused({"a": torch.zeros(3)}, "not the layout of a known segmentation network: banet, ")
    refused(entries | {"more": torch.zeros(3)}, "unexpected more", name=NAME)
    refused({k: v for k, v in entries.items() if "norm4" not in k}, r"missing encoder\.stages\.3\.norm", name=NAME)
    refused(entries, "mean and deviation need as many numbers", mean=(0.5,))
    refused(entries, "lacks the first or the last layer of banet", name="banet")
    last = "decode_head.linear_pred.weight"
    refused(entries | {last: torch.zeros(1, 1, 1, 1).expand(10**9, 64, 1, 1)}, "1000000000 classes", name=NAME)


def test_names_of_entries_are_those_of_published_checkpoints(shared: Path) -> None:
    for name, keys in (("banet", "banet"), ("segformer_b2", "segformer"), ("segnext_b", "segnext")):
        listed = json.loads((shared / "golden" / f"{keys}.keys.json").read_text(encoding="utf-8"))
        with torch.device("meta"):
            network = build_segmenter(name)
        theirs = {key: tuple(shape) for key, shape in listed if not key.startswith(network.unused or "none")}
        ours = {network.published_name(key): tuple(value.shape) for key, value in network.state_dict().items()}
        assert ours == theirs
