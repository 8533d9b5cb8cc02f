"""Ctrl-C while processes start: none of them shows a traceback, and it counts when they are there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from imfuse.benchmark.interrupts import interrupts_held

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
CHILD = "import os, signal, sys; os.kill(os.getpid(), signal.SIGINT); print('alive')"


def child() -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-S", "-c", CHILD], capture_output=True, text=True, check=False)


def test_processes_that_start_meanwhile_see_none() -> None:
    with interrupts_held():
        done = child()
    assert (done.stdout, done.stderr) == ("alive\n", "")
    assert "KeyboardInterrupt" in child().stderr, "only meanwhile"


def test_it_counts_afterwards_in_this_process() -> None:
    def interrupted() -> None:
        with interrupts_held():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("held")
        steps.append("lost")

    steps: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert steps == ["held"]


def test_a_process_can_release_it() -> None:
    code = f"from imfuse.benchmark.interrupts import release_interrupts; release_interrupts(); {CHILD}"
    with interrupts_held():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "KeyboardInterrupt" in done.stderr
