"""What task networks are trained on: views of pictures with their labels and boxes, splits, normalisation."""

from __future__ import annotations

import numpy as np
import pytest

from imfuse.core.boxes import Boxes
from imfuse.tasks.examples import UNKNOWN, Example, Normalisation, collate, split_by_seed
from imfuse.tasks.views import View, Views


def marked(height: int = 40, width: int = 60) -> Example:
    """A bright rectangle, labelled 1, with its box."""
    image = np.full((height, width, 3), 10, np.uint8)
    labels = np.zeros((height, width), np.uint8)
    image[10:22, 16:40], labels[10:22, 16:40] = 250, 1
    return Example("marked", image, labels, Boxes.of([[16, 10, 40, 22]], [2]))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("scale", [0.75, 1.0, 1.25, 2.0])
@pytest.mark.parametrize(("left", "top"), [(0, 0), (5, -6), (-9, 3)])
def test_picture_labels_and_boxes_move_together(mirrored: bool, scale: float, left: int, top: int) -> None:
    seen = View((64, 96), scale, left, top, mirrored).apply(marked(), (0, 0, 0))
    assert seen.labels is not None
    assert seen.boxes is not None
    bright = seen.image[..., 0] > 130
    inside = seen.labels == 1
    assert (bright != inside).mean() < 0.02
    rows, columns = np.nonzero(inside)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert np.abs(seen.boxes.corners[0] - found).max() <= 1
    assert seen.boxes.classes.tolist() == [2]


def test_a_view_of_the_whole_is_the_picture() -> None:
    example = marked()
    seen = View((40, 60), 1.0, 0, 0, False).apply(example, (0, 0, 0))
    assert (seen.image == example.image).all()
    assert (seen.labels == example.labels).all()


def test_beyond_the_picture_labels_are_unknown() -> None:
    seen = View((60, 60), 1.0, 0, -10, False).apply(marked(), (7, 8, 9))
    assert (seen.labels[:10] == UNKNOWN).all()
    assert seen.image[0, 0].tolist() == [7, 8, 9]


def test_objects_that_are_cut_off_are_left_out() -> None:
    # 24 columns wide: 4 of them are left, then 8.
    gone, kept = (View((40, 40), 1.0, left, 0, False).apply(marked(), (0, 0, 0)).boxes for left in (36, 32))
    assert len(gone) == 0
    assert kept.corners.tolist() == [[0, 10, 8, 22]]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_number_of_channels(channels: int) -> None:
    example = Example("x", np.zeros((50, 50, channels), np.uint8))
    assert View((32, 48), 1.1, 0, 0, True).apply(example, [0] * channels).image.shape == (32, 48, channels)


def test_views_depend_on_seed_and_step_alone() -> None:
    """Two methods whose pictures differ, even in size, are seen in the same order and with the same scales."""
    dark, bright = [marked()] * 5, [Example("b", 255 - marked().image, marked().labels, marked().boxes)] * 5
    views = Views(5, 4, (32, 32), (0.75, 1.25), True, seed=3)
    for step in (0, 7):
        first, second = views.take(step, dark, (0, 0, 0)), views.take(step, bright, (255, 255, 255))
        for one, other in zip(first, second, strict=True):
            assert (one.image == 255 - other.image).all()
            assert (one.labels == other.labels).all()
    assert views.chosen(0) + views.chosen(1) != Views(5, 4, (32, 32), (1, 1), False, seed=4).chosen(0) + views.chosen(1)


def test_each_example_is_seen_once_a_round() -> None:
    views = Views(6, 4, (32, 32), (1, 1), False, seed=0)
    seen = [place for step in range(3) for place in views.chosen(step)]
    assert sorted(seen[:6]) == sorted(seen[6:]) == list(range(6))
    assert seen[:6] != seen[6:]


def test_normalised_training_pictures_have_mean_0_and_deviation_1() -> None:
    rng = np.random.default_rng(0)
    examples = [Example(str(i), rng.integers(20, 200, (30, 30, 3), np.uint8)) for i in range(4)]
    images = collate(examples, Normalisation.of(examples)).images
    assert images.shape == (4, 3, 30, 30)
    assert images.mean().item() == pytest.approx(0, abs=1e-4)
    assert images.std().item() == pytest.approx(1, abs=1e-2)


def test_a_batch_has_what_all_have() -> None:
    batch = collate([marked(), marked()], Normalisation((0.0,) * 3, (1.0,) * 3))
    assert batch.labels is not None
    assert batch.labels.dtype.is_signed
    assert [len(boxes) for boxes in batch.boxes or ()] == [1, 1]
    partly = collate([marked(), Example("x", marked().image)], Normalisation((0.0,) * 3, (1.0,) * 3))
    assert partly.labels is partly.boxes is None


@pytest.mark.parametrize("count", [3, 10, 4200])
def test_splits_are_disjoint_complete_and_by_seed(count: int) -> None:
    parts = split_by_seed(range(count), 0, 0.1, 0.1)
    assert sorted(place for part in parts for place in part) == list(range(count))
    assert [len(part) for part in parts[1:]] == [max(1, round(count / 10))] * 2
    assert parts == split_by_seed(range(count), 0, 0.1, 0.1)
    assert count == 3 or parts != split_by_seed(range(count), 1, 0.1, 0.1)
    assert split_by_seed(range(count), 0, 0.0)[1] == []
