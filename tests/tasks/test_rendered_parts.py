"""Data of task networks: rendered scenes through a method or a control, folders, and their parts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from imfuse.core.boxes import Boxes
from imfuse.core.errors import ImageError, ImfuseError, PairError, RecipeError
from imfuse.imaging import luminance, read_image, write_image
from imfuse.tasks.detect.labels import read_boxes
from imfuse.tasks.examples import Example
from imfuse.tasks.folders import FolderExamples, find_examples
from imfuse.tasks.parts import Parts, folder_parts, rendered_parts
from imfuse.tasks.rendered import CONTROLS, picture_maker, render_scenes
from imfuse.tasks.segment.read import read_picture
from rendered_scenes import rendered

SCENE = rendered(48, 64, 3)


def test_controls_are_what_they_say() -> None:
    made = {name: make(SCENE) for name, make in CONTROLS.items()}
    assert {name: picture.shape[2] for name, picture in made.items()} == {
        "visible": 3, "infrared": 3, "mean": 3, "stacked": 4,
    }  # fmt: skip
    assert (made["visible"] == SCENE.visible).all()
    assert (made["infrared"] == SCENE.infrared[..., None]).all()
    assert (made["stacked"][..., :3] == SCENE.visible).all()
    assert (made["stacked"][..., 3] == SCENE.infrared).all()
    # Where colours need not be cut off the luminance is the mean of both.
    wanted = (luminance(SCENE.visible / np.float32(255)) + SCENE.infrared / np.float32(255)) / 2
    assert np.median(np.abs(luminance(made["mean"] / np.float32(255)) - wanted)) < 0.01


def test_methods_make_colour_pictures() -> None:
    fused = picture_maker("laplacian_pyramid", device="cpu")(SCENE)
    assert fused.shape == (48, 64, 3)
    assert fused.dtype == np.uint8
    with pytest.raises(ImfuseError, match="laplacian_pyramd"):
        picture_maker("laplacian_pyramd")


def test_all_methods_see_the_same_scenes() -> None:
    first, second = (rendered_parts(name, 3, height=48, width=64) for name in ("visible", "stacked"))
    for part in ("train", "validation", "test"):
        for one, other in zip(getattr(first, part), getattr(second, part), strict=True):
            assert one.name == other.name
            assert (one.labels == other.labels).all()
            assert (one.boxes.corners == other.boxes.corners).all()
    names = [example.name for part in (first.train, first.validation, first.test) for example in part]
    assert len(set(names)) == len(names) == 5


def test_scenes_are_rendered_once() -> None:
    assert render_scenes(1, 3, 48, 64)[0] is render_scenes(1, 3, 48, 64)[0]


# Folders


def written(folder: Path, count: int = 4, gray: bool = False) -> tuple[Path, Path]:
    """Fused pictures and labels of pixels."""
    for seed in range(count):
        scene = rendered(48, 64, seed)
        write_image(folder / "fused" / f"{seed}.png", scene.infrared if gray else scene.visible)
        write_image(folder / "ir" / f"{seed}.png", scene.infrared)
        write_image(folder / "labels" / f"{seed}.png", scene.labels)
        (folder / "labels" / f"{seed}.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    return folder / "fused", folder / "labels"


def boxes_of(path: Path, size: tuple[int, int]) -> Boxes:
    return read_boxes(path, size, ["person", "car", "bike"])


def test_pictures_and_labels_are_found_by_name(tmp_path: Path) -> None:
    examples = FolderExamples(find_examples(*written(tmp_path)), classes=9)
    assert [example.name for example in examples] == ["0", "1", "2", "3"]
    assert (examples[1].image == rendered(48, 64, 1).visible).all()
    assert (examples[1].labels == rendered(48, 64, 1).labels).all()
    assert examples[1].boxes is None
    assert [one.name for one in examples[1:3]] == ["1", "2"]


def test_boxes_and_infrared(tmp_path: Path) -> None:
    files = find_examples(*written(tmp_path), boxes=True, infrared=tmp_path / "ir")
    example = FolderExamples(files, 3, boxes_of)[2]
    assert example.channels == 4
    assert (example.image[..., 3] == rendered(48, 64, 2).infrared).all()
    assert example.boxes is not None
    assert example.boxes.corners.tolist() == [[24, 12, 40, 36]]


def test_gray_pictures_have_three_equal_channels(tmp_path: Path) -> None:
    picture = FolderExamples(find_examples(*written(tmp_path, 1, gray=True)), 9)[0].image
    assert (picture == rendered(48, 64, 0).infrared[..., None]).all()
    assert picture.shape == (48, 64, 3)


@pytest.mark.parametrize("paired", [False, True])
def test_training_and_segmenting_scale_alike(tmp_path: Path, paired: bool) -> None:
    """Pictures of 16 bits keep their full range, infrared ones as well."""
    fused, labels = written(tmp_path, 1)
    infrared = tmp_path / "ir" if paired else None
    for picture in (fused / "0.png", tmp_path / "ir" / "0.png"):
        write_image(picture, read_image(picture).astype(np.uint16) * 200 + 3000)
    example = FolderExamples(find_examples(fused, labels, infrared=infrared), 9)[0]
    wanted = read_picture(fused / "0.png", 4 if paired else 3, infrared=infrared and infrared / "0.png")
    np.testing.assert_allclose(example.image / 255, wanted, atol=0.5 / 255 + 1e-6)


def test_training_and_detecting_scale_alike(tmp_path: Path) -> None:
    fused, labels = written(tmp_path, 1, gray=True)
    write_image(fused / "0.tif", read_image(fused / "0.png").astype(np.float32) / 255)
    (fused / "0.png").unlink()
    example = FolderExamples(find_examples(fused, labels, boxes=True), 3, boxes_of)[0]
    assert (example.image == rendered(48, 64, 0).infrared[..., None]).all()


def test_pictures_of_four_bands(tmp_path: Path) -> None:
    """As MFNet stores them; by ``bands`` colours alone are taken."""
    fused, labels = written(tmp_path, 1)
    scene = rendered(48, 64, 0)
    cv2.imwrite(str(fused / "0.png"), np.dstack([scene.visible[..., ::-1], scene.infrared]))
    files = find_examples(fused, labels)
    with pytest.raises(ImageError, match=r"4 bands found.*bands='1,2,3'"):
        FolderExamples(files, 9)[0]
    four, three = (FolderExamples(files, 9, bands=bands)[0:][0].image for bands in ("1,2,3,4", (1, 2, 3)))
    assert (three == scene.visible).all()
    assert (four[..., :3] == three).all()
    assert (four[..., 3] == scene.infrared).all()


def test_data_sets_as_published_are_read(tmp_path: Path) -> None:
    """MSRS has labels in its training part, MFNet lists it."""
    fused, labels = written(tmp_path, 3)
    place = tmp_path / "msrs" / "train" / "Segmentation_labels"
    place.parent.mkdir(parents=True)
    labels.rename(place)
    assert [one.target for one in find_examples(fused, tmp_path / "msrs")] == [place / f"{i}.png" for i in range(3)]
    (tmp_path / "mfnet").mkdir()
    place.rename(tmp_path / "mfnet" / "labels")
    (tmp_path / "mfnet" / "train.txt").write_text("0\n2\n")
    assert [one.name for one in find_examples(fused, tmp_path / "mfnet")] == ["0", "2"]
    (tmp_path / "mfnet" / "labels" / "9.png").write_bytes((tmp_path / "mfnet" / "labels" / "0.png").read_bytes())
    (tmp_path / "mfnet" / "train.txt").write_text("9\n")
    with pytest.raises(PairError, match=r"mfnet: none of the pictures of .*fused is in its training part"):
        find_examples(fused, tmp_path / "mfnet")


def test_no_more_is_kept_than_allowed(tmp_path: Path) -> None:
    examples = FolderExamples(find_examples(*written(tmp_path)), 9, keep=2 * 48 * 64 * 4 + 10)
    list(examples)
    assert len(examples.kept) == 2


def test_mistakes_in_folders_are_one_line(tmp_path: Path) -> None:
    fused, labels = written(tmp_path)
    (labels / "2.png").unlink()
    with pytest.raises(PairError, match=r"labels: nothing there for 2 of .*fused$"):
        find_examples(fused, labels)
    with pytest.raises(PairError, match="no such folder"):
        find_examples(fused, tmp_path / "nowhere")
    (tmp_path / "ir" / "0.png").unlink()
    with pytest.raises(PairError, match="ir: nothing there for 0"):
        find_examples(fused, labels, boxes=True, infrared=tmp_path / "ir")


def test_labels_that_cannot_be_are_one_line(tmp_path: Path) -> None:
    fused, labels = written(tmp_path, 2)
    write_image(labels / "0.png", np.full((48, 64), 9, np.uint8))
    write_image(labels / "1.png", np.full((48, 60), 1, np.uint8))
    (labels / "1.txt").write_text("3 0.5 0.5 0.25 0.5\n")
    examples = FolderExamples(find_examples(fused, labels), classes=9)
    with pytest.raises(ImageError, match=r"0.png: class 9, but 9 classes are known; 0 to 8, and 255"):
        examples[0]
    with pytest.raises(PairError, match="60x48"):
        examples[1]
    with pytest.raises(PairError, match=r"1.txt: line 1: class 3, but there are 3 \(0 to 2\)"):
        FolderExamples(find_examples(fused, labels, boxes=True), 3, boxes_of)[1]


# Parts


def test_folders_are_split_by_a_seed(tmp_path: Path) -> None:
    files = find_examples(*written(tmp_path, 10))
    parts, again, other = (folder_parts(files, 9, seed=seed) for seed in (0, 0, 1))
    names = [[example.name for example in part] for part in (parts.train, parts.validation, parts.test)]
    assert [len(part) for part in names] == [8, 1, 1]
    assert len({name for part in names for name in part}) == 10
    assert names[2] == [example.name for example in again.test]
    assert [example.name for example in other.train] != names[0]
    assert len(folder_parts(files, 9, validation=0, test=0).train) == 10


@pytest.mark.parametrize("shares", [{"test": 1.0}, {"validation": -0.1}, {"validation": 0.5, "test": 0.5}])
def test_shares_that_cannot_be(tmp_path: Path, shares: dict[str, float]) -> None:
    files = find_examples(*written(tmp_path, 2))
    with pytest.raises(RecipeError, match=next(iter(shares))):
        folder_parts(files, 9, **shares)


def test_weights_are_chosen_by_a_part_that_is_there() -> None:
    example = Example("x", np.zeros((4, 4, 3), np.uint8))
    parts = Parts([example], [], [example])
    assert list(parts.selected("last")) == []
    assert list(parts.selected("test")) == [example]
    with pytest.raises(RecipeError, match=r"no pictures to choose by; give a share, validation=0\.1"):
        parts.selected("validation")
    with pytest.raises(RecipeError, match="last, validation, test"):
        parts.selected("best")  # type: ignore[arg-type]


def test_pictures_of_different_channels_are_not_mixed() -> None:
    gray, colour = (Example(str(n), np.zeros((4, 4, n), np.uint8)) for n in (1, 3))
    with pytest.raises(RecipeError, match="1 has 1, 3 has 3"):
        Parts([gray], [], [colour]).check()
