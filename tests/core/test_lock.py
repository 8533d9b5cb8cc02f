"""One run at a time in an output folder: across processes, in one process, and after a kill."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from imfuse.core import lock
from imfuse.core.errors import ImfuseError
from imfuse.core.lock import LOCK, output_lock
from imfuse.core.notes import ImfuseWarning

HOLDER = """
import sys
from imfuse.core.lock import output_lock
with output_lock(sys.argv[1], "a training"):
    print("locked", flush=True)
    sys.stdin.read()
"""
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@contextmanager
def held_by_another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process


def test_a_second_process_is_told_who_works_there(tmp_path: Path) -> None:
    with held_by_another_process(tmp_path) as process, pytest.raises(ImfuseError) as caught, output_lock(tmp_path):
        pass
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: in use by a training (process {process.pid} on ")
    assert ", since 2" in message
    assert "use output=..." in message
    assert "\n" not in message
    with output_lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK).read_text()
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    with held_by_another_process(tmp_path) as process:
        process.kill()
        process.wait()
        assert (tmp_path / LOCK).exists()
        with output_lock(tmp_path):
            pass
    assert not list(tmp_path.iterdir())


def test_the_same_process_is_refused_too_and_the_first_stays_locked(tmp_path: Path) -> None:
    with output_lock(tmp_path, "a benchmark"):
        for _ in range(2):
            with pytest.raises(ImfuseError, match="in use by a benchmark"), output_lock(tmp_path):
                pass
    with output_lock(tmp_path), output_lock(tmp_path.parent):
        pass


def test_an_error_gives_the_folder_free(tmp_path: Path) -> None:
    with pytest.raises(KeyError), output_lock(tmp_path):
        raise KeyError
    with output_lock(tmp_path):
        pass


@needs_fork
def test_children_do_not_keep_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    """Such as the loaders of a training: they live for some seconds longer."""
    ready, finish = os.pipe(), os.pipe()
    parent = os.fork()
    if not parent:
        with output_lock(tmp_path):
            if not os.fork():
                os.write(ready[1], str(os.getpid()).encode())
                os.close(finish[1])
                os.read(finish[0], 1)
                os._exit(0)
            signal.pause()
    child = int(os.read(ready[0], 20))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    try:
        os.kill(child, 0)
        with output_lock(tmp_path):
            pass
    finally:
        os.close(finish[1])


def test_many_that_come_and_go_never_meet(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        while len(most) < 200:
            with suppress(ImfuseError), output_lock(tmp_path):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_a_file_that_its_holder_deletes_meanwhile_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really, times = lock._lock, iter(range(9))

    def racing(descriptor: int) -> None:
        if next(times) == 0:
            (tmp_path / LOCK).unlink()
        really(descriptor)

    monkeypatch.setattr(lock, "_lock", racing)
    with output_lock(tmp_path), pytest.raises(ImfuseError, match="in use"), output_lock(tmp_path):
        pass


def test_a_file_system_without_locks_is_said_and_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock, "_lock", refuse)
    done = False
    with pytest.warns(ImfuseWarning, match="cannot be locked against a second run"), output_lock(tmp_path):
        done = True
    assert done


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system opens links")
def test_a_link_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / LOCK).symlink_to(precious)
    with pytest.warns(ImfuseWarning, match="cannot be locked"), output_lock(folder):
        pass
    assert precious.read_text() == "kept"


def test_what_a_foreign_lock_file_says_stays_on_one_line(tmp_path: Path) -> None:
    with output_lock(tmp_path):
        (tmp_path / LOCK).write_bytes(b"x\n\x1b[2Jimfuse: done" + b"y" * 5000)
        with pytest.raises(ImfuseError) as caught, output_lock(tmp_path):
            pass
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500
