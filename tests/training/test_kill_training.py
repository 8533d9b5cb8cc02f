"""Trainings that are killed at random moments; ``scripts/evidence/kill_training.py`` does it by the hundred."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_killed_trainings_end_as_if_they_had_not_been(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.evidence.kill_training", "--kills", "4"]
    done = subprocess.run([*command, "--keep", str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("4 kills (")
    assert not list(tmp_path.iterdir())
