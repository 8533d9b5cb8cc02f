"""Trainings of task networks from data to scores, the detector's and, with a small stand-in, a segmenter's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imfuse.core.errors import ImfuseError, RecipeError
from imfuse.core.weights import read_header
from imfuse.scenes import DETECTED
from imfuse.tasks.detect.file import load_detector
from imfuse.tasks.detect.train import DetectorRun, train_detector
from imfuse.tasks.examples import Example, Normalisation
from imfuse.tasks.fit import LOG, FitSettings
from imfuse.tasks.parts import Parts, rendered_parts
from imfuse.tasks.segment.file import load_segmenter
from imfuse.tasks.segment.train import SegmenterRun, count_classes, fit_segmenter, train_segmenter
from imfuse.tasks.views import Views

SETTINGS = FitSettings(steps=3, batch=2, crop=(32, 48), lr=2e-3, warm_up=1, device="cpu")


@pytest.fixture(scope="module")
def parts() -> Parts:
    return rendered_parts("infrared", 4, height=40, width=56)


class Stand(nn.Module):
    """A segmenter of two convolutions."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, classes, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self(images), labels, ignore_index=255)


def segment(
    parts: Parts, settings: FitSettings = SETTINGS, output: Path | None = None, **options: object
) -> SegmenterRun:
    return fit_segmenter(Stand, parts, 9, settings, output, **options)  # type: ignore[arg-type]


def weights(run: SegmenterRun | DetectorRun) -> Tensor:
    return torch.cat([value.flatten() for value in run.network.state_dict().values()])


def test_a_detector_is_trained_and_written(parts: Parts, tmp_path: Path) -> None:
    run = train_detector(parts, DETECTED, SETTINGS, tmp_path)
    assert len(run.found) == len(run.known) == len(parts.test)
    loaded = load_detector(tmp_path / "detector.safetensors", threshold=0.01)
    assert loaded.names == DETECTED
    facts = {key: loaded.header[key] for key in ("origin", "seed", "steps", "select", "normalisation")}
    assert facts == {
        "origin": "infrared on 4 rendered scenes of 56x40", "seed": "0", "steps": "3", "select": "last",
        "normalisation": "of the training pictures",
    }  # fmt: skip
    found = loaded.find(parts.test[0].image)
    np.testing.assert_allclose(found.corners, run.found[0].corners)
    assert (tmp_path / LOG).is_file()


def test_the_same_training_twice_is_the_same(parts: Parts, tmp_path: Path) -> None:
    first, second = (train_detector(parts, DETECTED, SETTINGS, folder) for folder in (None, tmp_path))
    assert torch.equal(weights(first), weights(second))
    other = train_detector(parts, DETECTED, replace(SETTINGS, seed=1))
    assert not torch.equal(weights(first), weights(other))


def test_a_detector_is_scored(parts: Parts) -> None:
    scores = train_detector(parts, DETECTED, SETTINGS, select="validation", every=2).scores()
    assert [one.name for one in scores.classes] == list(DETECTED)
    assert scores.pictures == len(parts.test)


def test_pictures_without_any_box_are_refused() -> None:
    empty = Example("x", np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(RecipeError, match="have no box"):
        train_detector(Parts([empty], [], []), ["person"], SETTINGS)


def test_a_segmenter_is_trained_and_its_pixels_counted(parts: Parts) -> None:
    run = segment(parts, replace(SETTINGS, steps=30, lr=0.02))
    assert run.counts.shape == (len(parts.test), 9, 9)
    assert run.counts.sum().item() == len(parts.test) * 40 * 56
    assert run.counts.diagonal(dim1=1, dim2=2).sum() > 0.6 * run.counts.sum()
    assert run.fitted.losses[-1] < run.fitted.losses[0]


def test_rare_classes_are_found_sooner_where_they_weigh_more(parts: Parts) -> None:
    """After the same steps, the rare classes are taken for more probable."""
    settings = replace(SETTINGS, steps=30, lr=0.02)
    plain, balanced = (segment(parts, settings, balance=balance) for balance in (False, True))
    images = plain.normalisation.apply([example.image for example in parts.test])
    rare = [run.network(images).softmax(1)[:, 1:].sum(1).mean().item() for run in (plain, balanced)]
    assert rare[1] > 2 * rare[0]


def test_early_fusion_has_four_channels() -> None:
    run = segment(rendered_parts("stacked", 2, height=40, width=56))
    assert next(run.network.parameters()).shape[1] == 4
    assert len(run.normalisation.mean) == 4


def test_unknown_pixels_do_not_count(parts: Parts) -> None:
    run = segment(parts)
    unknown = [Example(one.name, one.image, np.full_like(one.labels, 255)) for one in parts.test]
    assert count_classes(run.network, unknown, run.normalisation, 9).sum() == 0
    with pytest.raises(RecipeError, match="no known pixel"):
        segment(Parts(unknown, [], []))


@pytest.mark.parametrize("select", ["validation", "test"])
def test_weights_may_be_chosen_and_are_not_by_default(parts: Parts, select: str, tmp_path: Path) -> None:
    """The test part decides where that is asked for, and nowhere else."""
    chosen = segment(parts, select=select, every=1)
    assert len(chosen.fitted.scores) == 3
    assert max(score for _, score in chosen.fitted.scores) == dict(chosen.fitted.scores)[chosen.fitted.step]
    last = segment(parts)
    assert last.fitted.scores == ()
    assert last.fitted.step == 3


def test_traps_of_published_trainings_are_named(parts: Parts, tmp_path: Path) -> None:
    """Each changes what it says, and the header tells."""
    plain, seen = segment(parts), Normalisation.of([*parts.train, *parts.test])
    assert segment(parts, traps=["test-statistics"]).normalisation == seen != plain.normalisation
    unknown = [
        replace(one, labels=np.where(np.arange(56) < 28, one.labels, 255).astype(np.uint8)) for one in parts.train
    ]
    half = Parts(unknown, parts.validation, parts.test)
    one_step = replace(SETTINGS, steps=1, crop=(40, 56), scale=(1.0, 1.0))
    losses = [segment(half, one_step, traps=traps).fitted.losses[0] for traps in ((), ("unknown-in-mean",))]
    assert losses[1] == pytest.approx(losses[0] / 2, rel=1e-5)
    train_segmenter("segformer_compact", parts, 9, one_step, tmp_path, traps=["fixed-order"])
    assert read_header(tmp_path / "segmenter.safetensors")["origin"].endswith("; trap fixed-order")
    with pytest.raises(RecipeError, match="trap='shuffle': one of test-statistics, unknown-in-mean, fixed-order is"):
        segment(parts, traps=["shuffle"])
    with pytest.raises(RecipeError, match="trap='unknown-in-mean': of a plain cross entropy; banet_compact has"):
        train_segmenter("banet_compact", parts, 9, one_step, traps=["unknown-in-mean"])


def test_a_fixed_order_is_that_of_the_examples() -> None:
    views = Views(5, 2, (8, 8), (1.0, 1.0), False, seed=0, shuffled=False)
    assert [views.chosen(step) for step in range(4)] == [[0, 1], [2, 3], [4, 0], [1, 2]]


def test_a_checkpoint_of_other_traps_is_refused(parts: Parts, tmp_path: Path) -> None:
    segment(parts, output=tmp_path)
    with pytest.raises(ImfuseError):
        segment(parts, output=tmp_path, resume=True, traps=["fixed-order"])


def test_the_test_part_does_not_touch_the_training(parts: Parts) -> None:
    run, other = segment(parts), segment(Parts(parts.train, parts.validation, parts.train[:1]))
    assert torch.equal(weights(run), weights(other))
    assert run.normalisation == other.normalisation


def test_a_stopped_training_continues(parts: Parts, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, steps: int, loss: float) -> None:
        if done == 2:
            raise Stopped

    often = replace(SETTINGS, save_seconds=0)
    with pytest.raises(Stopped):
        segment(parts, often, tmp_path, progress=stop)
    assert torch.equal(weights(segment(parts, often, tmp_path, resume=True)), weights(segment(parts)))


def test_a_named_segmenter_is_trained_and_written(parts: Parts, tmp_path: Path) -> None:
    run = train_segmenter("segformer_compact", parts, 9, SETTINGS, tmp_path)
    header = read_header(tmp_path / "segmenter.safetensors")
    assert (header["seed"], header["steps"]) == ("0", "3")
    assert "normalised by the training pictures" in header["origin"]
    loaded = load_segmenter(tmp_path / "segmenter.safetensors")
    found = loaded.classes_of(parts.test[0].image.astype(np.float32) / 255)
    predicted = run.network(run.normalisation.apply([parts.test[0].image])).argmax(1)[0].numpy()
    assert (found != predicted).mean() < 0.001
