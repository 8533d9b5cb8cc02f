"""The rendered street: form, determinism, and the physics that makes it an example for image fusion."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from imfuse.core.errors import ImageError
from imfuse.scenes import CLASSES, DETECTED, PALETTE, Conditions, Scene, render, render_scene
from imfuse.scenes.boxes import MIN_PIXELS, MIN_SHARE
from imfuse.scenes.layout import Car, Layout, Person

PERSON, CONE = CLASSES.index("person"), CLASSES.index("color cone")
SEEDS = range(6)


@cache
def scene(seed: int, height: int = 240, width: int = 320) -> Scene:
    return render_scene(height, width, seed)


def digest(rendered: Scene) -> str:
    planes = (rendered.infrared, rendered.visible, rendered.labels)
    return hashlib.sha256(b"".join(plane.tobytes() for plane in planes)).hexdigest()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 5), (97, 131), (300, 140), (480, 640)])
def test_shapes_and_types(size: tuple[int, int]) -> None:
    rendered = scene(0, *size)
    assert rendered.infrared.shape == size
    assert rendered.visible.shape == (*size, 3)
    assert rendered.labels.shape == size
    assert {plane.dtype for plane in (rendered.infrared, rendered.visible, rendered.labels)} == {np.dtype(np.uint8)}
    assert rendered.labels.max() < len(CLASSES)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_invalid_size(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="at least 1"):
        render_scene(*size)


def test_invalid_seed() -> None:
    with pytest.raises(ImageError, match="seed=-1"):
        render_scene(8, 8, seed=-1)


def test_palette_names_every_class() -> None:
    assert PALETTE.shape == (len(CLASSES), 3)
    assert PALETTE.dtype == np.uint8
    assert len({tuple(colour) for colour in PALETTE.tolist()}) == len(CLASSES) == 9


def test_same_arguments_same_bytes() -> None:
    assert digest(render_scene(90, 120, 4)) == digest(render_scene(90, 120, 4))


def test_fresh_process_same_bytes() -> None:
    code = (
        "import hashlib; from imfuse.scenes import render_scene; s = render_scene(90, 120, 4);"
        "print(hashlib.sha256(b''.join(p.tobytes() for p in (s.infrared, s.visible, s.labels))).hexdigest())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert printed == digest(render_scene(90, 120, 4))


def test_thread_count_does_not_matter() -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = digest(render_scene(90, 120, 4))
        cv2.setNumThreads(4)
        assert digest(render_scene(90, 120, 4)) == alone
    finally:
        cv2.setNumThreads(before)


def test_seeds_differ() -> None:
    assert len({digest(scene(seed)) for seed in SEEDS}) == len(SEEDS)
    for seed in SEEDS[1:]:  # not only the noise: other things stand in other places
        changed = scene(seed).labels != scene(seed - 1).labels
        assert changed.mean() > 0.02


def test_same_street_at_every_size() -> None:
    """The seed decides the street, the size only the detail."""
    small, large = scene(2, 120, 160), scene(2, 240, 320)
    shrunk = cv2.resize(large.infrared, (160, 120), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(small.infrared.ravel(), shrunk.ravel())[0, 1] > 0.95
    assert (small.labels != large.labels[::2, ::2]).mean() < 0.05


def test_demo_picture_has_every_class() -> None:
    assert set(np.unique(scene(0, 480, 640).labels)) == set(range(9))


def test_every_class_occurs_by_chance() -> None:
    actual = set().union(*(np.unique(scene(seed).labels).tolist() for seed in range(1, 9)))
    assert actual == set(range(9))


@pytest.mark.parametrize("seed", SEEDS)
def test_people_are_warm_and_dark(seed: int) -> None:
    rendered = scene(seed)
    person = rendered.labels == PERSON
    assert person.any()
    assert rendered.infrared[person].mean() > np.median(rendered.infrared) + 60
    luminance = rendered.visible.mean(axis=-1)
    assert luminance[person].mean() < 0.45 * np.percentile(luminance, 99.5)


@pytest.mark.parametrize("seed", SEEDS)
def test_glare_is_small_and_only_visible(seed: int) -> None:
    rendered = scene(seed)
    saturated = (rendered.visible >= 250).all(axis=-1)
    assert 0.0002 < saturated.mean() < 0.03
    assert (rendered.infrared >= 250).mean() < 0.002


@pytest.mark.parametrize("seed", SEEDS)
def test_sky_is_colder_than_the_road(seed: int) -> None:
    infrared = scene(seed).infrared.astype(float)
    road = infrared[-40:, 120:200].mean()
    assert np.percentile(infrared[:60], 5) < road - 20


@pytest.mark.parametrize("seed", SEEDS)
def test_visible_is_a_night_picture(seed: int) -> None:
    assert 25 < scene(seed).visible.mean() < 110
    sky = scene(seed).visible[:12].reshape(-1, 3)
    darkest = sky[np.argsort(sky.sum(axis=1))[: len(sky) // 2]].mean(axis=0)
    assert darkest.max() < 80


@pytest.mark.parametrize("seed", SEEDS)
def test_people_are_registered_in_the_infrared(seed: int) -> None:
    """The border of the class "person" is where the infrared has its edges."""
    rendered = scene(seed)
    smooth = cv2.GaussianBlur(rendered.infrared.astype(np.float32), (0, 0), 0.8)
    gradient = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    mask = (rendered.labels == PERSON).astype(np.uint8)
    border = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert gradient[border].mean() > 4 * gradient[~border].mean()
    # A shift by four pixels loses it: registered to the pixel, not roughly.
    assert gradient[border].mean() > 1.2 * gradient[np.roll(border, 4, axis=1)].mean()


def test_cones_are_registered_in_the_visible() -> None:
    rendered = scene(0, 480, 640)
    red, green, blue = np.moveaxis(rendered.visible.astype(int), -1, 0)
    orange = (red > 90) & (red > green + 40) & (red > blue + 40)
    cone = rendered.labels == CONE
    assert orange[cone].mean() > 0.4
    ring = (cv2.dilate(cone.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0) & ~cone
    assert orange[ring].mean() < 0.15


def test_markings_only_in_the_visible() -> None:
    """The centre line and the arrow of the demo picture: strong edges in the visible, none in the infrared."""
    rendered = scene(0, 480, 640)
    near_road = (slice(330, 420), slice(140, 420))
    luminance = rendered.visible.mean(axis=-1)[near_road]
    white = luminance > np.percentile(luminance, 95)
    infrared = rendered.infrared[near_road].astype(float)
    assert luminance[white].mean() > 1.6 * luminance[~white].mean()
    assert abs(infrared[white].mean() - infrared[~white].mean()) < 5


# Conditions


def luminance_of(conditions: Conditions) -> float:
    return float(render_scene(120, 160, 3, conditions=conditions).visible.mean())


def test_conditions_that_add_nothing_change_nothing() -> None:
    assert digest(render_scene(120, 160, 3, conditions=Conditions())) == digest(scene(3, 120, 160))


@pytest.mark.parametrize("seed", range(1, 5))
def test_conditions_leave_street_and_classes(seed: int) -> None:
    drawn = Conditions.draw(seed)
    rendered = render_scene(120, 160, seed, conditions=drawn)
    assert digest(rendered) == digest(render_scene(120, 160, seed, conditions=drawn))
    assert (rendered.labels == scene(seed, 120, 160).labels).all()
    assert (rendered.infrared != scene(seed, 120, 160).infrared).any()


def test_daylight_and_clouds_brighten_the_visible_image() -> None:
    night, day, overcast = (luminance_of(Conditions(daylight=d, overcast=o)) for d, o in ((0, 0), (30, 0), (30, 1)))
    assert night + 40 < day < overcast - 5


def test_skies_and_walls_may_be_warm() -> None:
    def above(conditions: Conditions) -> NDArray[np.uint8]:
        return render_scene(120, 160, 3, conditions=conditions).infrared[:40]

    cold = above(Conditions())
    for warm in (Conditions(sky=25), Conditions(walls=15)):
        assert above(warm).mean() > cold.mean() + 20


def test_the_range_follows_the_picture() -> None:
    rendered = render_scene(120, 160, 3, conditions=Conditions(coldest=0.02, warmest=0.02, gamma=1))
    assert (rendered.infrared == 0).mean() == pytest.approx(0.02, abs=0.01)
    assert (rendered.infrared == 255).mean() == pytest.approx(0.02, abs=0.01)


def test_blur_and_noise() -> None:
    def roughness(conditions: Conditions) -> float:
        image = render_scene(120, 160, 3, conditions=conditions).infrared.astype(float)
        return float(np.abs(np.diff(image, axis=1)).mean())

    assert roughness(Conditions(blur=1.5)) < roughness(Conditions()) - 1 < roughness(Conditions(noise=8)) - 4


# Boxes


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_are_tight_around_the_pixels_of_their_objects(seed: int) -> None:
    rendered = scene(seed)
    assert len(rendered.boxes) == rendered.objects.max() > 0
    for number, (corners, kind) in enumerate(zip(rendered.boxes.corners, rendered.boxes.classes, strict=True), start=1):
        rows, columns = np.nonzero(rendered.objects == number)
        assert corners.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert set(rendered.labels[rows, columns]) == {CLASSES.index(DETECTED[kind])}
        assert len(rows) >= MIN_PIXELS


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_hold_nearly_all_pixels_of_their_classes(seed: int) -> None:
    rendered = scene(seed)
    wanted = np.isin(rendered.labels, [CLASSES.index(name) for name in DETECTED])
    assert (rendered.objects > 0)[wanted].mean() > 0.95
    assert not (rendered.objects > 0)[~wanted].any()


def street(monkeypatch: pytest.MonkeyPatch, **things: Any) -> Scene:
    """A street of nothing but these things."""
    monkeypatch.setattr(render, "demo_layout", lambda: Layout(**things))
    return render_scene(240, 320, seed=0)


def test_two_objects_of_a_class_that_touch_have_two_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = Person(1.0, 12.0, 0.0), Person(1.15, 12.4, 0.0)
    both = street(monkeypatch, people=(near, far))
    count, _ = cv2.connectedComponents((both.labels == PERSON).astype(np.uint8))
    assert count - 1 == 1
    assert both.boxes.classes.tolist() == [0, 0]


def test_a_cyclist_is_a_person_and_a_bike(monkeypatch: pytest.MonkeyPatch) -> None:
    rider = street(monkeypatch, people=(Person(1.0, 9.0, 1.2, rides=True),))
    assert sorted(DETECTED[kind] for kind in rider.boxes.classes) == ["bike", "person"]


def test_what_is_hidden_or_tiny_has_no_box(monkeypatch: pytest.MonkeyPatch) -> None:
    car, behind = Car(1.2, 14.0, 0.0, (0.2, 0.2, 0.2)), Car(1.25, 20.0, 0.0, (0.2, 0.2, 0.2))
    one, two = street(monkeypatch, cars=(car,)), street(monkeypatch, cars=(car, behind))
    assert len(one.boxes) == len(two.boxes) == 1
    # A strip of the second is seen, less than MIN_SHARE of it.
    assert 0 < (two.labels == 1).sum() - (one.labels == 1).sum() < MIN_SHARE * (one.labels == 1).sum()
    assert len(street(monkeypatch, people=(Person(1.0, 120.0, 0.0),)).boxes) == 0


def test_boxes_follow_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = scene(2, 120, 160), scene(2, 240, 320)
    assert 0 < len(small.boxes) <= len(large.boxes)
    assert render_scene(1, 1, 2).boxes.corners.shape == (0, 4)
