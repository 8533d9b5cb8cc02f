"""BANet, SegFormer and SegNeXt against golden values of the fact sheets: logits, features, heads and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.losses.common import hard_pixel_loss
from imfuse.tasks.segment.networks import build_segmenter
from imfuse.tasks.segment.networks._base import pixel_loss, resize
from imfuse.tasks.segment.networks.banet import BANet
from imfuse.tasks.segment.networks.segformer import SegFormer
from imfuse.tasks.segment.networks.segnext import STEPS_IN_TRAINING, SegNeXt, decomposed

SIZES = ((64, 96), (61, 95), (96, 128))
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def filled(golden: Any, name: str) -> Any:
    """A network whose every entry has the value that the name of the published one stands for."""
    network = build_segmenter(name).eval()
    state = {
        key: torch.from_numpy(np.asarray(golden.rules.fill(network.published_name(key), tuple(value.shape))))
        for key, value in network.state_dict().items()
    }
    network.load_state_dict(state)
    return network


def picture(golden: Any, height: int, width: int) -> Tensor:
    normalised = (torch.from_numpy(golden.rules.colour(height, width)) - MEAN) / DEVIATION
    return normalised.permute(2, 0, 1)[None].contiguous()


def labels(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    classes = (y // 8 + x // 10) % 9
    classes[:4] = 255
    return classes[None]


class Close:
    """Compares with a stored array, thinned as that is."""

    def __init__(self, arrays: dict[str, Tensor]) -> None:
        self.arrays, self.seen = arrays, set[str]()

    def __call__(self, name: str, actual: Tensor, every: int = 1, tolerance: float = 1e-4) -> None:
        expected = self.arrays[name][0, 0]
        self.seen.add(name)
        torch.testing.assert_close(actual[..., ::every, ::every].squeeze(0), expected, atol=tolerance, rtol=0)


@pytest.fixture
def close(golden: Any, request: pytest.FixtureRequest) -> Iterator[Close]:
    comparison = Close(golden.arrays(request.param))
    yield comparison
    assert comparison.seen == comparison.arrays.keys(), "every array was looked at"


def gradient(loss: Callable[[Tensor], Tensor], images: Tensor) -> tuple[float, Tensor]:
    images = images.clone().requires_grad_()
    value = loss(images)
    value.backward()
    assert images.grad is not None
    return value.item(), images.grad


def over_all_pixels(network: Any) -> Callable[[Tensor], Tensor]:
    """The authors divide by the pixels without a label, too."""

    def loss(images: Tensor) -> Tensor:
        return F.cross_entropy(network(images), labels(64, 96), ignore_index=255, reduction="sum") / (64 * 96)

    return loss


@pytest.mark.parametrize("close", ["banet"], indirect=True)
def test_banet(golden: Any, close: Close) -> None:
    network: BANet = filled(golden, "banet")
    for size in SIZES:
        at, images = f"{size[0]}x{size[1]}", picture(golden, *size)
        with torch.inference_mode():
            levels = network.trunk(images)
            context, middle = network.decoder(levels)
            main, side = network.predict(images)
            close(f"logits8_{at}", network.result(context))
            close(f"aux16_{at}", network.side(middle))
            assert torch.equal(network(images), main)
        close(f"full_{at}_s4", main, 4)
        close(f"auxfull_{at}_s8", side, 8)
        if size == SIZES[0]:
            close("labels_64x96", main.argmax(1).to(torch.uint8))
            close("feat8_64x96_s4", levels[0], 4)
            close("feat16_64x96_s2", levels[1], 2)
            close("feat32_64x96", levels[2])
            close("context8_64x96_s2", context, 2)
            close("arm16_64x96", middle)
    images, truth = picture(golden, 64, 96), labels(64, 96)
    with torch.no_grad():
        losses = [hard_pixel_loss(part, truth, 384, 0.7).item() for part in network.predict(images)]
    assert losses == pytest.approx([2.6370087, 4.6226745], abs=1e-5)
    total, slope = gradient(lambda images: network.loss(images, truth), images)
    assert total == pytest.approx(61.040146, abs=1e-4)
    assert slope.abs().sum().item() == pytest.approx(311.71756, rel=1e-3)
    close("grad_input_64x96_s4", slope, 4, slope.abs().max().item() * 1e-3)


@pytest.mark.parametrize("close", ["segformer"], indirect=True)
def test_segformer(golden: Any, close: Close) -> None:
    network: SegFormer = filled(golden, "segformer_b2")
    for size in SIZES:
        at, images, first = f"{size[0]}x{size[1]}", picture(golden, *size), size == SIZES[0]
        with torch.inference_mode():
            levels = network.encoder(images)
            logits = network.head(levels)
            close(f"logits4_{at}", logits, 1 if first else 2)
            close(f"full_{at}_s4", resize(logits, size), 4)
            assert torch.equal(network(images), resize(logits, size))
        if first:
            close("labels_64x96", resize(logits, size).argmax(1).to(torch.uint8))
            for number, (level, every) in enumerate(zip(levels, (8, 4, 2, 1), strict=True), 1):
                close(f"c{number}_64x96_s{every}", level, every)
    images = picture(golden, 64, 96)
    with torch.inference_mode():
        assert pixel_loss(network(images), labels(64, 96)).item() == pytest.approx(2.4134891, abs=1e-5)
    total, slope = gradient(over_all_pixels(network), images)
    assert total == pytest.approx(2.2626460, abs=1e-5)
    assert slope.abs().sum().item() == pytest.approx(10.035055, rel=1e-3)
    close("grad_input_64x96_s4", slope, 4, slope.abs().max().item() * 1e-3)
    for size in ("b0", "b4"):
        other: SegFormer = filled(golden, f"segformer_{size}")
        with torch.inference_mode():
            close(f"{size}_logits4_64x96", other.head(other.encoder(images)))


@pytest.mark.parametrize("close", ["segnext"], indirect=True)
def test_segnext(golden: Any, close: Close) -> None:
    network: SegNeXt = filled(golden, "segnext_b")
    for size in SIZES:
        at, images = f"{size[0]}x{size[1]}", picture(golden, *size)
        with torch.inference_mode():
            levels = network.encoder(images)
            logits = network.head(levels[1:])
            close(f"logits8_{at}", logits)
            close(f"full_{at}_s4", resize(logits, size), 4)
            assert torch.equal(network(images), resize(logits, size))
        if size == SIZES[0]:
            close("labels_64x96", resize(logits, size).argmax(1).to(torch.uint8))
            for number, (level, every) in enumerate(zip(levels, (16, 4, 2, 1), strict=True), 1):
                close(f"c{number}_64x96_s{every}", level, every)
            with torch.inference_mode():
                check_the_head(network, levels, close)
    images = picture(golden, 64, 96)
    with torch.inference_mode():
        assert pixel_loss(network(images), labels(64, 96)).item() == pytest.approx(2.4638324, abs=1e-5)
    total, slope = gradient(over_all_pixels(network), images)
    assert total == pytest.approx(2.3098428, abs=1e-5)
    assert slope.abs().sum().item() == pytest.approx(5.6714621, rel=1e-3)
    close("grad_input_64x96_s4", slope, 4, slope.abs().max().item() * 1e-3)
    for size in ("t", "l"):
        other: SegNeXt = filled(golden, f"segnext_{size}")
        with torch.inference_mode():
            close(f"{size}_logits8_64x96", other.head(other.encoder(images)[1:]))


def check_the_head(network: SegNeXt, levels: list[Tensor], close: Close) -> None:
    head, size = network.head, (levels[1].shape[2], levels[1].shape[3])
    maps = torch.cat([resize(level, size) for level in levels[1:]], dim=1)
    squeezed = torch.relu(head.squeeze(maps))
    close("squeeze_64x96_s4", squeezed, 4)
    entered = torch.relu(head.enter(squeezed))
    close("ham_64x96_s4", head.decompose(entered), 4)
    close("hamburger_64x96_s4", head.mix(maps), 4)
    in_training = decomposed(entered.flatten(2), head.decompose.fixed[None], STEPS_IN_TRAINING)
    close("ham_train_64x96_s4", in_training.view_as(entered), 4)
