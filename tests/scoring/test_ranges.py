"""Sources are scored by the range that they were fused by, else by the one that fusing would take."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torch import Tensor

import imfuse
from imfuse.cli.main import main
from imfuse.core.errors import ImageError
from imfuse.imaging import read_metadata, write_image
from imfuse.metrics import CONVENTIONS, Picture
from imfuse.metrics.conventions import Convention, Definition
from imfuse.scenes import render_scene
from imfuse.scoring import UsedRange, score_files, score_folders
from picture_files import flir_camera, flir_record, flir_records, flir_segments, saved, with_segments

METRICS = "EN,SCD"
Scene = tuple[np.ndarray, np.ndarray]
RANGE = "imfuse:infrared-range"


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    scene = render_scene(60, 80, 3)
    return scene.infrared, scene.visible


@pytest.fixture
def files(tmp_path: Path, scene: tuple[np.ndarray, np.ndarray]) -> Path:
    """A raw thermal picture, temperatures, and two visible pictures."""
    infrared, visible = scene
    write_image(tmp_path / "raw.png", 7000 + infrared.astype(np.uint16) * 8)
    write_image(tmp_path / "celsius.tif", (infrared / 255 * 60.3 - 20.1).astype(np.float32))
    write_image(tmp_path / "vi.png", visible)
    write_image(tmp_path / "deep.png", visible.astype(np.uint16) * 16)
    return tmp_path


def fuse(files: Path, infrared: str, visible: str = "vi.png", output: str = "fused.png", **settings: Any) -> Path:
    imfuse.Fuser("laplacian_pyramid", **settings).files(files / infrared, files / visible, files / output)
    return files / output


@pytest.mark.parametrize("infrared", ["raw.png", "celsius.tif"])
@pytest.mark.parametrize("range_", ["auto", "minmax", "-10,8000.3", "-0.1,9000.123456789"])
@pytest.mark.filterwarnings("ignore::imfuse.ImfuseWarning")
def test_a_file_is_scored_by_what_it_was_fused_by(files: Path, infrared: str, range_: str) -> None:
    fused = fuse(files, infrared, range=range_)
    sources = files / infrared, files / "vi.png"
    known, given = (imfuse.score(fused, *sources, metrics=METRICS, **one) for one in ({}, {"range": range_}))
    assert known == given
    row = score_files({"a": fused}, *sources, metrics=METRICS).rows[0]
    given = score_files({"a": fused}, *sources, metrics=METRICS, range=range_).rows[0]
    assert row.infrared_range is not None
    assert given.infrared_range is not None
    # The metadata are exact: the very same numbers come out of the picture again.
    assert (row.infrared_range.low, row.infrared_range.high) == (given.infrared_range.low, given.infrared_range.high)
    assert (row.infrared_range.origin, given.infrared_range.origin) == ("as fused", "given")


def test_a_visible_picture_as_well(files: Path) -> None:
    fused = fuse(files, "raw.png", "deep.png", visible_range="0,4095")
    sources = files / "raw.png", files / "deep.png"
    shown = imfuse.score(fused, *sources, metrics=METRICS)
    assert shown == imfuse.score(fused, *sources, metrics=METRICS, visible_range=(0, 4095))
    with pytest.warns(imfuse.ImfuseWarning, match="12 bits"):
        assert shown != imfuse.score(read(fused), *sources, metrics=METRICS)


def read(path: Path) -> np.ndarray:
    return imfuse.imaging.read_image(path)


@pytest.mark.parametrize("infrared", ["raw.png", "celsius.tif"])
def test_without_metadata_sources_are_scored_as_they_would_be_fused(files: Path, infrared: str) -> None:
    fused = read(fuse(files, infrared))
    sources = read(files / infrared), read(files / "vi.png")
    assert imfuse.score(fused, *sources, metrics=METRICS) == imfuse.score(
        fused, *sources, metrics=METRICS, range="percentile"
    )
    write_image(files / "foreign.jpg", fused)
    row = score_files({"a": files / "foreign.jpg"}, files / infrared, files / "vi.png", metrics=METRICS).rows[0]
    assert row.infrared_range is not None
    assert row.infrared_range.origin == "auto"
    assert row.visible_range == UsedRange(0, 255, "auto")


@pytest.mark.parametrize("stored", ["7,7", "nonsense", "9,1", "nan,nan", "auto", "a\x1b[2J"])
def test_odd_metadata_are_ignored(files: Path, stored: str) -> None:
    fused = read(fuse(files, "raw.png"))
    write_image(files / "odd.png", fused, metadata={RANGE: stored})
    sources = files / "raw.png", files / "vi.png"
    if stored == "7,7":
        # What was one value everywhere was shown as 0.5, and is again where it is one value.
        write_image(files / "flat.png", np.full((60, 80), 7, np.uint16))
        row = score_files({"a": files / "odd.png"}, files / "flat.png", files / "vi.png", metrics="EN").rows[0]
        assert row.infrared_range == UsedRange(7, 7, "as fused")
        return
    with pytest.warns(imfuse.ImfuseWarning, match="LOW,HIGH is expected in its metadata") as caught:
        found = imfuse.score(files / "odd.png", *sources, metrics=METRICS)
    assert found == imfuse.score(fused, *sources, metrics=METRICS)
    assert str(caught[0].message).isprintable()


def test_a_flat_scene_is_scored_as_fused(files: Path) -> None:
    write_image(files / "flat.png", np.full((60, 80), 7000, np.uint16))
    fused = fuse(files, "flat.png")
    assert read_metadata(fused)[RANGE] == "7000,7000"
    assert np.isfinite(imfuse.score(fused, files / "flat.png", files / "vi.png", metrics="EN")["EN"])


@pytest.fixture
def methods(files: Path) -> dict[str, Path]:
    """Two pictures that were fused by the same range, one by another, and one that says nothing of it."""
    made = {"one": fuse(files, "raw.png", output="1.png"), "other": fuse(files, "raw.png", output="2.png", gray=True)}
    made["narrow"] = fuse(files, "raw.png", output="3.png", range="7500,8500")
    write_image(files / "foreign.png", read(made["one"]))
    return {**made, "foreign": files / "foreign.png"}


def test_every_method_by_its_own_range(files: Path, methods: dict[str, Path]) -> None:
    sources = files / "raw.png", files / "vi.png"
    scores = score_files(methods, *sources, metrics=METRICS)
    for row in scores.rows:
        assert row.values == imfuse.score(methods[row.method], *sources, metrics=METRICS)
    origins = {row.method: row.infrared_range.origin for row in scores.rows if row.infrared_range}
    assert origins == {"one": "as fused", "other": "as fused", "narrow": "as fused", "foreign": "auto"}
    narrow = imfuse.score(methods["narrow"], *sources, metrics=METRICS, range="7500,8500")
    assert scores.rows[2].values == narrow
    assert scores.ranges["infrared"].startswith("2 ranges within 7")
    assert scores.ranges == {"infrared": scores.ranges["infrared"], "visible": "0..255 (as fused, auto)"}


def test_what_methods_share_is_computed_once(
    files: Path, methods: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []

    def count(fused: Picture, infrared: Picture, visible: Picture) -> Tensor:
        for picture in (infrared, visible):
            picture.once("sum", lambda picture=picture: computed.append(id(picture)))
        return fused.levels.mean((1, 2, 3))

    definitions = {"SCD": Definition(count)}
    monkeypatch.setitem(CONVENTIONS, "test", Convention("test", "these tests", "matlab", definitions))
    score_files(methods, files / "raw.png", files / "vi.png", convention="test")
    assert len(computed) == 2 + 1, "two ranges of the infrared picture, one of the visible one"


def test_tables_and_files_say_which_range(
    files: Path, methods: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(files)
    words = ["score", "3.png", "raw.png", "vi.png", "--metrics", METRICS, "--csv", "a.csv", "--json", "a.json"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "black..white of the sources: infrared 7500..8500 (as fused), visible 0..255 (as fused)" in out
    with (files / "a.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["infrared_range"], row["visible_range"]) == ("7500,8500", "0,255")
    found = json.loads((files / "a.json").read_text())["methods"]["3"]["ranges"]["vi"]
    assert found["infrared"] == {"low": 7500, "high": 8500, "origin": "as fused"}
    assert main([*words, "--range", "7000,9000", "--visible-range", "0,200"]) == 0
    assert "infrared 7000..9000 (given), visible 0..200 (given)" in capsys.readouterr().out


def test_folders(files: Path) -> None:
    for name in ("1", "2"):
        write_image(files / "ir" / f"{name}.png", read(files / "raw.png") + int(name))
        write_image(files / "vi" / f"{name}.png", read(files / "vi.png"))
    imfuse.Fuser("laplacian_pyramid", range="7000,9000").folder(files / "ir", files / "vi", files / "out")
    scores = score_folders(files / "out", files / "ir", files / "vi", metrics=METRICS)
    assert scores.ranges["infrared"] == "7000..9000 (as fused)"
    assert [row.infrared_range for row in scores.rows] == [UsedRange(7000, 9000, "as fused")] * 2


@pytest.mark.parametrize("side", [0, 1, 2])
@pytest.mark.parametrize("how", ["masked", "nan"])
def test_pixels_without_data_are_no_score(scene: tuple[np.ndarray, np.ndarray], side: int, how: str) -> None:
    pictures: list[Any] = [scene[0], scene[0], scene[1][..., 0]]
    holes = np.zeros((60, 80), bool)
    holes[:, :5] = True
    picture = pictures[side]
    pictures[side] = np.ma.masked_array(picture, holes) if how == "masked" else np.where(holes, np.nan, picture / 255)
    with pytest.raises(ImageError, match=r": 300 pixels without data .* metrics need every pixel; crop"):
        imfuse.score(*pictures, metrics="EN")


def test_a_range_that_clips_everything_is_doubted(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fused = fuse(files, "raw.png")
    words = [str(path) for path in (fused, files / "raw.png", files / "vi.png")]
    assert main(["score", *words, "--metrics", "EN", "--range", "0,100"]) == 0
    assert "raw.png: the range 0..100 clips 100 % of the picture" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::imfuse.ImfuseWarning")
def test_false_colours_are_scored_as_the_heat_that_they_were_fused_as(files: Path, scene: Scene) -> None:
    infrared = cv2.normalize(scene[0], None, 0, 255, cv2.NORM_MINMAX)
    write_image(files / "gray.png", infrared)
    write_image(files / "jet.png", cv2.applyColorMap(infrared, cv2.COLORMAP_JET)[..., ::-1])
    heat = imfuse.score(fuse(files, "jet.png"), files / "gray.png", files / "vi.png", metrics=METRICS)
    assert imfuse.score(files / "fused.png", files / "jet.png", files / "vi.png", metrics=METRICS) == heat
    write_image(files / "other.png", imfuse.imaging.read_image(files / "fused.png"))
    assert imfuse.score(files / "other.png", files / "jet.png", files / "vi.png", metrics=METRICS) == heat
    fused = fuse(files, "jet.png", output="bright.png", infrared_palette="none")
    assert read_metadata(fused)["imfuse:infrared-palette"] == "none"
    bright = imfuse.score(fused, files / "jet.png", files / "vi.png", metrics="SCD")["SCD"]
    assert bright != imfuse.score(fused, files / "gray.png", files / "vi.png", metrics="SCD")["SCD"]


def test_degrees_are_known_again(files: Path, scene: Scene) -> None:
    """A result that was fused by degrees is scored by these degrees."""
    counts = 15000 + scene[0].astype(np.uint16) * 20
    records = {1: flir_record(counts), 0x20: flir_camera()}
    (files / "flir.jpg").write_bytes(with_segments(saved(scene[1], "JPEG"), *flir_segments(flir_records(records))))
    fused = fuse(files, "flir.jpg", range="10C,25C")
    assert read_metadata(fused)[RANGE] == "10C,25C"
    row = score_files({"a": fused}, files / "flir.jpg", files / "vi.png", metrics=METRICS).rows[0]
    assert row.infrared_range == UsedRange(10, 25, "as fused", "C")
    assert str(row.infrared_range) == "10C..25C (as fused)"
    given = imfuse.score(fused, files / "flir.jpg", files / "vi.png", metrics=METRICS, range="10C,25C")
    assert given == imfuse.score(fused, files / "flir.jpg", files / "vi.png", metrics=METRICS)
