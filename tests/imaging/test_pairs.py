"""Which file belongs to which."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imfuse.core.errors import PairError
from imfuse.imaging import check_same_size, match_folders, match_fused


def folders(root: Path, infrared: list[str], visible: list[str]) -> tuple[Path, Path]:
    """Pairing looks at names and compares bytes, so that text serves as pictures."""
    for side, names in (("one", infrared), ("two", visible)):
        (root / side).mkdir()
        for name in names:
            (root / side / name).write_text(f"{side} {name}")
    return root / "one", root / "two"


def matched(root: Path, infrared: list[str], visible: list[str]) -> list[tuple[str, str]]:
    pairing = match_folders(*folders(root, infrared, visible))
    assert all(pair.name == pair.visible.stem for pair in pairing.pairs)
    return [(pair.infrared.name, pair.visible.name) for pair in pairing.pairs]


def refused(infrared: Path, visible: Path, *words: str) -> str:
    with pytest.raises(PairError) as caught:
        match_folders(infrared, visible)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text
    return text


@pytest.mark.parametrize(
    ("infrared", "visible"),
    [
        ("a.png", "a.png"),
        ("a.tif", "a.JPG"),
        ("Scene.png", "scene.png"),
        ("IR1.png", "VIS1.png"),
        ("ir_1.png", "vi_1.png"),
        ("FLIR_00001_ir.png", "FLIR_00001_vis.png"),
        ("x-thermal.tif", "x-rgb.png"),
        ("x.lwir.tif", "x.color.png"),
        ("x infrared.tif", "x visible.png"),
        ("07_T.png", "07_V.png"),
        ("t7.png", "v7.png"),
        ("nir 7.png", "colour 7.png"),
        ("street_ir.png", "street.png"),
        ("street.png", "VIS_street.png"),
        ("img_ir12.png", "img_vis12.png"),
        ("brain_mri.png", "brain_pet.png"),
        ("CT3.png", "MRI3.png"),
        ("1_mri.png", "1_spect.png"),
        ("ir.png", "vis.png"),
        ("夜_ir.png", "夜_vis.png"),
    ],
)
def test_one_pair(tmp_path: Path, infrared: str, visible: str) -> None:
    assert matched(tmp_path, [infrared], [visible]) == [(infrared, visible)]


UNRELATED = [("first", "virst"), ("tree", "vree"), ("circle", "vile"), ("air1", "vis1"), ("a1", "a2")]


@pytest.mark.parametrize(("infrared", "visible"), [(f"{one}.png", f"{two}.png") for one, two in UNRELATED])
def test_words_inside_words_do_not_count(tmp_path: Path, infrared: str, visible: str) -> None:
    refused(*folders(tmp_path, [infrared], [visible]), "no file names match", infrared, visible)


def test_natural_order_and_leftovers(tmp_path: Path) -> None:
    numbers = [10, 2, 1, 33, 4]
    one, two = folders(
        tmp_path, [f"IR{n}.png" for n in (*numbers, 12, 7)], [f"VIS{n}.jpg" for n in numbers] + ["extra.png"]
    )
    pairing = match_folders(str(one), str(two))
    assert [pair.name for pair in pairing.pairs] == ["VIS1", "VIS2", "VIS4", "VIS10", "VIS33"]
    assert pairing.unmatched_infrared == ("IR7.png", "IR12.png")
    assert pairing.unmatched_visible == ("extra.png",)
    assert pairing.pairs[0].infrared == one / "IR1.png"


def test_hidden_files_other_files_and_subfolders_are_ignored(tmp_path: Path) -> None:
    one, two = folders(tmp_path, ["a.png", ".b.png", "notes.txt", "b.npy"], ["a.png", "b.png", "Thumbs.db"])
    (one / "b.png").mkdir()
    pairing = match_folders(one, two)
    assert [pair.name for pair in pairing.pairs] == ["a"]
    assert pairing.unmatched_infrared == ()
    assert pairing.unmatched_visible == ("b.png",)


def test_exact_names_come_first(tmp_path: Path) -> None:
    found = matched(tmp_path, ["a.png", "a_ir.png", "B.png"], ["a.png", "a_vis.png", "b.png"])
    assert sorted(found) == [("B.png", "b.png"), ("a.png", "a.png"), ("a_ir.png", "a_vis.png")]


@pytest.mark.parametrize(
    ("infrared", "visible", "words"),
    [
        (["a.png", "a.jpg"], ["a.png"], ["a.png", "a.jpg", "one"]),
        (["a.png"], ["a.png", "a.tif"], ["a.png", "a.tif", "two"]),
        (["x_ir.png", "x_thermal.png"], ["x_vis.png"], ["x_ir.png", "x_thermal.png"]),
        (["x.png"], ["x_vis.png", "x_rgb.png"], ["x_vis.png", "x_rgb.png", "remove or rename"]),
    ],
)
def test_duplicates(tmp_path: Path, infrared: list[str], visible: list[str], words: list[str]) -> None:
    refused(*folders(tmp_path, infrared, visible), *words)


def test_case_is_ignored_only_where_unambiguous(tmp_path: Path) -> None:
    one, two = folders(tmp_path, ["A.png", "a.png"], ["a.png", "c.png"])
    if len(list(one.iterdir())) < 2:
        pytest.skip("this file system ignores case")
    pairing = match_folders(one, two)
    assert [pair.infrared.name for pair in pairing.pairs] == ["a.png"]
    assert pairing.unmatched_infrared == ("A.png",)
    (two / "a.png").rename(two / "á.png")
    (two / "B.png").write_text("x")
    (one / "b.png").write_text("y")
    assert [pair.name for pair in match_folders(one, two).pairs] == ["B"]


def test_nothing_matches_names_a_few(tmp_path: Path) -> None:
    one, two = folders(tmp_path, [f"p{n}.png" for n in range(9)], ["q.png"])
    text = refused(one, two, "p0.png, p1.png, p2.png, p3.png, ... 9 files", "q.png", str(one), str(two))
    assert "p4" not in text


def test_same_folder_and_same_pictures(tmp_path: Path) -> None:
    one, two = folders(tmp_path, [f"{n}.png" for n in range(5)], [f"{n}.png" for n in range(5)])
    refused(one, one, "same folder")
    refused(one, one / ".." / "one", "same folder")
    for path in one.iterdir():
        (two / path.name).write_bytes(path.read_bytes())
    refused(one, two, "same pictures")
    (two / "1.png").write_text("another")
    assert len(match_folders(one, two).pairs) == 5


def test_swapped_folders(tmp_path: Path) -> None:
    one, two = folders(tmp_path, ["VIS1.png"], ["IR1.png"])
    refused(one, two, "swapped", "VIS1.png", "IR1.png", "infrared folder first")
    assert len(match_folders(two, one).pairs) == 1


def test_folders_that_are_none(tmp_path: Path) -> None:
    one, two = folders(tmp_path, ["a.png"], [])
    refused(one, two, "no pictures in the visible folder", ".png")
    refused(tmp_path / "none", two, "no such infrared folder")
    refused(one, one / "a.png", "is a file, a folder of pictures is expected")
    refused(Path("nul\0"), one)
    (two / ".hidden.png").write_text("x")
    refused(one, two, "no pictures")


def test_no_permission_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = folders(tmp_path, ["a.png"], ["a.png"])

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    refused(one, two, str(one), "no permission")
    monkeypatch.undo()
    monkeypatch.setattr("filecmp.cmp", lambda *_, **__: refuse())
    refused(one, two, "cannot be read", "no permission")


def test_name_with_line_break_stays_one_line(tmp_path: Path) -> None:
    try:
        one, two = folders(tmp_path, ["a\nb.png"], ["c.png"])
    except OSError:
        pytest.skip("this file system has no such names")
    refused(one, two, r"a\nb.png")


KEYS = st.lists(st.from_regex(r"[a-z]{3}[0-9]{1,3}", fullmatch=True), min_size=1, max_size=6, unique=True)
STYLES = st.sampled_from(
    [("{}_ir", "{}_vis"), ("IR_{}", "VIS_{}"), ("{}-thermal", "{}"), ("{}", "{}"), ("{}.T", "{}.V")]
)


@settings(max_examples=40, deadline=None)
@given(KEYS, STYLES, st.randoms(use_true_random=False))
def test_pairs_do_not_depend_on_order_or_style(keys: list[str], style: tuple[str, str], chance: random.Random) -> None:
    extensions = [".png", ".TIF", ".jpeg"]
    infrared = {style[0].format(key) + chance.choice(extensions): key for key in keys}
    visible = {style[1].format(key) + chance.choice(extensions): key for key in keys}
    with TemporaryDirectory() as root:
        pairing = match_folders(*folders(Path(root), list(infrared), list(visible)))
    assert not pairing.unmatched_infrared
    assert not pairing.unmatched_visible
    assert [infrared[pair.infrared.name] for pair in pairing.pairs] == [visible[p.visible.name] for p in pairing.pairs]
    assert sorted(infrared[pair.infrared.name] for pair in pairing.pairs) == sorted(keys)


def found(root: Path, infrared: list[str], visible: list[str], fused: list[str]) -> tuple[dict[str, str], list[str]]:
    """What of the fused names belongs to which pair, and what is left."""
    pairs = match_folders(*folders(root, infrared, visible)).pairs
    (root / "fused").mkdir()
    for name in fused:
        (root / "fused" / name).write_text("x")
    files, left = match_fused(root / "fused", pairs)
    return {pair: path.name for pair, path in files.items()}, list(left)


@pytest.mark.parametrize(
    "fused",
    ["7.png", "7.jpg", "VIS7.tif", "ir7.bmp", "7_fused.png", "Fused_7.png", "vis7-fused.png", "fusion.vis_7.png"],
)
def test_fused_pictures_are_named_like_a_source(tmp_path: Path, fused: str) -> None:
    assert found(tmp_path, ["IR7.png", "IR8.png"], ["vis7.png", "vis8.png"], [fused]) == ({"vis7": fused}, [])


@pytest.mark.parametrize("fused", ["77.png", "7_fusednet.png", "7_densefuse.png", "fused.png"])
def test_fused_pictures_of_no_pair(tmp_path: Path, fused: str) -> None:
    with pytest.raises(PairError, match=r"no file names match between .*the pairs"):
        found(tmp_path, ["7.png"], ["7.png"], [fused])
    (tmp_path / "fused" / "7.png").write_text("x")
    files, left = match_fused(tmp_path / "fused", match_folders(tmp_path / "one", tmp_path / "two").pairs)
    assert (list(files), list(left)) == (["7"], [fused])


def test_the_nearest_name_is_the_fused_picture(tmp_path: Path) -> None:
    files, left = found(tmp_path, ["a.png", "b.png"], ["a.png", "b.png"], ["a_fused.png", "a.jpg", "B.png", "c.png"])
    assert files == {"a": "a.jpg", "b": "B.png"}
    assert left == ["a_fused.png", "c.png"]


def test_two_fused_pictures_of_a_pair_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PairError, match=r"a\.jpg and a\.png fit the same pair"):
        found(tmp_path, ["a.png"], ["a.png"], ["a.png", "a.jpg"])
    with pytest.raises(PairError, match="no such fused folder"):
        match_fused(tmp_path / "none", [])


def test_sizes() -> None:
    check_same_size((480, 640), (480, 640, 3))
    with pytest.raises(PairError) as caught:
        check_same_size((480, 640), (768, 1024, 3), Path("ir/a.png"), "vis/a.png")
    assert str(caught.value).startswith("ir/a.png is 640x480 but vis/a.png is 1024x768 (width x height)")
    assert "use resize=True" in str(caught.value)
    with pytest.raises(PairError, match=r"^a is 2x1 but b\.png is 4x3 \(width x height\); both are of one camera$"):
        check_same_size((1, 2), (3, 4), "a", Path("b.png"), "both are of one camera")
