"""What commands on folders show in a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from imfuse.cli._terminal import are_folders, count, few, progress_bar
from imfuse.core.errors import ImageError, PairError
from imfuse.fusing.folder import Progress


def test_bar_counts_pairs_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar() as update:
        assert update is not None
        update(Progress(1, 3, "a"))
        update(Progress(3, 3, "c"))
    assert "3/3" in capsys.readouterr().err


def test_no_bar_elsewhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    with progress_bar() as update:
        assert update is None
    assert not capsys.readouterr().err


def test_words() -> None:
    assert (count(1, "pair"), count(2, "pair")) == ("1 pair", "2 pairs")
    assert few(("a", "b")) == "a, b"
    assert few(tuple("abcdefg")) == "a, b, c, d, e and 2 more"


def test_paths_are_folders_or_files(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.touch()
    assert are_folders(folder, folder)
    assert not are_folders(file, file, file)
    with pytest.raises(PairError, match=r"file is a file but .*folder is a folder; give two files or two folders$"):
        are_folders(file, folder)
    with pytest.raises(PairError, match=r"folder is a folder but .*file is a file; give files only, or folders only$"):
        are_folders(folder, folder, file)
    with pytest.raises(ImageError, match="No such file"):
        are_folders(file, tmp_path / "none")
