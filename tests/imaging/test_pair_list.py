"""Lists of pairs, CSV and JSON Lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from imfuse.core.errors import PairError
from imfuse.core.notes import collected
from imfuse.imaging import match_fused, read_pairs

CSV = "infrared,visible\ni/1.tif,v/a.jpg\ni/2.tif,v/b.jpg\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("i/1.tif", "i/2.tif", "i/10.tif", "v/a.jpg", "v/b.jpg", "v/x/a.jpg", "ünï ,1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def read(root: Path, content: str | bytes, **options: Path) -> dict[str, tuple[str, str]]:
    """Files of each pair, from the folder of the list."""
    (root / "list").write_bytes(content if isinstance(content, bytes) else content.encode())
    pairing = read_pairs(root / "list", **options)
    assert {pair.rule for pair in pairing.pairs} == {"list"}
    return {
        pair.name: (pair.infrared.relative_to(root).as_posix(), pair.visible.relative_to(root).as_posix())
        for pair in pairing.pairs
    }


def refused(root: Path, content: str | bytes, **options: Path) -> str:
    with pytest.raises(PairError) as caught:
        read(root, content, **options)
    text = str(caught.value)
    assert text.startswith(f"{root / 'list'}: ")
    assert "\n" not in text
    return text.removeprefix(f"{root / 'list'}: ")


TWO = {"a": ("i/1.tif", "v/a.jpg"), "b": ("i/2.tif", "v/b.jpg")}


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        "\ufeff" + CSV.replace("\n", "\r\n"),
        CSV.replace(",", ";"),
        CSV.replace(",", "\t"),
        "Visible, Infrared\nv/a.jpg,i/1.tif\n\n./v/b.jpg,v/../i/2.tif",
        '{"infrared": "i/1.tif", "visible": "v/a.jpg"}\n\n{"visible": "v/b.jpg", "infrared": "i/2.tif"}',
        'infrared,visible,name\n"i/1.tif","v/a.jpg",\ni/2.tif,v/b.jpg,b\n',
    ],
    ids=["csv", "bom and crlf", "semicolons", "tabs", "other order", "json lines", "quotes, some names"],
)
def test_the_same_list_in_every_form(root: Path, content: str) -> None:
    assert read(root, content) == TWO


def test_names(root: Path) -> None:
    content = "infrared,visible,name\ni/1.tif,v/a.jpg,night/7\ni/2.tif,v/a.jpg,day\n"
    assert read(root, content) == {"day": ("i/2.tif", "v/a.jpg"), "night/7": ("i/1.tif", "v/a.jpg")}


def test_equal_stems_are_told_apart_by_their_folders(root: Path) -> None:
    assert list(read(root, "infrared,visible\ni/1.tif,v/a.jpg\ni/2.tif,v/x/a.jpg\n")) == ["a", "x/a"]


def test_cells_with_commas_and_absolute_paths(root: Path) -> None:
    content = f'infrared,visible\n"ünï ,1.png",{root / "v" / "b.jpg"}\n'
    assert read(root, content) == {"b": ("ünï ,1.png", "v/b.jpg")}


def test_files_in_given_folders(root: Path) -> None:
    content = "infrared,visible\n1.tif,a.jpg\n"
    assert read(root, content, infrared=root / "i", visible=root / "v") == {"a": ("i/1.tif", "v/a.jpg")}
    pairing = read_pairs(root / "list", root / "i", root / "v")
    assert (pairing.unmatched_infrared, pairing.unmatched_visible) == (("2.tif", "10.tif"), ("b.jpg",))
    (root / "1.tif").write_text("another")
    assert "are two files; say which" in refused(root, content, infrared=root / "i", visible=root / "v")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("ir,vis\ni/1.tif,v/a.jpg\n", "line 1: the headings infrared,visible or infrared,visible,name are expected"),
        ("infrared,visible,visible\n", "line 1: the headings"),
        ("infrared,visible\n", "no pairs in this list"),
        ("infrared,visible\ni/1.tif\n", "line 2: 2 cells are expected, found 1"),
        ("infrared,visible\ni/1.tif,v/no.jpg\n", "line 2: visible: no such file: v/no.jpg"),
        ("infrared,visible\ni/1.tif,v\n", "line 2: visible: no such file: v"),
        ("infrared,visible\n,v/a.jpg\n", "line 2: infrared: the path of a file is expected, it is empty"),
        ("infrared,visible\ni/1.tif,./i/1.tif\n", "line 2: infrared and visible are the same file"),
        ("infrared,visible\ni/1.tif,v/a.jpg\ni/2.tif,v/a.jpg\n", "lines 2 and 3 would both be called 'a'; give each a"),
        ('infrared,visible\ni/1.tif,"v/a.jpg\n', "line 2: "),
        ("infrared,visible\n" + 6 * "i/1.tif,no\n", "line 5: visible: no such file: no; and 2 more"),
        (b"infrared,visible\ni/1.tif,v/\xff.jpg\n", "line 2: not UTF-8"),
        ("infrared,visible\ni/1.tif,v/a\0.jpg\n", "line 2: "),
        ("infrared,visible\ni/1.tif," + 5000 * "x" + "\n", "line 2: visible: the path of a file is expected"),
        ('{"infrared": "i/1.tif", "visible": 7}', "line 1: an object such as"),
        ('{"infrared": "i/1.tif", "visible": "v/a.jpg"}\n[1]', "line 2: an object such as"),
        ('{"infrared": "i/1.tif"}', "line 1: visible: the path of a file is expected"),
        ('{"a": ' + 900 * "[" + "1", "line 1: an object such as"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(root: Path, content: str | bytes, expected: str) -> None:
    assert expected in refused(root, content)


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a/../b", "a\\b", "x\x1b[2J", "C:x", "a/."])
def test_names_that_cannot_be_files(root: Path, name: str) -> None:
    text = refused(root, f"infrared,visible,name\ni/1.tif,v/a.jpg,{name}\n")
    assert "line 2: the name" in text
    assert "cannot become that of a file" in text


def test_columns_without_a_meaning_are_said(root: Path) -> None:
    with collected() as notes:
        assert read(root, CSV.replace("visible\n", "visible,split\n").replace(".jpg\n", ".jpg,train\n")) == TWO
        read(root, '{"infrared": "i/1.tif", "visible": "v/a.jpg", "id": 7}')
    assert [str(one).removeprefix(f"{root / 'list'}: ") for one in notes] == [
        "columns without a meaning are ignored: split",
        "keys without a meaning are ignored: id",
    ]


def test_lists_that_are_none(root: Path) -> None:
    for path, words in ((root / "no.csv", "no such file"), (root / "i", "this is a folder, a list of pairs")):
        with pytest.raises(PairError, match=words):
            read_pairs(path)
    assert "the file is empty" in refused(root, "")


def test_fused_pictures_of_listed_pairs(root: Path) -> None:
    (root / "list").write_text("infrared,visible,name\ni/1.tif,v/a.jpg,night/7\ni/2.tif,v/b.jpg,day\n")
    for name in ("fused/night/7.png", "fused/b_fused.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    fused, left = match_fused(root / "fused", read_pairs(root / "list").pairs)
    assert {name: path.name for name, path in fused.items()} == {"night/7": "7.png", "day": "b_fused.png"}
    assert left == ()
