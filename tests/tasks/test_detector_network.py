"""Our small detector: it learns, takes any size, and says the same of a picture alone and among others."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.core.boxes import Boxes
from imfuse.tasks.detect.assign import assign, places_of
from imfuse.tasks.detect.network import STRIDES, DetectorNetwork, iou_and_giou
from imfuse.tasks.examples import Normalisation
from imfuse.tasks.fit import FitSettings, fit, seeded
from imfuse.tasks.rendered import FIRST_SEED, as_examples, infrared, render_scenes

CPU = torch.device("cpu")


@cache
def network(channels: int = 3) -> DetectorNetwork:
    built = seeded(lambda: DetectorNetwork(3, channels), 0)
    assert isinstance(built, DetectorNetwork)
    return built.eval()


def pictures(height: int, width: int, count: int = 2, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(height + width))


def test_it_has_about_a_million_parameters() -> None:
    assert 0.9e6 < sum(value.numel() for value in network().parameters()) < 1.1e6


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(33, 47), (64, 96), (1, 1), (61, 200)])
def test_any_size_and_number_of_channels(size: tuple[int, int], channels: int) -> None:
    images = pictures(*size, channels=channels)
    logits, boxes = network(channels)(images)
    places = sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in STRIDES)
    assert logits.shape == (2, places, 3)
    assert boxes.shape == (2, places, 4)
    assert (boxes[..., 2:] > boxes[..., :2]).all()
    for found in network(channels).find(images, min_score=0.0):
        assert len(found) <= 100
        assert (found.corners >= 0).all()
        assert (found.corners <= [size[1], size[0]] * 2).all()
        assert (np.diff(found.scores) <= 0).all()


def test_a_batch_is_its_pictures_one_by_one() -> None:
    images = pictures(61, 95, 3)
    together = network()(images)
    alone = [network()(image[None]) for image in images]
    for part in (0, 1):
        torch.testing.assert_close(together[part], torch.cat([one[part] for one in alone]), atol=1e-4, rtol=1e-4)


def test_the_gradient_reaches_every_parameter() -> None:
    fresh = DetectorNetwork(3)
    # An object for each stride, and every class.
    boxes = Boxes.of([[5, 5, 25, 29], [30, 20, 100, 80], [0, 0, 128, 128]], [0, 1, 2])
    fresh.loss(pictures(128, 128), [boxes, Boxes.of([], [])]).backward()
    without = [name for name, value in fresh.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []


def test_pictures_without_objects_have_a_loss() -> None:
    loss = DetectorNetwork(3).loss(pictures(64, 64), [Boxes.of([], [])] * 2)
    assert 0 < loss.item() < 100


def test_it_learns_four_scenes() -> None:
    examples = as_examples(render_scenes(FIRST_SEED, 4, 64, 96), infrared)
    normalisation = Normalisation.of(examples)
    settings = FitSettings(
        steps=45, batch=4, crop=(64, 96), lr=4e-3, warm_up=3, mirror=False, scale=(1, 1), device="cpu"
    )
    trained = seeded(lambda: DetectorNetwork(3), 0)
    assert isinstance(trained, DetectorNetwork)
    fitted = fit(
        trained, lambda batch: trained.loss(batch.images, batch.boxes or []), examples, normalisation, settings
    )
    assert fitted.losses[-1] < 0.3 * fitted.losses[0]
    right = total = 0
    for example in examples:
        assert example.boxes is not None
        found = trained.find(normalisation.apply([example.image]), min_score=0.3)[0]
        total += len(example.boxes)
        for corners, kind in zip(example.boxes.corners, example.boxes.classes, strict=True):
            own = torch.from_numpy(found.corners[found.classes == kind])
            overlaps = iou_and_giou(torch.from_numpy(corners).expand(len(own), 4), own)[0]
            right += bool((overlaps > 0.5).any())
    assert right > total / 2


# Which places find an object


@pytest.mark.parametrize(
    ("box", "stride"), [([20, 20, 30, 44], 8), ([10, 10, 74, 90], 16), ([0, 0, 128, 128], 32), ([3, 3, 4, 5], 8)]
)
def test_objects_are_found_at_the_stride_of_their_size(box: list[int], stride: int) -> None:
    targets = assign([Boxes.of([box], [1])], (128, 128), STRIDES, CPU)
    places, steps = places_of((128, 128), STRIDES, CPU)
    chosen = targets.positive[0]
    assert chosen.any()
    assert set(steps[chosen, 0].tolist()) == {stride}
    assert set(targets.classes[0, chosen].tolist()) == {1}
    assert (targets.boxes[0, chosen] == torch.tensor(box, dtype=torch.float32)).all()
    centre = torch.tensor([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    assert (places[chosen] - centre).abs().max() <= 1.5 * stride


def test_of_two_objects_the_smaller_has_the_place() -> None:
    targets = assign([Boxes.of([[0, 0, 40, 40], [18, 18, 22, 22]], [0, 1])], (64, 64), STRIDES, CPU)
    places, steps = places_of((64, 64), STRIDES, CPU)
    at = ((places == torch.tensor([20.0, 20.0])).all(1) & (steps[:, 0] == 8)).nonzero()[0, 0]
    assert targets.classes[0, at] == 1
    assert (targets.classes[0, targets.positive[0]] == 0).any()


def test_overlaps_of_boxes() -> None:
    first = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 2, 2]])
    second = torch.tensor([[0.0, 0, 4, 4], [2, 0, 6, 4], [8, 0, 10, 2]])
    overlap, generalised = iou_and_giou(first, second)
    assert overlap.tolist() == pytest.approx([1, 1 / 3, 0])
    assert generalised.tolist() == pytest.approx([1, 1 / 3, -0.6])
