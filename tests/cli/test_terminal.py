"""What commands on folders show in a terminal."""

from __future__ import annotations

import pytest

from imfuse.cli._terminal import count, few, progress_bar
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
