"""From frames of two cameras to a rig.json, and from there to fused pictures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imfuse
from imfuse import Fuser, ImageError, PairError, RegistrationError, Rig
from imfuse.benchmark.figure import _pictures, parse_row
from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.results import read_results
from imfuse.benchmark.runner import run_benchmark
from imfuse.cli.main import main
from imfuse.data.pairs import find_pairs, load_pair
from imfuse.fusing.alignment import OUTSIDE, RIG
from imfuse.imaging import image_size, read_image, read_metadata, write_image
from imfuse.registration.transform import Transform
from registration_pairs import board_seen, scene, seen_by

SIZE = (240, 320)
TRUE = Transform(np.array([[1.0, 0, 14], [0, 1, -10], [0, 0, 1]]), "shift")


def levels(picture: Any) -> Any:
    return np.uint8(np.round(picture * 255))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames of a street, as two cameras side by side see them, and the rig of these."""
    folder = tmp_path_factory.mktemp("frames")
    for seed in range(3):
        infrared, visible = scene(seed, *SIZE)
        write_image(folder / "ir" / f"{seed}.png", levels(seen_by(infrared, TRUE, SIZE)))
        write_image(folder / "vi" / f"{seed}.png", levels(visible))
        write_image(folder / "registered" / f"{seed}.png", levels(infrared))
    Rig.of(TRUE, SIZE, SIZE).write(folder / "rig.json")
    return folder


def run(*arguments: object) -> int:
    return main([str(one) for one in arguments])


def test_frames_become_a_rig_with_its_check(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("align", frames / "ir", frames / "vi", "-o", tmp_path / "rig.json", "--check", tmp_path / "check") == 0
    rig = Rig.read(tmp_path / "rig.json")
    corners = np.array([[0.0, 0], [319, 0], [319, 239], [0, 239]])
    assert np.linalg.norm(rig.transform.apply(corners) - TRUE.apply(corners), axis=1).max() <= 1
    assert rig.frames == ("0", "1", "2")
    assert " from 3 frames, residual" in (shown := capsys.readouterr().out)
    assert "common area" in shown
    assert image_size(tmp_path / "check" / "0.png") == (240, 640)
    rows = list(csv.DictReader((tmp_path / "check" / "frames.csv").open()))
    assert [row["frame"] for row in rows] == ["0", "1", "2"]
    assert max(float(row["off_px"]) for row in rows) < 2


def test_one_pair_becomes_a_rig(frames: Path, tmp_path: Path) -> None:
    assert run("align", frames / "ir" / "0.png", frames / "vi" / "0.png", "-o", tmp_path / "rig.json") == 0
    rig = Rig.read(tmp_path / "rig.json")
    assert rig.method == "pair"
    assert np.linalg.norm(rig.transform.apply([[160.0, 120]]) - TRUE.apply([[160.0, 120]])) < 2


def test_points_become_a_rig(frames: Path, tmp_path: Path) -> None:
    infrared = [(10, 20), (300, 30), (200, 220), (40, 180)]
    rows = [f"{x + 14},{y - 10},{x},{y}" for x, y in infrared]
    (tmp_path / "points.csv").write_text("\n".join(["x_visible,y_visible,x_infrared,y_infrared", *rows]))
    pair = frames / "ir" / "0.png", frames / "vi" / "0.png"
    assert run("align", *pair, "--points", tmp_path / "points.csv", "-o", tmp_path / "rig.json") == 0
    rig = Rig.read(tmp_path / "rig.json")
    assert (rig.model, rig.method) == ("shift", "points")
    assert imfuse.align(*pair, points=tmp_path / "points.csv") == rig


def test_views_of_a_board_become_a_rig(tmp_path: Path) -> None:
    for name, (x, y, tilt) in {"a": (40, 30, 0.0), "b": (45, 25, 2e-4), "c": (30, 35, -2e-4)}.items():
        seen = np.array([[1.0, 0.05, x], [-0.04, 1.0, y], [tilt, -tilt / 2, 1]])
        write_image(tmp_path / "ir" / f"{name}.png", levels(board_seen(seen, 0.8, 0.3)))
        write_image(tmp_path / "vi" / f"{name}.png", levels(board_seen(TRUE.matrix @ seen, 0.1, 0.9)))
    words = ["align", tmp_path / "ir", tmp_path / "vi", "-o", tmp_path / "rig.json"]
    assert run(*words, "--board", "9x6", "--model", "shift") == 0
    rig = Rig.read(tmp_path / "rig.json")
    assert (rig.method, rig.frames) == ("board", ("a", "b", "c"))
    np.testing.assert_allclose(rig.transform.matrix, TRUE.matrix, atol=0.3)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--model", "magic"], "one of identity, shift"),
        (["--board", "9"], "inner corners"),
        (["--board", "9x6"], "no frame shows a board"),
        (["--points", "no.csv"], "no.csv"),
        (["--points", "no.csv", "--board", "9x6"], "one of the two"),
    ],
)
def test_misuse_of_align_is_one_line(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    assert run("align", frames / "ir", frames / "vi", "-o", tmp_path / "rig.json", *more) != 0
    error = capsys.readouterr().err
    assert words in " ".join(error.split())
    assert "Traceback" not in error
    assert not (tmp_path / "rig.json").exists()


def test_a_folder_and_a_file_are_no_pair(frames: Path) -> None:
    with pytest.raises(RegistrationError, match="two folders or two pictures"):
        imfuse.align(frames / "ir", frames / "vi" / "0.png")


def test_pairs_of_a_rig_are_fused_as_registered_ones(frames: Path, tmp_path: Path) -> None:
    run("fuse", frames / "ir", frames / "vi", "-o", tmp_path / "a", "--rig", frames / "rig.json", "--model", "dwt")
    run("fuse", frames / "registered", frames / "vi", "-o", tmp_path / "b", "--model", "dwt")
    result, wanted = (read_image(tmp_path / name / "0.png").astype(float) for name in "ab")
    valid = Rig.read(frames / "rig.json").valid
    assert np.abs(result - wanted)[valid.slices][20:-20, 20:-20].mean() < 2
    told = read_metadata(tmp_path / "a" / "0.png")
    assert told[RIG] == Rig.read(frames / "rig.json").digest
    assert told[OUTSIDE] == "visible"


def test_outside_is_the_visible_picture_or_cut_away(frames: Path, tmp_path: Path) -> None:
    pair, rig = (frames / "ir" / "0.png", frames / "vi" / "0.png"), frames / "rig.json"
    visible = read_image(pair[1])
    whole = imfuse.fuse(*pair, "dwt", rig=rig)
    cut = imfuse.fuse(*pair, "dwt", rig=rig, outside="crop")
    left, top, right, bottom = Rig.read(rig).valid
    assert whole.shape == visible.shape
    np.testing.assert_array_equal(whole[:, :left], visible[:, :left])
    assert cut.shape == (bottom - top, right - left)
    Fuser("dwt", rig=rig, outside="crop").files(*pair, tmp_path / "cut.png")
    assert read_metadata(tmp_path / "cut.png")[OUTSIDE] == "crop"


def test_pictures_of_any_size_and_bit_depth_take_the_rig(frames: Path) -> None:
    infrared, visible = (read_image(frames / side / "0.png") for side in ("ir", "vi"))
    rig = Rig.read(frames / "rig.json")
    deep = infrared.astype(np.uint16) * 64 + 5000
    first = imfuse.fuse(infrared, visible, "dwt", range="minmax", rig=rig)
    second = imfuse.fuse(deep, visible, "dwt", range="minmax", rig=rig)
    assert np.abs(first.astype(int) - second.astype(int)).max() <= 1
    large = imfuse.fuse(np.kron(infrared, np.ones((2, 2), np.uint8)), visible, "dwt", range="minmax", rig=rig)
    assert np.abs(first.astype(int) - large.astype(int)).mean() < 3
    with pytest.raises(RegistrationError, match="the rig is of 320x240"):
        imfuse.fuse(infrared[:200], visible, "dwt", rig=rig)


def test_another_rig_redoes_what_was_finished(frames: Path, tmp_path: Path) -> None:
    pair, out = (frames / "ir" / "0.png", frames / "vi" / "0.png"), tmp_path / "fused.png"
    rig = Rig.read(frames / "rig.json")
    other = Rig.of(Transform(np.array([[1.0, 0, 15], [0, 1, -10], [0, 0, 1]]), "shift"), SIZE, SIZE)
    assert Fuser("dwt", rig=rig).files(*pair, out)
    assert not Fuser("dwt", rig=rig).files(*pair, out)
    assert Fuser("dwt", rig=other).files(*pair, out)
    assert Fuser("dwt", rig=other, outside="crop").files(*pair, out)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--outside", "black"], "crop or visible is expected"),
        (["--align"], "both --rig"),
        (["--resize", "crop"], "--resize"),
        (["--rig", "no.json"], "no.json"),
    ],
)
def test_misuse_of_a_rig_is_one_line(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    pair = frames / "ir" / "0.png", frames / "vi" / "0.png"
    assert run("fuse", *pair, "-o", tmp_path / "out.png", "--rig", frames / "rig.json", *more) != 0
    error = capsys.readouterr().err
    assert words in " ".join(error.split())
    assert "Traceback" not in error
    assert not (tmp_path / "out.png").exists()


def test_pairs_are_segmented_by_a_rig(frames: Path, tmp_path: Path) -> None:
    pair, rig = (frames / "ir" / "0.png", frames / "vi" / "0.png"), frames / "rig.json"
    for outside, size in (("visible", SIZE), ("crop", (230, 306))):
        out = tmp_path / outside
        assert run("segment", *pair, "-o", out, "--model", "psfusion_compact", "--rig", rig, "--outside", outside) == 0
        assert image_size(out / "labels" / "0.png") == size


def test_cut_pictures_are_not_compared_with_whole_labels(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "segment",
        frames / "ir",
        frames / "vi",
        "-o",
        tmp_path,
        "--model",
        "psfusion_compact",
        "--outside",
        "crop",
    ]
    write_image(tmp_path / "labels" / "0.png", np.zeros(SIZE, np.uint8))
    assert run(*words, "--rig", frames / "rig.json", "--labels", tmp_path / "labels") != 0
    assert "labels" in (error := capsys.readouterr().err)
    assert "--outside visible" in " ".join(error.split())


@pytest.mark.parametrize("outside", ["visible", "crop"])
def test_what_both_cameras_show_is_scored_by_the_rig(frames: Path, tmp_path: Path, outside: str) -> None:
    rig = frames / "rig.json"
    Fuser("dwt", rig=rig, outside=outside).folder(frames / "ir", frames / "vi", tmp_path / "fused")
    words = ["score", tmp_path / "fused", frames / "ir", frames / "vi", "--metrics", "EN,MI,Qabf"]
    assert run(*words, "--rig", rig, "--csv", tmp_path / "scores.csv") == 0
    rows = list(csv.DictReader((tmp_path / "scores.csv").open()))
    assert len(rows) == 3
    pictures = [
        read_image(tmp_path / "fused" / "0.png"),
        *(read_image(frames / x / "0.png") for x in ("registered", "vi")),
    ]
    box = Rig.read(rig).valid.slices
    cut = [one[box] if one.shape[:2] == SIZE else one for one in pictures]
    wanted = imfuse.score(*cut, metrics="EN,MI,Qabf", range="full")
    for name, tolerance in (("EN", 1e-3), ("MI", 0.3), ("Qabf", 0.05)):
        assert float(rows[0][name]) == pytest.approx(wanted[name], abs=tolerance)


def test_sources_of_two_cameras_are_not_scored_without_their_rig_where_they_differ_in_size(frames: Path) -> None:
    infrared, visible = (read_image(frames / side / "0.png") for side in ("ir", "vi"))
    small = np.ascontiguousarray(infrared[::2, ::2])
    with pytest.raises(PairError):
        imfuse.score(visible, small, visible, metrics="EN")
    assert imfuse.score(visible, small, visible, metrics="EN", rig=frames / "rig.json")["EN"] > 0


def test_a_pair_that_looks_shifted_is_told_of_the_rig(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fuse", frames / "ir" / "0.png", frames / "vi" / "0.png", "--model", "dwt", "--overwrite"]
    assert run(*words, "-o", tmp_path / "out.png") == 0
    assert "looks shifted" in (error := " ".join(capsys.readouterr().err.split()))
    assert "imfuse align" in error
    assert run(*words, "-o", tmp_path / "out.png", "--rig", frames / "rig.json") == 0
    assert "shifted" not in capsys.readouterr().err


def test_files_that_know_how_their_pictures_lie_take_no_rig() -> None:
    from imfuse.fusing.alignment import refuse_same_field
    from imfuse.imaging.inputs import Stored

    with pytest.raises(ImageError, match="says itself how"):
        refuse_same_field(Stored(np.zeros((4, 4), np.uint8), name="flir.jpg", same_field=True))


def test_a_benchmark_by_a_rig_scores_what_registered_pairs_would(frames: Path, tmp_path: Path) -> None:
    place = f"street={frames}"
    words = ["benchmark", "--data", place, "--models", "dwt", "--metrics", "EN,MI", "--workers", 1]
    assert run(*words, "--rig", frames / "rig.json", "-o", tmp_path / "rig") == 0
    results = read_results(tmp_path / "rig")
    assert results.rig == (rig := Rig.read(frames / "rig.json"))
    found = results.data["street"].pictures["dwt"]["0"]
    pictures = (tmp_path / "rig" / found.file, frames / "ir" / "0.png", frames / "vi" / "0.png")
    assert image_size(pictures[0]) == SIZE
    assert found.scores == pytest.approx(imfuse.score(*pictures, metrics="EN,MI", rig=rig), abs=1e-6)
    # Nothing of it serves where the pairs are taken for registered.
    assert run(*words, "-o", tmp_path / "rig", "--no-report") == 0
    assert read_results(tmp_path / "rig").data["street"].pictures["dwt"]["0"].scores["MI"] != found.scores["MI"]


def test_pages_and_figures_show_the_infrared_picture_where_it_lies(frames: Path, tmp_path: Path) -> None:
    plan = make_plan(
        {"data": {"street": frames}, "models": "dwt", "metrics": "EN", "rig": str(frames / "rig.json"), "range": "full"}
    )
    results = run_benchmark(plan, tmp_path, workers=1)
    shown = _pictures(results, tmp_path, parse_row("0", results), ["dwt"])["infrared"]
    box = Rig.read(frames / "rig.json").valid.slices
    registered = read_image(frames / "registered" / "0.png").astype(float)
    assert np.abs(shown[box] - registered[box])[20:-20, 20:-20].mean() < 2


def test_a_task_takes_no_rig(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--task", "segment", "--rig", frames / "rig.json", "-o", tmp_path]
    assert run("benchmark", "--data", f"street={frames}", *words) == 2
    assert "--rig" in capsys.readouterr().err


def test_training_takes_what_both_cameras_show(frames: Path, tmp_path: Path) -> None:
    rig = Rig.read(frames / "rig.json")
    files = find_pairs(frames / "ir", frames / "vi", rig=rig)
    pair = load_pair(files[0])
    assert pair.infrared.shape == pair.visible.shape == (230, 306)
    registered = load_pair(find_pairs(frames / "registered", frames / "vi")[0])
    assert np.abs(pair.infrared - registered.infrared[rig.valid.slices])[20:-20, 20:-20].mean() < 0.02
    np.testing.assert_array_equal(pair.visible, registered.visible[rig.valid.slices])
    words = ["--infrared", frames / "ir", "--visible", frames / "vi", "--rig", frames / "rig.json", "--device", "cpu"]
    small = ["epochs=1", "batch_size=2", "data.validation=0", "data.crop.size=16"]
    changes = [word for one in small for word in ("--set", one)]
    assert run("train", "auif", *words, *changes, "-o", tmp_path / "run") == 0
    assert (tmp_path / "run" / "weights.safetensors").is_file()


def test_a_picture_that_was_aligned_is_scored_by_the_same_rig_alone(frames: Path, tmp_path: Path) -> None:
    pair, rig = (frames / "ir" / "0.png", frames / "vi" / "0.png"), frames / "rig.json"
    other = Rig.of(Transform(np.array([[1.0, 0, 9], [0, 1, -10], [0, 0, 1]]), "shift"), SIZE, SIZE)
    Fuser("dwt", rig=rig).files(*pair, tmp_path / "rig.png")
    Fuser("dwt", align=True).files(*pair, tmp_path / "own.png")
    assert imfuse.score(tmp_path / "rig.png", *pair, metrics="EN", rig=rig)["EN"] > 0
    for wrong, words in ((None, "give the same rig"), (other, "by another rig")):
        with pytest.raises(PairError, match=words):
            imfuse.score(tmp_path / "rig.png", *pair, metrics="EN", rig=wrong)
    with pytest.raises(PairError, match="aligned by itself"):
        imfuse.score(tmp_path / "own.png", *pair, metrics="EN")
