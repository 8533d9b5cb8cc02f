"""What holds of every segmentation network, and their published counts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.benchmark.complexity import count_module
from imfuse.core.errors import ModelError
from imfuse.tasks.segment.file import load_segmenter, save_segmenter
from imfuse.tasks.segment.networks import SEGMENTERS, SegmentationNetwork, banet, build_segmenter, network_class
from imfuse.tasks.segment.networks import segnext as _segnext
from imfuse.tasks.segment.networks._base import DropPath, pixel_loss

SMALL = ("banet_compact", "bisenet", "segformer_compact", "segnext_compact", "two_stream_compact")
"""One of each family."""


def channels_of(name: str) -> int:
    return 4 if name.startswith("two_stream") else 3


@cache
@torch.inference_mode(False)  # What one test makes under it must serve training too.
def built(name: str, classes: int = 9) -> SegmentationNetwork:
    """With batch norms that have seen a batch, so that what follows is neither even nor saturated."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_segmenter(name, classes)
        with torch.no_grad():
            for _ in range(3):
                network(torch.randn(2, channels_of(name), 64, 64))
    return network.eval()


def pictures(name: str, count: int, height: int, width: int) -> Tensor:
    return torch.randn(count, channels_of(name), height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(64, 96), (61, 95), (29, 40)])
def test_logits_are_of_every_pixel(name: str, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = built(name)(pictures(name, 1, *size))
    assert logits.shape == (1, 9, *size)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", SMALL)
def test_a_batch_is_its_pictures_one_by_one_and_results_repeat(name: str) -> None:
    batch = pictures(name, 3, 45, 70)
    with torch.inference_mode():
        together = built(name)(batch)
        assert torch.equal(built(name)(batch), together)
        alone = torch.cat([built(name)(one[None]) for one in batch])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_the_objective_reaches_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    network = build_segmenter(name)
    for module in network.modules():
        if isinstance(module, DropPath):
            module.rate = 0
    labels = torch.randint(9, (2, 64, 64))
    labels[:, :4] = 255
    loss = network.loss(pictures(name, 2, 64, 64), labels)
    loss.backward()
    assert loss.ndim == 0
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == []


@pytest.mark.parametrize("name", SMALL)
def test_pixels_without_a_label_do_not_count(name: str) -> None:
    network, images = built(name), pictures(name, 2, 40, 48)
    labels = torch.full((2, 40, 48), 255)
    empty = network.loss(images, labels)
    empty.backward()
    assert empty.item() == 0
    labels[0, 0, 0] = 3
    with torch.no_grad():
        assert 0 < network.loss(images, labels).item() < float("inf")


@pytest.mark.parametrize("name", SMALL)
def test_a_file_gives_back_the_network(name: str, tmp_path: Path) -> None:
    channels, path = channels_of(name), tmp_path / "some.safetensors"
    save_segmenter(path, built(name), name, 9, channels, [0.4] * channels, [0.2] * channels, origin="a test")
    file = load_segmenter(path)
    batch = torch.rand(1, channels, 40, 50)
    with torch.inference_mode():
        assert torch.equal(file.network(batch), built(name)(batch))
    assert (file.name, file.classes, file.channels, file.mean) == (name, 9, channels, (0.4,) * channels)


@pytest.mark.parametrize("name", SMALL)
def test_other_classes_and_channels(name: str) -> None:
    channels = 4
    network = build_segmenter(name, 5, channels).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, channels, 40, 50)).shape == (1, 5, 40, 50)


def test_names_channels_and_sizes_that_cannot_be() -> None:
    with pytest.raises(ModelError, match="'unet': no such segmentation network; there are banet, "):
        build_segmenter("unet")
    with pytest.raises(ModelError, match="two streams take red, green, blue and infrared"):
        build_segmenter("two_stream_compact", channels=3)
    with pytest.raises(ModelError, match=r"a picture of 40x28 pixels: SegFormer needs 29 on a side"):
        built("segformer_compact")(torch.zeros(1, 3, 28, 40))


def test_the_cross_entropy_is_that_of_labelled_pixels() -> None:
    logits, labels = torch.randn(2, 9, 5, 6), torch.randint(9, (2, 5, 6))
    labels[0] = 255
    torch.testing.assert_close(pixel_loss(logits, labels), F.cross_entropy(logits[1:], labels[1:]))


def test_the_decomposition_is_fixed_in_evaluation_unless_asked_otherwise() -> None:
    maps = torch.rand(1, 64, 6, 7)
    fixed = _segnext.Decomposition(64, 16).eval()
    assert torch.equal(fixed(maps), fixed(maps))
    assert not torch.equal(fixed.train()(maps), fixed(maps)), "in training they are drawn"
    drawn = _segnext.Decomposition(64, 16, random=True).eval()
    assert not torch.equal(drawn(maps), drawn(maps))
    assert "fixed" not in fixed.state_dict()


def test_windows_of_banet_are_summed_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 40 every 30: exp of the probabilities of both ways, in two sizes, corners aligned."""
    monkeypatch.setattr(banet, "WINDOW", 40)
    monkeypatch.setattr(banet, "STRIDE", 30)
    network, images = built("banet_compact"), pictures("banet_compact", 2, 40, 60)

    def enlarged(maps: Tensor, *size: int) -> Tensor:
        return F.interpolate(maps, size, mode="bilinear", align_corners=True)

    total = torch.zeros(2, 9, 40, 60)
    for height, width, tops, lefts in ((40, 60, [0], [0, 20]), (48, 72, [0, 8], [0, 30, 32])):
        picture, scores = enlarged(images, height, width), torch.zeros(2, 9, height, width)
        for top in tops:
            for left in lefts:
                window = picture[:, :, top : top + 40, left : left + 40]
                both = network(window).softmax(1) + network(window.flip(3)).softmax(1).flip(3)
                scores[:, :, top : top + 40, left : left + 40] += both.exp()
        total += enlarged(scores, 40, 60)
    with torch.inference_mode():
        torch.testing.assert_close(network.augmented(images), total)


@pytest.mark.parametrize(("name", "ratios"), [("segformer_compact", 4), ("segnext_compact", 6)])
def test_other_augmentation_is_the_mean_over_sizes_and_mirror_images(name: str, ratios: int) -> None:
    network, images = built(name), pictures(name, 1, 40, 60)
    assert len(network.ratios) == ratios
    expected = torch.zeros(1, 9, 40, 60)
    with torch.inference_mode():
        for ratio in network.ratios:
            picture = F.interpolate(images, (round(40 * ratio), round(60 * ratio)), mode="bilinear")
            for seen, back in ((picture, False), (picture.flip(3), True)):
                found = F.interpolate(network(seen), (40, 60), mode="bilinear").softmax(1)
                expected += (found.flip(3) if back else found) / (2 * ratios)
        torch.testing.assert_close(network.augmented(images), expected)


def test_a_dropped_path_keeps_the_mean() -> None:
    torch.manual_seed(0)
    drop, branch = DropPath(0.25), torch.ones(4000, 2, 1)
    dropped = drop(branch)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(drop.eval()(branch), branch)


# Published counts: parameters for 9 and 150 classes, multiply-accumulates at 480x640 and 9 classes, at 512x512 and 150

COUNTS = {
    "banet": (23_002_240, None, 25.786, None),
    "segformer_b0": (3_717_618, 3_772_044, 9.346, 8.388),
    "segformer_b1": (13_680_722, 13_735_148, 18.333, 15.878),
    "segformer_b2": (27_354_706, 27_481_324, 71.757, 62.338),
    "segformer_b3": (47_230_546, 47_357_164, 91.645, 78.963),
    "segformer_b4": (64_001_106, 64_127_724, 111.624, 95.567),
    "segformer_b5": (84_601_426, 84_728_044, 130.638, 111.510),
    "segnext_t": (4_227_177, 4_263_414, 7.332, 6.404),
    "segnext_s": (13_896_649, 13_932_886, 18.162, 15.646),
    "segnext_b": (27_563_977, 27_636_310, 40.268, 34.663),
    "segnext_l": (48_782_025, 48_926_550, 80.959, 69.686),
}


def counts(name: str, classes: int, height: int, width: int) -> tuple[int, float]:
    """Parameters, and multiply-accumulates in units of 10^9."""
    with torch.device("meta"):
        network = build_segmenter(name, classes)
    assert isinstance(network, network_class(name))
    counted = count_module(network, height, width, channels=[channels_of(name)])
    unused = 129 * classes if name.startswith("segformer_b") else 0  # the layer of the authors that nothing calls
    return counted.parameters + unused, counted.macs / 1e9


@pytest.mark.parametrize("name", COUNTS)
def test_published_counts(name: str) -> None:
    nine, many, macs, macs_many = COUNTS[name]
    assert counts(name, 9, 480, 640) == (nine, pytest.approx(macs, abs=5e-4))
    if many is not None:
        assert counts(name, 150, 512, 512) == (many, pytest.approx(macs_many, abs=6e-4))


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("banet_compact", 722_736, 0.439),
        ("segformer_compact", 706_761, 0.303),
        ("segnext_compact", 582_889, 0.259),
        ("two_stream_compact", 1_375_897, 0.500),
    ],
)
def test_counts_of_compact_networks(name: str, parameters: int, macs: float) -> None:
    assert counts(name, 9, 240, 320) == (parameters, pytest.approx(macs, abs=6e-4))


def test_every_name_is_built() -> None:
    """Here, since all others are by the tests of counts."""
    assert set(SEGMENTERS) - set(COUNTS) - set(SMALL) == set()
    assert isinstance(built("bisenet"), network_class("bisenet"))
