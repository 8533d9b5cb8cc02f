"""Pictures made elsewhere through a trained network: files, folders, layouts of data sets, bands, scores, commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from imfuse.cli.main import main
from imfuse.core.errors import ImageError, ModelError, PairError
from imfuse.data.labels import labels_of, read_classes
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import read_image, write_image
from imfuse.scenes import CLASSES
from imfuse.tasks.segment.file import load_segmenter, save_segmenter
from imfuse.tasks.segment.networks import build_segmenter
from imfuse.tasks.segment.pictures import PictureSegmenter
from imfuse.tasks.segment.read import read_picture
from imfuse.tasks.segment.scores import confusion_matrix, intersection_over_union
from imfuse.tasks.segment.segmenter import Segmenter, overlay
from picture_files import write_four_bands
from rendered_scenes import rendered

SIZE = (40, 56)


def trained(path: Path, name: str = "segformer_compact", channels: int = 3) -> Path:
    """A file of a network that finds several classes in rendered scenes."""
    torch.manual_seed(0)
    network = build_segmenter(name, 9, channels)
    with torch.no_grad():
        for _ in range(2):
            network(torch.randn(2, channels, *SIZE))
        network.eval().head.predict.bias.sub_(network(torch.randn(2, channels, *SIZE)).mean((0, 2, 3)))
    save_segmenter(path, network, name, 9, channels, [0.4] * channels, [0.25] * channels, origin="a test")
    return path


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("networks") / "three.safetensors")


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("networks") / "four.safetensors", "two_stream_compact", 4)


@pytest.fixture
def msrs(tmp_path: Path) -> Path:
    """Three pairs in the layout of MSRS."""
    for seed in range(3):
        scene = rendered(*SIZE, seed)
        write_image(tmp_path / "test" / "ir" / f"0{seed}N.png", scene.infrared)
        write_image(tmp_path / "test" / "vi" / f"0{seed}N.png", scene.visible)
        write_image(tmp_path / "test" / "Segmentation_labels" / f"0{seed}N.png", scene.labels)
    return tmp_path


@pytest.fixture
def mfnet(msrs: Path, tmp_path: Path) -> Path:
    """The same in that of MFNet: pictures of four bands, one folder of labels, lists of names."""
    root = tmp_path / "mfnet"
    for path in sorted((msrs / "test" / "vi").iterdir()):
        bands = [read_image(path), read_image(msrs / "test" / "ir" / path.name)[..., None]]
        write_four_bands(root / "images" / path.name, np.concatenate(bands, axis=2))
        write_image(root / "labels" / path.name, read_image(msrs / "test" / "Segmentation_labels" / path.name))
    (root / "train.txt").write_text("00N\n")
    (root / "test.txt").write_text("01N\n02N\n")
    return root


def test_classes_are_those_of_the_network(three: Path, msrs: Path) -> None:
    picture = msrs / "test" / "vi" / "00N.png"
    file = load_segmenter(three)
    expected = file.classes_of(read_image(picture).astype(np.float32) / 255)
    found = PictureSegmenter(three)(picture)
    assert np.array_equal(found, expected)
    assert len(np.unique(found)) > 1


def test_gray_pictures_have_equal_channels_and_16_bits_the_full_range(msrs: Path) -> None:
    gray = msrs / "test" / "ir" / "00N.png"
    picture = read_picture(gray)
    assert picture.shape == (*SIZE, 3)
    assert np.array_equal(picture[..., 0], read_image(gray).astype(np.float32) / np.float32(255))
    assert np.array_equal(picture[..., 0], picture[..., 2])
    write_image(msrs / "deep.png", read_image(gray).astype(np.uint16) * 257)
    np.testing.assert_allclose(read_picture(msrs / "deep.png"), picture, atol=1e-6)


def test_a_folder_is_written_scored_and_done_once(three: Path, msrs: Path, tmp_path: Path) -> None:
    segmenter, pictures, out = PictureSegmenter(three), msrs / "test" / "vi", tmp_path / "out"
    (msrs / "test" / "Segmentation_labels" / "02N.png").unlink()
    report = segmenter.folder(pictures, out, labels=msrs)
    assert (report.written, report.failed, report.unlabelled) == (("00N", "01N", "02N"), (), ("02N",))
    wanted = []
    for name in ("00N", "01N"):
        found = segmenter(pictures / f"{name}.png")
        assert np.array_equal(read_image(out / "labels" / f"{name}.png"), found)
        drawn = overlay(read_image(pictures / f"{name}.png").astype(np.float32) / 255, found)
        assert np.array_equal(read_image(out / "overlay" / f"{name}.png"), drawn)
        truth = read_image(msrs / "test" / "Segmentation_labels" / f"{name}.png")
        wanted.append(confusion_matrix(torch.from_numpy(truth), torch.from_numpy(found), 9))
    assert torch.equal(report.each, torch.stack(wanted))
    assert torch.equal(report.counts, sum(wanted))
    again = segmenter.folder(pictures, out, labels=msrs / "test" / "Segmentation_labels")
    assert (again.written, again.skipped) == ((), ("00N", "01N", "02N"))
    assert torch.equal(again.each, report.each)
    other = PictureSegmenter(trained(tmp_path / "other.safetensors", "two_stream_compact", 4))
    assert len(other.folder(pictures, out, infrared=msrs / "test" / "ir").written) == 3, (
        "another network, another result"
    )


def test_infrared_comes_from_a_folder_or_a_fourth_band(four: Path, msrs: Path, mfnet: Path, tmp_path: Path) -> None:
    beside = PictureSegmenter(four).folder(
        msrs / "test" / "vi", tmp_path / "a", infrared=msrs / "test" / "ir", labels=msrs
    )
    inside = PictureSegmenter(four, bands="1,2,3,4").folder(mfnet / "images", tmp_path / "b", labels=mfnet)
    assert inside.written == ("01N", "02N"), "those of its test part"
    assert torch.equal(beside.each[1:], inside.each)
    every = PictureSegmenter(four).folder(mfnet / "images", tmp_path / "c", labels=mfnet / "labels")
    assert torch.equal(every.each, beside.each), "all four bands are taken where nothing else is said"


def test_bands_choose_one_side_of_four(three: Path, msrs: Path, mfnet: Path) -> None:
    for bands, side in (("1,2,3", "vi"), (4, "ir")):
        found = PictureSegmenter(three, bands=bands)(mfnet / "images" / "00N.png")
        assert np.array_equal(found, PictureSegmenter(three)(msrs / "test" / side / "00N.png"))


def test_channels_that_do_not_fit_are_refused(three: Path, four: Path, msrs: Path, mfnet: Path, tmp_path: Path) -> None:
    picture, heat = msrs / "test" / "vi" / "00N.png", msrs / "test" / "ir" / "00N.png"
    with pytest.raises(ImageError, match="no infrared beside it, but the network looks at 4 channels"):
        PictureSegmenter(four)(picture)
    with pytest.raises(ImageError, match="infrared beside it, but the network looks at 3 channels"):
        PictureSegmenter(three)(picture, heat)
    with pytest.raises(ImageError, match="4 bands found, and nothing says which of them are meant"):
        PictureSegmenter(three)(mfnet / "images" / "00N.png")
    with pytest.raises(ImageError, match="band 4 is asked for, the picture has 3"):
        PictureSegmenter(four, bands="1,2,3,4")(picture)
    with pytest.raises(PairError, match="looks at three channels of one picture"):
        PictureSegmenter(three).folder(msrs / "test" / "vi", tmp_path / "out", infrared=msrs / "test" / "ir")
    write_image(tmp_path / "small.png", np.zeros((20, 30), np.uint8))
    with pytest.raises(ModelError, match="30x20 pixels: SegFormer needs 29 on a side"):
        PictureSegmenter(three)(tmp_path / "small.png")
    with pytest.raises(PairError, match="both are looked at together"):
        PictureSegmenter(four)(picture, tmp_path / "small.png")


def test_pairs_are_fused_first(three: Path, four: Path, msrs: Path, tmp_path: Path) -> None:
    pair = msrs / "test" / "ir" / "01N.png", msrs / "test" / "vi" / "01N.png"
    segmenter = Segmenter("laplacian_pyramid", segmenter=three, device="cpu")
    fused = Fuser("laplacian_pyramid")(*map(read_image, pair))
    write_image(tmp_path / "fused.png", fused)
    assert np.array_equal(segmenter(*pair), PictureSegmenter(three)(tmp_path / "fused.png"))
    report = segmenter.folder(pair[0].parent, pair[1].parent, tmp_path / "out", labels=msrs)
    assert len(report.each) == 3
    assert Segmenter("laplacian_pyramid", segmenter=three).folder(
        pair[0].parent, pair[1].parent, tmp_path / "out"
    ).skipped == ("00N", "01N", "02N")
    with pytest.raises(ModelError, match="of pictures of 4 channels, which nothing is fused for"):
        Segmenter("laplacian_pyramid", segmenter=four)


def test_published_ways_of_evaluation_are_off_unless_named(three: Path, msrs: Path, tmp_path: Path) -> None:
    picture = msrs / "test" / "vi" / "00N.png"
    plain, file = PictureSegmenter(three), load_segmenter(three)
    pixels = read_image(picture).astype(np.float32) / 255
    assert np.array_equal(plain(picture), file.classes_of(pixels))
    augmented = PictureSegmenter(three, augmented=True)
    assert np.array_equal(augmented(picture), file.classes_of(pixels, augmented=True))
    assert not np.array_equal(augmented(picture), plain(picture))
    plain.folder(msrs / "test" / "vi", tmp_path / "out")
    assert augmented.folder(msrs / "test" / "vi", tmp_path / "out").written, "they are other results"
    segnext = trained(tmp_path / "segnext.safetensors", "segnext_compact")
    assert np.array_equal(*[PictureSegmenter(segnext)(picture) for _ in range(2)])
    torch.manual_seed(0)
    assert not np.array_equal(*[PictureSegmenter(segnext, random_bases=True)(picture) for _ in range(2)])


def test_labels_are_found_in_data_sets(msrs: Path, mfnet: Path, tmp_path: Path) -> None:
    folder = msrs / "test" / "Segmentation_labels"
    assert labels_of(msrs) == labels_of(folder) == {f"0{i}N": folder / f"0{i}N.png" for i in range(3)}
    assert labels_of(mfnet).keys() == {"01N", "02N"}
    assert labels_of(mfnet, "train").keys() == {"00N"}
    (mfnet / "labels").rename(mfnet / "Label")
    (mfnet / "split").mkdir()
    (mfnet / "test.txt").rename(mfnet / "split" / "test.txt")
    assert labels_of(mfnet).keys() == {"01N", "02N"}
    (tmp_path / "empty").mkdir()
    for empty in (tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(PairError, match="no labels there"):
            labels_of(empty)


def test_labels_of_a_data_set_are_not_replaced(three: Path, msrs: Path) -> None:
    (msrs / "test" / "Segmentation_labels").rename(msrs / "test" / "labels")
    before = {path: path.read_bytes() for path in msrs.rglob("*.png")}
    for segmenter, sides in (
        (PictureSegmenter(three), [msrs / "test" / "vi"]),
        (Segmenter("laplacian_pyramid", segmenter=three), [msrs / "test" / "ir", msrs / "test" / "vi"]),
    ):
        with pytest.raises(PairError, match="is the labels folder itself"):
            segmenter.folder(*sides, msrs / "test", labels=msrs, overwrite=True)
    assert {path: path.read_bytes() for path in msrs.rglob("*.png")} == before


def test_labels_out_of_range_fail_their_picture(three: Path, msrs: Path, tmp_path: Path) -> None:
    path = msrs / "test" / "Segmentation_labels" / "01N.png"
    labels = read_image(path)
    labels[0, :3] = (9, 12, 255)
    write_image(path, labels)
    with pytest.raises(ImageError, match=r"class 9, 12, but 9 classes are known; 0 to 8, and 255 for unknown"):
        read_classes(path, 9)
    report = PictureSegmenter(three).folder(msrs / "test" / "vi", tmp_path / "out", labels=msrs)
    assert [name for name, _ in report.failed] == ["01N"]
    assert len(report.each) == 2


def test_more_classes_than_msrs_has_are_painted() -> None:
    painted = overlay(np.zeros((1, 3, 3), np.float32), np.array([[0, 9, 17]], np.uint8), strength=1)
    first = overlay(np.zeros((1, 3, 3), np.float32), np.array([[0, 1, 1]], np.uint8), strength=1)
    assert np.array_equal(painted, first)


def test_command(three: Path, msrs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["segment", "--fused", str(msrs / "test" / "vi"), "--segmenter", str(three), "-o", str(tmp_path / "out")]
    assert main([*words, "--labels", str(msrs)]) == 0
    said = capsys.readouterr().out
    lines = {line.partition("  ")[0]: line.split() for line in said.splitlines()}
    report = PictureSegmenter(three).folder(msrs / "test" / "vi", tmp_path / "out", labels=msrs)
    overlaps = intersection_over_union(report.counts).tolist()
    for name, overlap in zip(CLASSES, overlaps, strict=True):
        assert ("absent" if overlap != overlap else f"{overlap:.4f}") in lines[name]
    assert f"{np.nanmean(overlaps):.4f}" in lines["mean"]
    assert f"{np.nanmean(overlaps[1:]):.4f}" in lines["mean without background"]
    assert "3 pictures segmented into" in " ".join(said.split())
    assert "one matrix over 3 pictures" in " ".join(said.split())
    pair = [str(msrs / "test" / side) for side in ("ir", "vi")]
    model = ["--model", "laplacian_pyramid", "--segmenter", str(three), "-o", str(tmp_path / "fused")]
    assert main(["segment", *pair, *model, "--labels", str(msrs)]) == 0
    assert "3 pairs segmented into" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fused", "test/vi"], "--segmenter FILE"),
        (["test/ir", "test/vi", "--fused", "test/vi", "--segmenter", "three"], "or --fused DIR"),
        (["test/ir", "test/vi", "--bands", "4"], "of pictures made elsewhere"),
        (["test/ir", "test/vi", "--infrared", "test/ir"], "of pictures made elsewhere"),
        (
            ["--fused", "test/vi", "--segmenter", "three", "--bands", "1,2"],
            "one band or three are expected, counted from 1, such as 4 or 1,2,3, or four",
        ),
        (["--fused", "test/vi", "--segmenter", "three", "-o", "test/vi"], "is the fused folder itself"),
        (["--fused", "none", "--segmenter", "three"], "no such"),
        (["--fused", "test/vi", "--segmenter", "none.safetensors"], "no such file"),
        (["--fused", "test/vi", "--segmenter", "three", "--labels", "test/none"], "no labels there"),
        (["--fused", "test/vi", "--segmenter", "three", "--random-bases"], "segformer_compact has none"),
        (["--fused", "test/vi", "--segmenter", "four", "--augmented"], "no published test-time augmentation"),
        (["test/ir", "test/vi", "--augmented"], "--augmented: of a trained segmentation network; give one as --segm"),
        (["test/ir", "test/vi", "--segmenter", "four"], "give the pictures themselves (--fused, --infrared)"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    message: str,
    three: Path,
    four: Path,
    msrs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(msrs)
    files = {"three": str(three), "four": str(four)}
    assert main(["segment", *(files.get(word, word) for word in words)]) == 2
    said = capsys.readouterr().err.strip()
    assert message in " ".join(said.split())


def test_labels_that_are_all_wrong_say_why(
    three: Path, msrs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (msrs / "test" / "Segmentation_labels").iterdir():
        write_image(path, np.full(SIZE, 9, np.uint8))
    words = ["--fused", str(msrs / "test" / "vi"), "--segmenter", str(three), "--labels", str(msrs)]
    assert main(["segment", *words, "-o", str(tmp_path / "out")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all("class 9, but 9 classes are known" in line for line in lines)


def test_checkpoints_are_converted_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = build_segmenter("segformer_compact").eval()
    torch.save({network.published_name(k): v for k, v in network.state_dict().items()}, tmp_path / "theirs.pth")
    words = ["convert", str(tmp_path / "theirs.pth"), "-o", str(tmp_path / "ours.safetensors")]
    assert main([*words, "--segmenter", "auto", "--mean", "51,102,153", "--deviation", "51,51,51"]) == 0
    assert "imfuse segment --fused DIR --segmenter" in " ".join(capsys.readouterr().out.split())
    file = load_segmenter(tmp_path / "ours.safetensors")
    assert (file.name, file.mean) == ("segformer_compact", pytest.approx((0.2, 0.4, 0.6)))
    for more, message in (
        (["--segmenter", "unet"], "no such segmentation network"),
        (["--segmenter", "auto", "--mean", "red"], "numbers are expected"),
        (["--mean", "1,2,3"], "give --segmenter"),
        (["--segmenter", "auto", "--deviation", "0,0,0"], "above 0"),
    ):
        assert main([*words, *more]) == 2
        said = capsys.readouterr().err.strip()
        assert message in " ".join(said.split())
        assert len(said.splitlines()) == 1
