"""Which file belongs to which."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imfuse.core.errors import PairError
from imfuse.core.notes import ImfuseWarning, collected
from imfuse.imaging import check_same_size, find_pairing, match_folders, match_fused, side_of_name


def folders(root: Path, infrared: list[str], visible: list[str]) -> tuple[Path, Path]:
    """Pairing looks at names and compares bytes, so that text serves as pictures."""
    for side, names in (("one", infrared), ("two", visible)):
        (root / side).mkdir()
        for name in names:
            (root / side / name).write_text(f"{side} {name}")
    return root / "one", root / "two"


def paired(root: Path, infrared: list[str], visible: list[str]) -> tuple[dict[str, str], list[str]]:
    """Pairs by file names, and what was said about them."""
    with collected() as notes:
        pairing = match_folders(*folders(root, infrared, visible))
    return {pair.infrared.name: pair.visible.name for pair in pairing.pairs}, [str(one) for one in notes]


def rules(root: Path) -> dict[str, int]:
    with collected():
        return match_folders(root / "one", root / "two").rules


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
        ("DJI_20230101120000_0001_T.JPG", "DJI_20230101120000_0001_W.JPG"),
        ("DJI_20230101120000_0001_T.JPG", "DJI_20230101120000_0001_Z.JPG"),
        ("DJI_0001_T_Waypoint3.JPG", "DJI_0001_V_Waypoint3.JPG"),
        ("FLIR_00002_PreviewData.jpeg", "FLIR_00002_RGB.jpg"),
        ("00000012_ir.png", "00000012_co.png"),
        ("07_tir.png", "07_eo.png"),
        ("07_fir.png", "07_vis.png"),
        ("07_swir.png", "07_rgb.png"),
        ("07_mwir.png", "07.png"),
        ("11IR.png", "11RGB.png"),
        ("roadIR.png", "roadRGB.png"),
        ("ThermalImage4.png", "VisibleImage4.png"),
        ("scene_ir_001.png", "scene_vis_001.png"),
        ("set00_V000_lwir_I01.png", "set00_V000_visible_I01.png"),
        ("IR-VIS_001_ir.png", "IR-VIS_001_vis.png"),
        ("1_(ir).png", "1_(vis).png"),
        ("红外1.png", "可见光1.png"),
        ("场景_红外.png", "场景_可见.png"),
        ("夜热红外图像3.png", "夜可见光图像3.png"),
        ("3热.png", "3可见.png"),
        ("caf\u00e9.png", "cafe\u0301.png"),
    ],
)
def test_one_pair(tmp_path: Path, infrared: str, visible: str) -> None:
    assert matched(tmp_path, [infrared], [visible]) == [(infrared, visible)]


UNRELATED = [("first", "virst"), ("tree", "vree"), ("circle", "vile"), ("air1", "vis1"), ("a1", "a2")]
UNRELATED += [("souvenir", "souve"), ("w1", "1"), ("co2", "2"), ("dc12ab", "12ab"), ("1.10", "1.1")]
UNRELATED += [("DJI_0001", "DJI_0002"), ("DJI_0001_T", "DJI_0002"), ("x_0001_T", "y_0002_W"), ("x_0001_T", "x_0003_W")]
UNRELATED += [
    ("DJI_20230101120000_0001_T", "DJI_20230101120002_0002_W"),
    ("a_20230101_120000_T", "a_20230101_120002_W"),
]


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


def test_leading_zeros_are_said(tmp_path: Path) -> None:
    pairs, notes = paired(tmp_path, ["001.png", "IR_10.png", "7.png"], ["1.png", "vis_0010.png", "7.png"])
    assert pairs == {"001.png": "1.png", "IR_10.png": "vis_0010.png", "7.png": "7.png"}
    (said,) = notes
    assert "2 pairs of files whose numbers differ by leading zeros, such as 001.png and 1.png; list the pairs" in said
    assert rules(tmp_path) == {"numbers": 2, "name": 1}


def test_leading_zeros_of_several_are_left(tmp_path: Path) -> None:
    pairing = match_folders(*folders(tmp_path, ["001.png", "01.png", "2.png"], ["1.png", "2.png"]))
    assert (pairing.unmatched_infrared, pairing.unmatched_visible) == (("001.png", "01.png"), ("1.png",))


DJI = "DJI_202301011200{:02d}_{:04d}_{}.JPG"


def dji(side: str, shots: list[tuple[int, int]]) -> list[str]:
    return [DJI.format(second, number, side) for second, number in shots]


@pytest.mark.parametrize(
    ("infrared", "visible"),
    [
        ([(0, 1), (10, 3), (20, 5)], [(0, 2), (11, 4), (20, 6)]),
        ([(0, 2), (10, 4), (20, 6)], [(0, 1), (9, 3), (20, 5)]),
        ([(0, 1), (10, 2)], [(1, 1), (9, 2)]),
        ([(0, 1), (1, 3), (2, 5)], [(0, 2), (1, 4), (2, 6)]),
    ],
    ids=["next number", "number before", "next second", "a burst"],
)
def test_a_camera_that_numbers_its_sensors_in_turn(
    tmp_path: Path, infrared: list[tuple[int, int]], visible: list[tuple[int, int]]
) -> None:
    names = dji("T", infrared), dji("W", visible)
    pairs, notes = paired(tmp_path, *names)
    assert pairs == dict(zip(*names, strict=True))
    assert len(notes) == 1
    assert f"{len(infrared)} pairs of files that were numbered one after the other or taken within a second" in notes[0]
    assert rules(tmp_path) == {"neighbours": len(infrared)}


def test_numbers_in_turn_without_a_time(tmp_path: Path) -> None:
    infrared, visible = [f"IR_{n}.jpg" for n in (1, 3, 5, 7)], [f"DC_{n}.jpg" for n in (2, 6, 8)]
    assert paired(tmp_path, infrared, visible)[0] == {f"IR_{n}.jpg": f"DC_{n + 1}.jpg" for n in (1, 5, 7)}


def test_numbers_that_fit_before_and_after_are_left(tmp_path: Path) -> None:
    one, two = folders(tmp_path, ["IR_1.jpg", "IR_3.jpg", "x.jpg"], ["DC_2.jpg", "x.jpg"])
    pairing = match_folders(one, two)
    assert [pair.name for pair in pairing.pairs] == ["x"]
    assert (pairing.unmatched_infrared, pairing.unmatched_visible) == (("IR_1.jpg", "IR_3.jpg"), ("DC_2.jpg",))


def test_where_partners_have_one_number_a_neighbour_is_none(tmp_path: Path) -> None:
    infrared, visible = dji("T", [(0, 1), (5, 3)]), dji("W", [(0, 1), (5, 4)])
    pairs, notes = paired(tmp_path, infrared, visible)
    assert (pairs, notes) == ({infrared[0]: visible[0]}, [])


def test_a_wide_and_a_zoomed_picture_of_one_shot_are_refused(tmp_path: Path) -> None:
    refused(*folders(tmp_path, ["DJI_0001_T.JPG"], ["DJI_0001_W.JPG", "DJI_0001_Z.JPG"]), "fit the same pair")


def test_one_folder_for_both_sides(tmp_path: Path) -> None:
    names = ["07_ir.png", "07_vis.png", "8-thermal.tif", "8-rgb.png", "9_ir.png", "DJI_1_T.JPG", "DJI_1_V.JPG"]
    one, _ = folders(tmp_path, names, [])
    pairing = match_folders(one, one / ".." / "one")
    assert [(pair.infrared.name, pair.visible.name) for pair in pairing.pairs] == [
        ("07_ir.png", "07_vis.png"),
        ("8-thermal.tif", "8-rgb.png"),
        ("DJI_1_T.JPG", "DJI_1_V.JPG"),
    ]
    assert pairing.unmatched_infrared == ("9_ir.png",)
    (one / "ir_vis_1.png").write_text("x")
    refused(one, one, "same folder", "ir_vis_1.png", "pairs=...")


def nested(root: Path, names: dict[str, list[str]]) -> None:
    for folder, files in names.items():
        (root / folder).mkdir(parents=True)
        for name in files:
            (root / folder / name).write_text(f"{folder} {name}")


def test_sub_folders(tmp_path: Path) -> None:
    nested(tmp_path, {"i/a": ["1.png"], "i/b/c": ["1.png"], "v/A": ["1.png"], "v/b/c": ["1.jpg"], "v/.b": ["2.png"]})
    (tmp_path / "i" / "top.png").write_text("x")
    (tmp_path / "v" / "top.png").write_text("y")
    pairing = match_folders(tmp_path / "i", tmp_path / "v", recursive=True)
    assert [pair.name for pair in pairing.pairs] == ["A/1", "b/c/1", "top"]
    assert [pair.rule for pair in pairing.pairs] == ["case", "name", "name"]
    assert [pair.name for pair in match_folders(tmp_path / "i", tmp_path / "v").pairs] == ["top"]
    nested(tmp_path, {"fused/b/c": ["1_fused.png"], "fused/A": ["2.png"]})
    fused, left = match_fused(tmp_path / "fused", pairing.pairs)
    assert fused == {"b/c/1": tmp_path / "fused" / "b" / "c" / "1_fused.png"}
    assert left == ("A/2.png",)


def test_folders_of_sub_folders_alone_are_searched_and_said(tmp_path: Path) -> None:
    nested(tmp_path, {"i/seq1": ["1.png"], "v/seq1": ["1.png"]})
    with pytest.warns(
        ImfuseWarning, match=r"no pictures in the \w+ folder itself, 1 in its sub-folders are taken; use rec"
    ):
        pairing = match_folders(tmp_path / "i", tmp_path / "v")
    assert [pair.name for pair in pairing.pairs] == ["seq1/1"]


def test_sides_below_each_sequence(tmp_path: Path) -> None:
    nested(tmp_path, {f"{seq}/{side}": ["1.png", "2.png"] for seq in ("s1", "s2") for side in ("ir", "vis")})
    nested(tmp_path, {"fused/s1/vis": ["1.png"]})
    pairing = match_folders(tmp_path, tmp_path, recursive=True, without=[tmp_path / "fused"])
    assert [pair.name for pair in pairing.pairs] == ["s1/vis/1", "s1/vis/2", "s2/vis/1", "s2/vis/2"]
    assert all(pair.infrared.parts[-2] == "ir" for pair in pairing.pairs)


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    nested(tmp_path, {"i/a": ["1.png"], "v/a": ["1.png"]})
    try:
        (tmp_path / "i" / "a" / "up").symlink_to(tmp_path / "i", target_is_directory=True)
    except OSError:
        pytest.skip("no links here")
    assert len(match_folders(tmp_path / "i", tmp_path / "v", recursive=True).pairs) == 1


def test_what_a_name_says() -> None:
    names = ["0007_tir", "11RGB", "tree", "ir_vis", "红外", "DJI_0001_Z", "lwir", "1_mri"]
    sides = ["infrared", "visible", None, None, "infrared", "visible", "infrared", None]
    assert [side_of_name(name) for name in names] == sides


def test_neither_folders_nor_a_list(tmp_path: Path) -> None:
    with pytest.raises(PairError, match=r"two folders or a list of pairs are expected; .*pairs=\.\.\."):
        find_pairing(tmp_path, None)


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
    [
        *(("{}_ir", "{}_vis"), ("IR_{}", "VIS_{}"), ("{}-thermal", "{}"), ("{}", "{}"), ("{}.T", "{}.V")),
        *(
            ("{}IR", "{}RGB"),
            ("红外{}", "可见光{}"),
            ("{}热", "{}可见"),
            ("DJI_{}_T", "DJI_{}_W"),
            ("{}_tir_x", "{}_eo_x"),
        ),
        *(("{}_PreviewData", "{}_RGB"), ("{}_ir", "{}_co"), ("ThermalX{}", "VisibleX{}"), ("00{}", "00{}")),
    ]
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


NUMBERS = st.lists(st.integers(0, 400), min_size=1, max_size=8, unique=True)


@settings(max_examples=30, deadline=None)
@given(NUMBERS, st.sampled_from([-1, 1]), st.booleans(), st.randoms(use_true_random=False))
def test_shots_of_two_sensors_find_each_other(shots: list[int], step: int, late: bool, chance: random.Random) -> None:
    """Shots are three seconds apart; the second sensor has the next number, or the one before, and may be late."""
    infrared, visible = {}, {}
    for shot in shots:
        second = 3 * shot + late
        stamp = [f"20230101{12 + time // 3600:02d}{time // 60 % 60:02d}{time % 60:02d}" for time in (3 * shot, second)]
        infrared[f"DJI_{stamp[0]}_{2 * shot + 1:04d}_T.JPG"] = shot
        visible[f"DJI_{stamp[1]}_{2 * shot + 1 + step:04d}_V.JPG"] = shot
    sides = list(infrared), list(visible)
    for side in sides:
        chance.shuffle(side)
    with TemporaryDirectory() as root, collected() as notes:
        pairing = match_folders(*folders(Path(root), *sides))
    assert {infrared[pair.infrared.name]: visible[pair.visible.name] for pair in pairing.pairs} == {n: n for n in shots}
    assert len(notes) == 1


@settings(max_examples=40, deadline=None)
@given(KEYS, KEYS, STYLES)
def test_unrelated_sets_have_no_pair(one: list[str], other: list[str], style: tuple[str, str]) -> None:
    infrared = [style[0].format(f"q{key}") + ".png" for key in one]
    visible = [style[1].format(f"k{key}") + ".png" for key in other]
    with TemporaryDirectory() as root:
        refused(*folders(Path(root), infrared, visible), "no file names match")


@settings(max_examples=40, deadline=None)
@given(KEYS, STYLES.filter(lambda style: "{}" not in style and style[0] != style[1]), st.randoms(use_true_random=False))
def test_one_mixed_folder(keys: list[str], style: tuple[str, str], chance: random.Random) -> None:
    names = [side.format(key) + ".png" for key in keys for side in style]
    chance.shuffle(names)
    with TemporaryDirectory() as root:
        one, _ = folders(Path(root), names, [])
        pairs = match_folders(one, one).pairs
    assert {pair.infrared.name: pair.visible.name for pair in pairs} == {
        style[0].format(key) + ".png": style[1].format(key) + ".png" for key in keys
    }


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
