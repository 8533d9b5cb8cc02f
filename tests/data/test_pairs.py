from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imfuse.core.errors import ImageError, PairError
from imfuse.data.augment import Augmentation
from imfuse.data.crops import CropPlan, Part
from imfuse.data.pairs import (
    UNLABELLED,
    PairFiles,
    TrainingPairs,
    check_pairs,
    find_pairs,
    load_pair,
    rendered_pairs,
    split_pairs,
)
from imfuse.imaging import write_image


def write_pairs(folder: Path, count: int = 4, sides: tuple[str, str] = ("ir", "vi")) -> None:
    """Pairs that hold a ramp, so that a crop shows where it was cut."""
    rows, columns = np.mgrid[:20, :30]
    for i in range(count):
        ramp = (rows * 5 + columns + i).astype(np.uint8)
        write_image(folder / sides[0] / f"scene_{i}.png", ramp)
        write_image(folder / sides[1] / f"scene_{i}.png", np.stack([ramp, ramp // 2, 255 - ramp], -1))


@pytest.mark.parametrize("layout", ["ir,vi", "train/ir,train/vi", "infrared,visible"])
def test_layouts_are_recognised(layout: str, tmp_path: Path) -> None:
    infrared, visible = layout.split(",")
    write_pairs(tmp_path, sides=(infrared, visible))
    files = find_pairs(tmp_path)
    assert [entry.name for entry in files] == ["scene_0", "scene_1", "scene_2", "scene_3"]
    assert files == find_pairs(tmp_path / infrared, tmp_path / visible)


@pytest.mark.parametrize("labels", ["labels", "Segmentation_labels"])
def test_labels_are_found_beside_the_images(labels: str, tmp_path: Path) -> None:
    write_pairs(tmp_path / "train")
    write_image(tmp_path / "train" / labels / "scene_2.png", np.full((20, 30), 7, np.uint8))
    files = find_pairs(tmp_path)
    assert [entry.labels is not None for entry in files] == [False, False, True, False]
    pair = load_pair(files[2])
    assert pair.labels is not None
    assert (pair.labels == 7).all()


def test_missing_partners_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(PairError, match="expected the folders ir and vi"):
        find_pairs(tmp_path)
    write_pairs(tmp_path)
    (tmp_path / "vi" / "scene_1.png").unlink()
    with pytest.raises(PairError, match=r"no partner for scene_1\.png"):
        find_pairs(tmp_path)


def test_luminance_is_loaded_in_unit_range(tmp_path: Path) -> None:
    write_pairs(tmp_path, 1)
    pair = load_pair(find_pairs(tmp_path)[0])
    ramp = np.add.outer(np.arange(20) * 5, np.arange(30)).astype(np.float32)
    np.testing.assert_allclose(pair.infrared, ramp / 255, atol=1e-6)
    luminance = (0.299 * ramp + 0.587 * (ramp // 2) + 0.114 * (255 - ramp)) / 255
    np.testing.assert_allclose(pair.visible, luminance, atol=1e-6)


def test_unregistered_pairs_and_coloured_labels_are_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path, 2)
    write_image(tmp_path / "vi" / "scene_0.png", np.zeros((20, 31, 3), np.uint8))
    write_image(tmp_path / "labels" / "scene_1.png", np.zeros((20, 30, 3), np.uint8))
    files = find_pairs(tmp_path)
    with pytest.raises(PairError, match=r"30x20 but .* is 31x20"):
        load_pair(files[0])
    with pytest.raises(ImageError, match="class numbers"):
        load_pair(files[1])


def test_check_keeps_what_fits_and_the_rest_is_read_again(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    files = find_pairs(tmp_path)
    one = load_pair(files[0]).nbytes
    kept = check_pairs(files, 16, keep=2 * one)
    assert list(kept) == ["scene_0", "scene_1"]
    plan = CropPlan("random", 16)
    cached, read = TrainingPairs(files, plan, cache=kept), TrainingPairs(files, plan)
    for index in range(4):
        first, second = cached[0, index], read[0, index]
        assert all(torch.equal(first[name], second[name]) for name in first)


def mixed(counts: dict[str, int]) -> list[PairFiles]:
    """Pairs of data sets of such sizes."""
    return [PairFiles(f"{i:03}", Path(f"{s}-{i}"), Path("v"), source=s) for s, n in counts.items() for i in range(n)]


@given(st.integers(1, 200), st.floats(0, 0.99))
def test_split_holds_out_the_last(count: int, fraction: float) -> None:
    files = mixed({"": count})
    try:
        train, held_out = split_pairs(files, fraction)
    except PairError:
        assert round(count * fraction) in (0, count)
        return
    assert train + held_out == files
    assert len(held_out) == round(count * fraction)


def test_images_come_one_by_one(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    data = TrainingPairs(find_pairs(tmp_path), CropPlan("center", 16), kind="images")
    assert len(data) == 8
    ramp = np.add.outer(np.arange(2, 18) * 5, np.arange(7, 23)) / 255
    np.testing.assert_allclose(data[3, 0]["image"][0], ramp, atol=1e-6)
    assert data[0, 1]["image"].shape == (1, 16, 16)


@given(st.integers(0, 2**31), st.integers(16, 90), st.integers(16, 90))
def test_both_images_and_labels_get_the_same_part(seed: int, height: int, width: int) -> None:
    rows, columns = np.mgrid[:height, :width]
    for kind in ("random", "center", "random_resized", "whole"):
        part = CropPlan(kind, 16, flips=True, rotations=True).draw(np.random.default_rng(seed), (height, width))
        top, left, tall, wide = part.box
        assert 0 <= top <= top + tall <= height
        assert 0 <= left <= left + wide <= width
        cut = part.apply((rows + 100 * columns).astype(np.float32))
        assert cut.shape == (16, 16)
        labels = part.apply_map((rows % 9).astype(np.uint8))
        if kind in ("random", "center"):
            assert ((cut.astype(int) % 100) % 9 == labels).all() or height > 99


def test_zoomed_parts_are_smaller_and_enlarged() -> None:
    plan, rng = CropPlan("random", 32, zoom=2), np.random.default_rng(0)
    sides = [plan.draw(rng, (40, 50)).box[2] for _ in range(400)]
    assert 0.4 < np.mean([side == 32 for side in sides]) < 0.6
    assert 16 <= min(sides) <= 18
    assert plan.draw(rng, (40, 50)).apply(np.ones((40, 50), np.float32)).shape == (32, 32)


def test_labels_of_some_pairs_are_labels_of_all(tmp_path: Path) -> None:
    write_pairs(tmp_path, 1)
    rendered = rendered_pairs(1, 24, 32)
    data = TrainingPairs([*find_pairs(tmp_path), *rendered], CropPlan("center", 16))
    assert (data[0, 0]["labels"] == UNLABELLED).all()
    np.testing.assert_array_equal(data[0, 1]["labels"], rendered[0].labels[4:20, 8:24])
    assert "labels" not in TrainingPairs(find_pairs(tmp_path), CropPlan("center", 16))[0, 0]


def test_maps_are_those_of_the_whole_pair_and_follow_the_crop(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    plan = CropPlan("random", 16, flips=True, rotations=True)

    def brighter(infrared: torch.Tensor, visible: torch.Tensor) -> dict[str, torch.Tensor]:
        assert infrared.shape == (1, 1, 20, 30)
        return {"brighter": (infrared > visible).float()}

    for index in range(4):
        item = TrainingPairs(find_pairs(tmp_path), plan, maps=brighter)[0, index]
        assert torch.equal(item["brighter"], (item["infrared"] > item["visible"]).float())
    changed = TrainingPairs(find_pairs(tmp_path), plan, maps=brighter, augmentation=Augmentation(invert=1))[0, 0]
    assert "brighter" not in changed


def test_parts_mirror_and_turn() -> None:
    image = np.arange(16.0, dtype=np.float32).reshape(4, 4)
    assert (Part((0, 0, 4, 4), 4, mirror_x=True).apply(image) == image[:, ::-1]).all()
    assert (Part((0, 0, 4, 4), 4, mirror_y=True).apply(image) == image[::-1]).all()
    assert (Part((0, 0, 4, 4), 4, quarter_turns=1).apply(image) == np.rot90(image)).all()


def test_whole_images_are_resized() -> None:
    part = CropPlan("whole", 16, flips=True).draw(np.random.default_rng(0), (40, 70))
    assert part.box == (0, 0, 40, 70)
    ramp = np.broadcast_to(np.linspace(0, 1, 70, dtype=np.float32), (40, 70))
    cut = part.apply(ramp)
    assert cut.shape == (16, 16)
    assert abs(float(cut.max() - cut.min())) > 0.9


def test_random_resized_covers_small_and_large_parts_and_long_images_work() -> None:
    plan = CropPlan("random_resized", 32)
    rng = np.random.default_rng(0)
    shares = [box[2] * box[3] / (200 * 300) for box in (plan.draw(rng, (200, 300)).box for _ in range(500))]
    assert 0.07 < min(shares) < 0.12
    assert max(shares) > 0.8
    top, _, tall, wide = plan.draw(rng, (32, 2000)).box
    assert top + tall <= 32
    assert wide <= 43


def test_items_depend_on_seed_epoch_and_index_only(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    files = find_pairs(tmp_path)
    first, other = (TrainingPairs(files, CropPlan("random", 16), seed=seed) for seed in (1, 2))
    assert torch.equal(first[3, 1]["visible"], first[3, 1]["visible"])
    crops = {first[epoch, 1]["infrared"][0, 0, 0].item() for epoch in range(8)}
    assert len(crops) > 1
    assert any(not torch.equal(first[e, 0]["infrared"], other[e, 0]["infrared"]) for e in range(4))


def test_each_data_set_holds_out_its_last_pairs() -> None:
    train, held_out = split_pairs(mixed({"road": 20, "night": 10}), 0.1)
    assert [entry.key for entry in held_out] == ["road/018", "road/019", "night/009"]
    assert len(train) == 27
    with pytest.raises(PairError, match="3 pairs of video cannot be split"):
        split_pairs(mixed({"road": 20, "video": 3}), 0.1)


def test_a_data_set_without_a_name_has_nothing_to_be_mixed_with(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    data = TrainingPairs(find_pairs(tmp_path), CropPlan("center", 16), shares={"road": 0.75, "night": 0.25})
    assert data.chances is None


def test_data_sets_give_their_shares_of_the_crops(tmp_path: Path) -> None:
    folders = {"road": 2, "night": 6}
    for name, count in folders.items():
        write_pairs(tmp_path / name, count)
    files = [replace(one, source=name) for name in folders for one in find_pairs(tmp_path / name)]
    # Pairs of one name in two sets are told apart.
    loaded = check_pairs(files, 16, 1 << 20)
    assert len(loaded) == 8
    data = TrainingPairs(files, CropPlan("center", 16), cache=loaded, shares={"road": 0.75, "night": 0.25})
    assert len(data) == 8
    # The pictures of a set begin with its number.
    for entry in files:
        loaded[entry.key].infrared[:] = folders[entry.source] / 255
    drawn = Counter(
        round(255 * float(data[epoch, index]["infrared"].max())) for epoch in range(100) for index in range(8)
    )
    assert drawn[folders["road"]] / drawn.total() == pytest.approx(0.75, abs=0.05)
    with pytest.raises(PairError, match=r"data\.shares is of 'road', 'day', but the data sets are 'night', 'road'"):
        TrainingPairs(files, CropPlan("center", 16), shares={"road": 1, "day": 1})


def test_scenes_are_rendered_by_day_too() -> None:
    plain, varied = (rendered_pairs(3, 96, 128, varied=varied) for varied in (False, True))
    assert max(pair.visible.mean() for pair in plain) < 0.35 < max(pair.visible.mean() for pair in varied) - 0.2
    for one, other in zip(plain, varied, strict=True):
        assert other.labels is not None
        assert (one.labels == other.labels).all()


def test_nothing_is_labelled_where_both_images_are_even() -> None:
    files = rendered_pairs(1, 64, 96)
    for flat, labelled in ((0.0, True), (1.0, False)):
        pairs = TrainingPairs(files, CropPlan("center", 64), augmentation=Augmentation(tone=0.5, flat=flat))
        assert bool(pairs[0, 0]["labels"].any()) is labelled
