"""A small form of the kill test; ``python -m scripts.evidence.kill_folder`` is the large one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_killed_runs_end_as_one_that_was_not() -> None:
    words = ["--kills", "8", "--pairs", "30", "--size", "120", "160"]
    command = [sys.executable, "-m", "scripts.evidence.kill_folder", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("8 kills of runs over 30 pairs")
    assert "0 folders" not in done.stdout
