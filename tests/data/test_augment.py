"""Changes of training pairs: what each does, and that they depend on the generator alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imfuse.data.augment import Augmentation, Floats


def pair(seed: int = 0, side: int = 32) -> tuple[Floats, Floats]:
    images = np.random.default_rng(seed).random((2, side, side), np.float32)
    return images[0], images[1]


def test_nothing_asked_for_changes_nothing() -> None:
    infrared, visible = pair()
    found = Augmentation().apply(np.random.default_rng(0), infrared, visible)
    assert found[0] is infrared
    assert found[1] is visible


def test_each_change_by_itself() -> None:
    infrared, visible = pair()
    rng = np.random.default_rng(0)
    inverted, same = Augmentation(invert=1).apply(rng, infrared, visible)
    np.testing.assert_array_equal(inverted, 1 - infrared)
    assert same is visible
    first, second = Augmentation(swap=1).apply(rng, infrared, visible)
    assert first is visible
    assert second is infrared
    same, lit = Augmentation(glare=1).apply(rng, infrared, visible)
    assert same is infrared
    assert (lit >= visible).all()
    assert (lit - visible).max() > 0.1
    toned = Augmentation(tone=1).apply(rng, infrared, visible)
    for before, after in zip((infrared, visible), toned, strict=True):
        assert not np.array_equal(before, after)
        # The order of gray levels stays.
        assert (np.diff(after.ravel()[np.argsort(before.ravel())]) >= -1e-6).all()


def test_probabilities() -> None:
    infrared, visible = pair(side=8)
    rng = np.random.default_rng(0)
    swapped = sum(Augmentation(swap=0.25).apply(rng, infrared, visible)[0] is visible for _ in range(2000))
    assert swapped / 2000 == pytest.approx(0.25, abs=0.04)


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 1.0]))
def test_images_stay_images_and_the_generator_decides(seed: int, probability: float) -> None:
    plan = Augmentation(probability, probability, probability, probability, probability, probability / 2)
    found, again = (plan.apply(np.random.default_rng(seed), *pair(seed, 16)) for _ in range(2))
    for image, twin in zip(found, again, strict=True):
        assert image.dtype == np.float32
        assert image.shape == (16, 16)
        assert 0 <= image.min() <= image.max() <= 1
        np.testing.assert_array_equal(image, twin)


def test_even_pairs_and_pairs_of_one_image() -> None:
    infrared, visible = pair()
    levels = []
    for seed in range(300):
        first, second = Augmentation(flat=1).apply(np.random.default_rng(seed), infrared, visible)
        assert np.ptp(first) == np.ptp(second) == 0
        levels += [float(first[0, 0]), float(second[0, 0])]
    shares = np.mean([level == 0 for level in levels]), np.mean([level == 1 for level in levels])
    assert shares == pytest.approx((0.25, 0.25), abs=0.05), "black and white are what nights and lamps end in"
    once = [Augmentation(same=1).apply(np.random.default_rng(seed), infrared, visible) for seed in range(20)]
    assert all(first is second for first, second in once)
    assert {id(first) for first, _ in once} == {id(infrared), id(visible)}


def test_single_images_change_in_tone_and_become_even() -> None:
    image, _ = pair()
    rng = np.random.default_rng(0)
    assert Augmentation(invert=1, glare=1, swap=1, same=1).apply_to_image(rng, image, thermal=True) is image
    assert np.ptp(Augmentation(flat=1).apply_to_image(rng, image, thermal=True)) == 0
    dull = [Augmentation(tone=1).apply_to_image(rng, image, thermal=True).std() for _ in range(50)]
    assert max(dull) < 1.3 * image.std(), "infrared images lose contrast, they gain none"
