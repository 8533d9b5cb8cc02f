"""A sample of ``scripts/evidence/parity.py``: the authors' weights give the authors' published pictures."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARITY = "scripts.evidence.parity"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def parity(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shared: Path) -> Run:
    """Runs the script in this process, which has imported torch already."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.syspath_prepend(ROOT)
        monkeypatch.setattr(sys, "argv", [PARITY, *words, "--shared", str(shared), "--threads", "1"])
        return importlib.import_module(PARITY).main(), capsys.readouterr().out

    return run


def test_published_pictures_are_reproduced_by_the_command(shared: Path) -> None:
    command = [sys.executable, "-m", PARITY, "auif", "--shared", str(shared), "--sample", "2", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    for group in ("tno", "nir", "flir"):
        assert f"| {group} | 2 |" in done.stdout
    assert "kept" in done.stdout


def test_published_pictures_are_reproduced(parity: Run) -> None:
    code, printed = parity("didfuse", "--sample", "2")
    assert code == 0, printed
    for group in ("tno", "nir", "flir"):
        assert f"| {group} | 2 |" in printed
    assert "kept" in printed


@pytest.mark.parametrize("method", ["densefuse", "seafusion", "u2fusion"])
def test_published_pictures_of_comparison_methods_are_reproduced(parity: Run, method: str) -> None:
    code, printed = parity(method, "--pairs", "08,37")
    assert code == 0, printed
    assert "| tno | 2 |" in printed
    assert "kept" in printed
