from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import imfuse
from imfuse.core.errors import ImageError, MetricError, PairError
from imfuse.fusing.folder import Progress
from imfuse.imaging import write_image
from imfuse.imaging.inputs import Stored
from imfuse.metrics import CONVENTIONS, Picture, score_images
from imfuse.metrics.conventions import Convention, Definition, Gray
from imfuse.scoring.files import HEADLINE, choose_metrics, score, score_files, score_folders
from imfuse.scoring.levels import to_gray, to_levels
from imfuse.scoring.scores import Scores

QUICK = ("EN", "SD", "SF", "AG", "SCD")
Images = tuple[np.ndarray, ...]


def noise(*shape: int, seed: int = 0, kind: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max + 1, shape, kind)


def expected(*images: np.ndarray, data_range: float = 255) -> dict[str, float]:
    tensors = [torch.from_numpy(image.astype(np.float64))[None, None] for image in images]
    return {name: value.item() for name, value in score_images(*tensors, data_range, QUICK).items()}


@pytest.fixture
def triple() -> Images:
    return tuple(noise(3, 24, 32))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """ir/, vi/ and the results of two methods, a/ and b/: four pairs, named as users name them."""
    for i, name in enumerate(("1", "2", "10", "Ω")):
        ir, vi, a, b = noise(4, 20, 24, seed=i)
        write_image(tmp_path / "ir" / f"ir_{name}.png", ir)
        write_image(tmp_path / "vi" / f"vi_{name}.png", vi)
        write_image(tmp_path / "a" / f"{name}.png", a)
        write_image(tmp_path / "b" / f"vi_{name}_fused.png", b)
    return tmp_path


def run(folder: Path, *methods: str, **options: Any) -> Scores:
    fused = {method: folder / method for method in methods or ("a", "b")}
    return score_folders(fused, folder / "ir", folder / "vi", metrics=options.pop("metrics", QUICK), **options)


@pytest.fixture
def convention(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Makes a convention "test" of functions under symbols, and gives its name."""

    def make(gray: Gray = "matlab", **functions: Callable[..., Tensor]) -> str:
        definitions = {symbol: Definition(function) for symbol, function in functions.items()}
        monkeypatch.setitem(CONVENTIONS, "test", Convention("test", "these tests", gray, definitions))
        return "test"

    return make


def mean_level(fused: Picture) -> Tensor:
    return fused.levels.mean((1, 2, 3))


def levels_of_all(fused: Picture, infrared: Picture, visible: Picture) -> Tensor:
    """One number that tells the mean levels of the three images apart."""
    return mean_level(fused) * 1e6 + mean_level(infrared) * 1e3 + mean_level(visible)


# One triple


def test_every_kind_of_picture_scores_alike(triple: Images, tmp_path: Path) -> None:
    wanted = expected(*triple)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, image in zip(paths, triple, strict=True):
        write_image(path, image)
    kinds: dict[str, list[Any]] = {
        "array": list(triple),
        "PIL": [Image.fromarray(image) for image in triple],
        "path": list(paths),
        "str": [str(path) for path in paths],
        "tensor": [torch.from_numpy(image)[None] for image in triple],
        "16 bit": [image.astype(np.uint16) * 257 for image in triple],
        "float": [image.astype(np.float32) / 255 for image in triple],
        "half": [torch.from_numpy(image / 255).half() for image in triple],
        "colour": [np.repeat(image[..., None], 3, 2) for image in triple],
        "mixed": [triple[0], paths[1], triple[2] / 255.0],
    }
    for kind, images in kinds.items():
        assert imfuse.score(*images, metrics=QUICK, range="full") == wanted, kind


def test_levels_of_wide_types_are_rounded() -> None:
    deep = noise(40, 50, kind=np.uint16)
    assert (to_levels(Stored(deep, "x")) == np.rint(deep * (255 / 65535))).all()
    unit = np.random.default_rng(1).random((40, 50))
    for kind in (np.float32, np.float64):
        cast = unit.astype(kind)
        picture = Picture(torch.from_numpy(cast)[None, None]).levels[0, 0].numpy()
        assert (to_levels(Stored(cast, "x")) == picture).all()


def test_range_of_the_infrared_picture(triple: Images) -> None:
    fused, _, visible = triple
    thermal = 7000 + 10 * noise(24, 32, seed=5).astype(np.uint16)
    stretched = ((thermal - 7000) / 2550 * 255).round().astype(np.uint8)
    assert score(fused, thermal, visible, metrics=QUICK, range="7000,9550") == expected(fused, stretched, visible)
    flat = np.rint(thermal / 257).astype(np.uint8)
    assert score(fused, thermal, visible, metrics=QUICK, range="full") == expected(fused, flat, visible)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((4, 4), 1.5), ["values 1.5..1.5 found", "0..1", "range='LOW,HIGH'"]),
        (np.full((4, 4), -0.1), ["values -0.1..-0.1 found"]),
        (np.array([[0.5, np.nan]]), ["nan"]),
        (np.zeros((4, 4), np.int64), ["int64"]),
        (np.zeros((0, 4)), ["(0, 4)"]),
        (np.zeros((4, 4, 2), np.uint8), ["(4, 4, 2)"]),
    ],
)
@pytest.mark.parametrize("side", ["fused", "infrared", "visible"])
def test_pictures_that_cannot_be_scored_are_named(pixels: np.ndarray, words: list[str], side: str) -> None:
    images = dict.fromkeys(("fused", "infrared", "visible"), np.zeros(pixels.shape[:2], np.uint8)) | {side: pixels}
    if side == "infrared" and words[0].startswith("values"):
        assert score(**images, metrics="EN") == score(**images, range="percentile", metrics="EN")
        images["range"] = "full"
    with pytest.raises(ImageError) as caught:
        score(**images)
    assert str(caught.value).startswith(f"{side}: ")
    assert all(word in str(caught.value) for word in words)


def test_sizes_that_differ(triple: Images) -> None:
    fused, infrared, visible = triple
    with pytest.raises(PairError, match="fused is 32x23 but visible is 32x24"):
        score(fused[1:], infrared, visible)
    with pytest.raises(PairError, match="infrared is 31x24 but visible is 32x24"):
        score(fused, infrared[:, 1:], visible)


def test_a_batch_is_no_triple(triple: Images) -> None:
    batch = torch.zeros(2, 1, 24, 32)
    with pytest.raises(ImageError, match=r"fused: a batch of 2 pictures.*score_images"):
        score(batch, *triple[1:])


def test_no_trace_of_gradients(triple: Images) -> None:
    images = [torch.from_numpy(image / 255).requires_grad_() for image in triple]
    assert score(*images, metrics=QUICK) == expected(*triple)


# Colour


def test_gray_as_matlab_and_opencv() -> None:
    levels = noise(300, 400, 3, seed=3)
    red, green, blue = np.moveaxis(levels.astype(np.float64), 2, 0)
    matlab = np.floor(0.298936021293776 * red + 0.587043074451121 * green + 0.114020904255103 * blue + 0.5)
    assert (to_gray(levels, "matlab") == matlab).all()
    opencv = cv2.cvtColor(levels[..., ::-1].astype(np.float32), cv2.COLOR_BGR2GRAY)
    assert (to_gray(levels, "opencv") == opencv.round()).all()
    assert (to_gray(levels, "opencv") != to_gray(levels, "matlab")).any()
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, 2)
    for rule in ("matlab", "opencv", "channels"):
        assert (to_gray(every, rule) == every[..., 0]).all(), rule


@pytest.mark.parametrize("rule", ["matlab", "opencv"])
def test_colour_is_scored_as_gray(convention: Callable[..., str], rule: Gray) -> None:
    fused, visible = noise(2, 16, 16, 3)
    infrared = noise(16, 16, seed=1)
    name = convention(rule, SCD=levels_of_all)
    grays = to_gray(fused, rule), infrared, to_gray(visible, rule)
    assert score(fused, infrared, visible, convention=name) == score(*grays, convention=name)


def test_channels_one_by_one(convention: Callable[..., str]) -> None:
    """Each channel with the sources' same channel, or their only one; and gray, where the fused picture is gray."""
    fused, visible = noise(2, 16, 16, 3)
    infrared = noise(16, 16, seed=1)
    name = convention("channels", SCD=levels_of_all, EN=mean_level)
    alone = [score(fused[..., k], infrared, visible[..., k], convention=name) for k in range(3)]
    found = score(fused, infrared, visible, convention=name)
    assert found == {key: pytest.approx(np.mean([one[key] for one in alone]), rel=1e-14) for key in found}
    gray = to_gray(visible, "matlab")
    assert score(infrared, infrared, visible, convention=name) == score(infrared, infrared, gray, convention=name)


# Which metrics


def test_metrics_by_default_are_those_of_papers(
    convention: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = choose_metrics(None, "plain")
    assert chosen == tuple(symbol for symbol in HEADLINE if symbol in CONVENTIONS["plain"].definitions)
    assert set(QUICK) <= set(chosen)
    assert choose_metrics(None, convention(SCD=levels_of_all, EN=mean_level)) == ("EN", "SCD")
    monkeypatch.setattr("imfuse.scoring.files.HEADLINE", ("AG",))
    assert choose_metrics(None, "test") == ("EN", "SCD"), "all of them, rather than none"


def test_metrics_that_are_asked_for() -> None:
    assert choose_metrics("SD,EN", "plain") == choose_metrics(" SD , EN,SD", "plain") == ("SD", "EN")
    assert choose_metrics(["SCD"], "plain") == ("SCD",)
    assert set(choose_metrics("all", "plain")) == set(CONVENTIONS["plain"].definitions)


@pytest.mark.parametrize(
    ("metrics", "convention_name", "words"),
    [
        ("ENN", "plain", ["unknown metric 'ENN'", "did you mean EN"]),
        ("", "plain", ["unknown metric ''"]),
        ([], "plain", ["no metric", "EN"]),
        ("EN", "plane", ["unknown convention 'plane'", "plain"]),
        ("SCD", "test", ["convention test does not define SCD", "plain"]),
    ],
)
def test_metrics_that_there_are_not(
    convention: Callable[..., str], triple: Images, metrics: Any, convention_name: str, words: list[str]
) -> None:
    convention(EN=mean_level)
    with pytest.raises(MetricError) as caught:
        score(*triple, metrics=metrics, convention=convention_name)
    assert all(word in str(caught.value) for word in words)


# Folders


def test_folders_score_as_their_files_do(folders: Path) -> None:
    scores = run(folders)
    assert scores.complete
    assert (scores.methods, scores.metrics, scores.pairs) == (("a", "b"), QUICK, 4)
    assert [(row.method, row.image) for row in scores.rows] == [
        (method, f"vi_{name}") for method in ("a", "b") for name in ("1", "2", "10", "Ω")
    ]
    for row, name in zip(scores.rows, ["1", "2", "10", "Ω"] * 2, strict=True):
        fused = folders / row.method / (f"{name}.png" if row.method == "a" else f"vi_{name}_fused.png")
        assert row.values == score(fused, folders / f"ir/ir_{name}.png", folders / f"vi/vi_{name}.png", metrics=QUICK)


def test_one_folder(folders: Path) -> None:
    scores = imfuse.score(folders / "a", folders / "ir", folders / "vi", metrics="EN,SD")
    assert isinstance(scores, imfuse.Scores)
    assert scores.methods == ("a",)
    assert scores.rows == run(folders, "a", metrics="EN,SD").rows
    with pytest.raises(PairError, match="folders are: infrared, visible"):
        score(folders / "a" / "1.png", folders / "ir", folders / "vi")
    with pytest.raises(MetricError, match="no fused"):
        score_folders({}, folders / "ir", folders / "vi")


def test_files_of_several_methods(folders: Path) -> None:
    fused = {"a": folders / "a/2.png", "b": folders / "b/vi_2_fused.png"}
    scores = score_files(fused, folders / "ir/ir_2.png", folders / "vi/vi_2.png", metrics=QUICK)
    assert scores.complete
    assert list(scores.rows) == [row for row in run(folders).rows if row.image == "vi_2"]
    with pytest.raises(ImageError, match=r"none\.png"):
        score_files({"a": folders / "none.png"}, folders / "ir/ir_2.png", folders / "vi/vi_2.png")


def test_workers_change_nothing(folders: Path) -> None:
    assert run(folders, workers=1).rows == run(folders, workers=4).rows == run(folders).rows


def test_a_worker_is_one_thread_and_the_caller_keeps_his(folders: Path, convention: Callable[..., str]) -> None:
    seen = set()

    def spy(fused: Picture) -> Tensor:
        seen.add((threading.get_ident(), torch.get_num_threads(), cv2.getNumThreads()))
        return mean_level(fused)

    torch_before, opencv_before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        torch.set_num_threads(2)
        cv2.setNumThreads(2)
        run(folders, metrics=None, convention=convention(EN=spy))
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (2, 2)
    finally:
        torch.set_num_threads(torch_before)
        cv2.setNumThreads(opencv_before)
    assert {threads[1:] for threads in seen} == {(1, 1)}
    assert threading.get_ident() not in {threads[0] for threads in seen}


def test_what_a_source_needs_is_computed_once_for_all_methods(folders: Path, convention: Callable[..., str]) -> None:
    computed = []

    def shared(fused: Picture, infrared: Picture, visible: Picture) -> Tensor:
        for picture in (infrared, visible):
            picture.once("sum", lambda picture=picture: computed.append(id(picture)))
        return mean_level(fused)

    run(folders, metrics=None, convention=convention(SCD=shared), workers=1)
    assert len(computed) == 2 * 4


def test_progress(folders: Path) -> None:
    steps: list[Progress] = []
    (folders / "a" / "2.png").unlink()
    run(folders, "a", progress=steps.append)
    assert [(step.done, step.total) for step in steps] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert [step.name for step in steps] == ["", "vi_1", "vi_10", "vi_Ω"]


def test_an_interruption_ends_it(folders: Path, convention: Callable[..., str]) -> None:
    scored = []

    def slow(fused: Picture) -> Tensor:
        time.sleep(0.05)
        scored.append(fused)
        return mean_level(fused)

    def interrupt(step: Progress) -> None:
        if step.done:
            raise KeyboardInterrupt

    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        with pytest.raises(KeyboardInterrupt):
            run(folders, "a", metrics=None, convention=convention(EN=slow), workers=1, progress=interrupt)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(threads)
    assert len(scored) < 4, "the one that was under way is finished, and nothing new begins"


def test_odd_pictures_are_named_and_the_others_scored(folders: Path) -> None:
    (folders / "a" / "1.png").unlink()
    (folders / "a" / "10.png").write_bytes(b"no picture")
    write_image(folders / "b" / "stray.png", noise(20, 24))
    write_image(folders / "b" / "vi_2_fused.png", noise(20, 25))
    (folders / "ir" / "ir_Ω.png").write_bytes(b"")
    write_image(folders / "ir" / "alone.png", noise(20, 24))
    scores = run(folders)
    assert not scores.complete
    assert [(row.method, row.image) for row in scores.rows] == [("a", "vi_2"), ("b", "vi_1"), ("b", "vi_10")]
    assert scores.missing == {"a": ("vi_1",), "b": ()}
    assert scores.unmatched == {"a": (), "b": ("stray.png",)}
    assert scores.unmatched_infrared == ("alone.png",)
    failed = {(failure.method, failure.image): failure.message for failure in scores.failed}
    assert failed.keys() == {("a", "vi_10"), ("b", "vi_2"), ("", "vi_Ω")}
    assert str(folders / "a" / "10.png") in failed["a", "vi_10"]
    assert "vi_2_fused.png is 25x20 but" in failed["b", "vi_2"]
    assert "0 bytes" in failed["", "vi_Ω"]
    assert scores.summary("EN", "b").count == 2


def test_a_defect_of_a_metric_costs_one_picture(folders: Path, convention: Callable[..., str]) -> None:
    def broken(fused: Picture) -> Tensor:
        if fused.levels[0, 0, 0, 0] == noise(4, 20, 24, seed=1)[2, 0, 0]:
            raise ZeroDivisionError("first line\nsecond line")
        return mean_level(fused)

    scores = run(folders, "a", metrics=None, convention=convention(EN=broken))
    (failure,) = scores.failed
    assert failure.image == "vi_2"
    assert failure.message.startswith(f"{folders / 'a' / '2.png'}: ZeroDivisionError: first line; ")
    assert len(scores.rows) == 3


def test_pictures_too_small_for_a_metric(folders: Path) -> None:
    for side, name in (("ir", "ir_1"), ("vi", "vi_1"), ("a", "1")):
        write_image(folders / side / f"{name}.png", noise(1, 24, seed=ord(side[0])))
    (failure,) = run(folders, "a").failed
    assert failure.message.startswith(str(folders / "a" / "1.png"))
    assert "at least 2x2" in failure.message


def test_folders_that_do_not_belong_together(folders: Path) -> None:
    write_image(folders / "other" / "x.png", noise(20, 24))
    with pytest.raises(PairError, match=r"no file names match between .*other \(x.png\) and the pairs \(vi_1.png"):
        run(folders, "a", "other")
    with pytest.raises(PairError, match="no such fused folder"):
        run(folders, "nowhere")
    with pytest.raises(ImageError, match="LOW"):
        run(folders, range="9,1")


def test_known_means_of_published_pictures(shared: Path) -> None:
    """RefineFuse, Table 3, TNO: the columns whose definitions are also the plain ones."""
    fused = {"DenseFuse": shared / "truth/fused/densefuse", "U2Fusion": shared / "truth/fused/u2fusion"}
    scores = score_folders(fused, shared / "data/tno/ir", shared / "data/tno/vi", metrics="AG,SCD,SF,EN")
    assert scores.complete
    assert scores.pairs == 42
    table = {"DenseFuse": (3.5600, 1.7838, 8.9854, 6.8193), "U2Fusion": (5.0233, 1.7839, 11.8638, 6.9967)}
    for method, printed in table.items():
        assert [round(scores.summary(symbol, method).mean, 4) for symbol in scores.metrics] == list(printed)


# Files


def test_json(tmp_path: Path, folders: Path) -> None:
    (folders / "a" / "2.png").unlink()
    (folders / "b" / "vi_10_fused.png").write_bytes(b"")
    flat = np.zeros((20, 24), np.uint8)
    write_image(folders / "a" / "10.png", flat)
    scores = run(folders)
    scores.to_json(tmp_path / "scores.json")
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["imfuse"] == imfuse.__version__
    assert found["convention"] == {"name": "plain", "origin": CONVENTIONS["plain"].origin, "gray": "matlab"}
    assert found["metrics"]["SCD"]["better"] == "higher"
    assert found["pairs"] == 4
    assert found["methods"]["a"]["missing"] == ["vi_2"]
    assert found["methods"]["a"]["summary"]["EN"]["mean"] == scores.summary("EN", "a").mean
    assert found["methods"]["a"]["images"]["vi_1"] == scores.rows[0].values
    assert [failure["image"] for failure in found["failed"]] == ["vi_10"]
