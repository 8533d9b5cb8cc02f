"""Training and benchmarks find the same layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.runner import run_benchmark
from imfuse.core.errors import PairError
from imfuse.data.layouts import KNOWN, Part, find_folders, labels_beside
from imfuse.data.pairs import find_pairs
from imfuse.imaging import write_image

LAYOUTS = [
    ("tno", "ir", "vi", "TNO"),
    ("tno", "Thermal", "Visual", "TNO"),
    ("roadscene", "cropinfrared", "crop_LR_visible", "RoadScene"),
    ("msrs", "PART/ir", "PART/vi", "MSRS"),
    ("m3fd", "Ir", "Vis", "M3FD"),
    ("M3FD", "M3FD_Fusion/Ir", "M3FD_Fusion/Vis", "M3FD"),
    ("llvip", "infrared/PART", "visible/PART", "LLVIP"),
    ("mri_ct", "CT", "MRI", "Harvard MRI-CT"),
    ("mri_pet", "PART/mri", "PART/pet", "Harvard MRI-PET"),
    ("mri_spect", "MRI", "SPECT", "Harvard MRI-SPECT"),
    ("mine", "infrared", "visible", "mine"),
    ("mine", "PART/infrared", "PART/visible", "mine"),
    ("mine", "PART/IR", "PART/VIS", "mine"),
    ("mine", "thermal", "visible", "mine"),
    ("mine", "PART/thermal", "PART/visual", "TNO"),
]


def make(folder: Path, *places: str) -> Path:
    for place in places:
        (folder / place).mkdir(parents=True)
    return folder


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(("name", "infrared", "visible", "title"), LAYOUTS)
def test_layouts(tmp_path: Path, part: Part, name: str, infrared: str, visible: str, title: str) -> None:
    infrared, visible = infrared.replace("PART", part), visible.replace("PART", part)
    # The part for the other job, and folders of other things, are in the way.
    other = {"train": "test", "test": "train"}[part]
    make(tmp_path, infrared, visible, f"{other}/ir", f"{other}/vi", "labels", "crop_HR_visible")
    folders = find_folders(tmp_path, part, name)
    assert (folders.title, folders.infrared, folders.visible) == (title, tmp_path / infrared, tmp_path / visible)


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(("name", "infrared", "visible", "title"), LAYOUTS)
def test_training_and_benchmark_take_every_layout(
    tmp_path: Path, part: Part, name: str, infrared: str, visible: str, title: str
) -> None:
    folders = [tmp_path / side.replace("PART", part) for side in (infrared, visible)]
    for number, folder in enumerate(folders):
        write_image(folder / "1.png", np.full((8, 9), number, np.uint8))
    if part == "train":
        [pair] = find_pairs(tmp_path)
        assert [pair.infrared, pair.visible] == [folder / "1.png" for folder in folders]
    else:
        plan: Any = make_plan({"data": {name: tmp_path}, "models": "adf", "metrics": "EN"})
        data = run_benchmark(plan, tmp_path / "out", workers=1).data[name]
        assert (data.title, data.infrared, data.visible) == (title, *(str(folder.resolve()) for folder in folders))


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_part_comes_first(tmp_path: Path, part: Part) -> None:
    make(tmp_path, "ir", "vi", f"{part}/ir", f"{part}/vi")
    assert find_folders(tmp_path, part, "x").infrared == tmp_path / part / "ir"


def test_the_other_part_is_no_layout(tmp_path: Path) -> None:
    make(tmp_path, "train/ir", "train/vi")
    assert find_folders(tmp_path, "train").infrared == tmp_path / "train" / "ir"
    with pytest.raises(PairError, match="no layout"):
        find_folders(tmp_path, "test")


def test_no_layout(tmp_path: Path) -> None:
    with pytest.raises(PairError, match="no layout") as caught:
        find_folders(make(tmp_path, "ir", "other"), "test", "tno")
    message = str(caught.value)
    for words in ("ir and vis", "infrared/test and visible/test", "directly or in test; there are ir, other; give the"):
        assert words in message
    assert "train" not in message
    with pytest.raises(PairError, match="no such folder"):
        find_folders(tmp_path / "no", "test", "tno")
    with pytest.raises(PairError, match="no folders in it"):
        find_folders(tmp_path / "ir", "train")


@pytest.mark.parametrize("labels", ["labels", "Segmentation_labels", "Labels", "segmentation_labels"])
def test_labels_beside(tmp_path: Path, labels: str) -> None:
    make(tmp_path, "train/ir", "train/vi", "labels_of_others")
    assert labels_beside(tmp_path / "train" / "ir") is None
    make(tmp_path, f"train/{labels}")
    assert labels_beside(tmp_path / "train" / "ir") == tmp_path / "train" / labels


def test_every_known_set_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in KNOWN)
