"""A sample of ``scripts/evidence/parity.py``: the authors' weights give the authors' published pictures."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARITY = [sys.executable, "-m", "scripts.evidence.parity"]


@pytest.mark.parametrize("method", ["auif", "didfuse"])
def test_published_pictures_are_reproduced(method: str, shared: Path) -> None:
    command = [*PARITY, method, "--shared", str(shared), "--sample", "2", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    for group in ("tno", "nir", "flir"):
        assert f"| {group} | 2 |" in done.stdout
    assert "kept" in done.stdout


@pytest.mark.parametrize("method", ["densefuse", "seafusion", "u2fusion"])
def test_published_pictures_of_comparison_methods_are_reproduced(method: str, shared: Path) -> None:
    command = [*PARITY, method, "--shared", str(shared), "--pairs", "08,37", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| tno | 2 |" in done.stdout
    assert "kept" in done.stdout
