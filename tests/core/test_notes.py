"""What is said while the work goes on: warnings, collected notes, and what is printed of names."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imfuse
from imfuse.cli.main import main
from imfuse.core.notes import ImfuseWarning, collected, note
from imfuse.core.text import one_line, printable
from imfuse.imaging import Range, write_image
from imfuse.imaging.sensors import display


def test_a_note_is_a_warning_where_nobody_collects() -> None:
    with pytest.warns(ImfuseWarning, match=r"a\.png: odd; use range='full'"):
        note("a.png: odd", "use range='full'")


def test_notes_of_threads_stay_apart() -> None:
    def work(name: int) -> list[str]:
        with collected() as notes:
            note(f"{name}: odd")
            note(f"{name}: odd")
        return [str(one) for one in notes]

    with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("error")
        assert list(pool.map(work, range(50))) == [[f"{name}: odd"] for name in range(50)]


@pytest.mark.parametrize("text", ["a\nimfuse: b", "a\x1b[2J", "a\u202egnp", "a\x9b", "a\u2028b", "a\udcff", "a\tb"])
def test_what_is_printed_of_a_name_is_one_visible_line(text: str) -> None:
    assert printable(text).isprintable()
    assert one_line(text).isprintable()
    assert printable(text) != text


@pytest.fixture
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every infrared picture raises a doubt."""
    to_unit = display.to_unit

    def doubt(pixels: Any, rule: Range, *, thermal: bool = False, name: str = "image") -> Any:
        if thermal:
            note(f"{name}: an odd range", "use range='full'")
        return to_unit(pixels, rule, thermal=thermal, name=name)

    monkeypatch.setattr(display, "to_unit", doubt)


@pytest.mark.usefixtures("doubtful")
def test_doubts_reach_the_caller_the_report_and_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
    for side in ("ir", "vi"):
        write_image(tmp_path / side / "1.png", picture if side == "vi" else 255 - picture)
    pair = tmp_path / "ir" / "1.png", tmp_path / "vi" / "1.png"
    with pytest.warns(ImfuseWarning, match="an odd range"):
        imfuse.fuse(*pair, "laplacian_pyramid")
    with pytest.raises(imfuse.ImageError, match="an odd range"):
        imfuse.fuse(*pair, "laplacian_pyramid", strict=True)
    report = imfuse.Fuser("laplacian_pyramid").folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out")
    assert report.written == ("1",)
    assert report.warnings == (("1", f"{pair[0]}: an odd range; use range='full'"),)
    words = ["fuse", *map(str, pair), "-o", str(tmp_path / "one.png"), "--model", "laplacian_pyramid"]
    assert main(words) == 0
    assert capsys.readouterr().err == f"imfuse: warning: {pair[0]}: an odd range; use --range full\n"
    assert main([*words, "--strict", "--overwrite"]) == 2
    assert "imfuse: error:" in capsys.readouterr().err
    folders = ["fuse", str(tmp_path / "ir"), str(tmp_path / "vi"), "-o", str(tmp_path / "new"), *words[-2:]]
    assert main(folders) == 0
    assert "imfuse: warning: 1: " in capsys.readouterr().err
    assert main([*folders[:-3], str(tmp_path / "strict"), *words[-2:], "--strict"]) == 1
