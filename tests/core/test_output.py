"""Files are written whole, through links, with the mode they had, and nothing but regular files is ever replaced."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from imfuse.core import output
from imfuse.core.errors import ImageError
from imfuse.core.output import check_replaceable, remove_leftovers, write_output

posix = pytest.mark.skipif(os.name == "nt", reason="links, modes and pipes of POSIX")


def write(path: Path, data: bytes = b"new") -> None:
    write_output(path, data, ImageError)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(path: Path) -> str:
    before = only(path.parent)
    with pytest.raises(ImageError) as caught:
        write(path)
    assert only(path.parent) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@posix
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"old")
    (tmp_path / "a" / "second").symlink_to("b/file")
    (tmp_path / "first").symlink_to("a/second")
    write(tmp_path / "first")
    assert (tmp_path / "first").readlink() == Path("a/second")
    assert (tmp_path / "a" / "second").readlink() == Path("b/file")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"new"
    assert only(tmp_path / "a" / "b") == ["file"]


@posix
def test_a_dangling_link_gets_its_file_and_loops_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "dangling").symlink_to("away/none")
    write(tmp_path / "dangling")
    assert (tmp_path / "dangling").is_symlink()
    assert (tmp_path / "away" / "none").read_bytes() == b"new"
    (tmp_path / "loop").symlink_to("pool")
    (tmp_path / "pool").symlink_to("loop")
    (tmp_path / "folder").symlink_to("away")
    (tmp_path / "lost").symlink_to("nowhere/none")
    assert "leads nowhere" in refused(tmp_path / "loop")
    assert "this is a folder" in refused(tmp_path / "folder")
    assert "no such file" in refused(tmp_path / "lost")


@posix
@pytest.mark.parametrize("linked", [False, True], ids=["itself", "behind a link"])
def test_what_is_no_regular_file_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    places = {"pipe": tmp_path / "pipe", "device": Path(os.devnull), "socket": tmp_path / "socket"}
    os.mkfifo(places["pipe"])
    server = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)  # the path of a socket may be short only
    server.bind("socket")
    try:
        for name, path in places.items():
            kind = path.stat().st_mode
            if linked:
                (tmp_path / f"to {name}").symlink_to(path)
                path = tmp_path / f"to {name}"
            assert "not a regular file" in refused(path)
            assert path.stat().st_mode == kind
    finally:
        server.close()


@posix
@pytest.mark.parametrize("old", [0o600, 0o640, 0o664, 0o755])
def test_the_mode_of_a_file_stays_and_a_new_one_follows_the_umask(tmp_path: Path, old: int) -> None:
    (tmp_path / "old").touch()
    (tmp_path / "old").chmod(old)
    before = os.umask(0o027)
    try:
        write(tmp_path / "old")
        write(tmp_path / "new")
    finally:
        os.umask(before)
    assert (mode(tmp_path / "old"), mode(tmp_path / "new")) == (old, 0o640)


@posix
def test_a_private_file_is_never_shown_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while the new content is under its temporary name either."""
    (tmp_path / "private").touch(mode=0o600)
    seen: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: seen.append(stat.S_IMODE(os.fstat(number).st_mode)))
    real = os.open

    def watched(*words: object, **more: object) -> int:
        number = real(*words, **more)  # type: ignore[arg-type]
        seen.append(stat.S_IMODE(os.fstat(number).st_mode))
        return number

    monkeypatch.setattr(os, "open", watched)
    write(tmp_path / "private")
    assert {one & 0o077 for one in seen[:2]} == {0}


def test_temporary_names_cannot_be_foreseen_or_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    real = os.open

    def watched(path: Path, flags: int, *more: int) -> int:
        if flags & os.O_CREAT:
            names.append(Path(path).name)
            assert flags & os.O_EXCL
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", watched)
    for _ in range(3):
        write(tmp_path / "file")
    assert len(set(names)) == 3
    assert all(re.fullmatch(rf"\.imfuse-[0-9a-f]{{8}}-{os.getpid()}-[0-9a-f]{{32}}\.tmp", name) for name in names)
    assert only(tmp_path) == ["file"]


@posix
def test_a_link_under_the_temporary_name_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "00")
    (tmp_path / "precious").write_bytes(b"old")
    trap = tmp_path / f".imfuse-{output._machine()}-{os.getpid()}-00.tmp"
    trap.symlink_to("precious")
    with pytest.raises(ImageError):
        write(tmp_path / "file")
    assert (tmp_path / "precious").read_bytes() == b"old"
    assert trap.is_symlink()


@posix
def test_file_and_folder_are_synced_around_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    rename, sync = os.replace, os.fsync

    def replace(old: Path, new: Path) -> None:
        steps.append("rename")
        rename(old, new)

    def fsync(number: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        sync(number)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "fsync", fsync)
    write(tmp_path / "file")
    assert steps == ["file", "rename", "folder"]


@posix
@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "file system is read-only")]
)
def test_a_disk_that_refuses_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    assert words in refused(tmp_path / "file")


def test_check_replaceable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12")
    status = check_replaceable(tmp_path / "file", ImageError)
    assert status is not None
    assert status.st_size == 2
    assert check_replaceable(tmp_path / "none", ImageError) is None
    assert check_replaceable(tmp_path / "file" / "below", ImageError) is None
    with pytest.raises(ImageError, match="this is a folder"):
        check_replaceable(tmp_path, ImageError)


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "pass"])
    child.wait()
    return child.pid


@pytest.fixture
def leftover(tmp_path: Path, gone: int) -> Callable[..., Path]:
    """A file called as a temporary file of a process that has ended, of this machine if nothing else is said."""

    def make(end: str = "00ff", process: object = None, machine: str = "") -> Path:
        return tmp_path / f".imfuse-{machine or output._machine()}-{process or gone}-{end}.tmp"

    return make


def test_leftovers_of_others_stay(tmp_path: Path, leftover: Callable[..., Path], gone: int) -> None:
    here = output._machine()
    stay = [
        leftover(process=os.getpid()),
        leftover(machine="0" * 8 if here != "0" * 8 else "1" * 8),
        tmp_path / f"imfuse-{here}-{gone}-00ff.tmp",
        tmp_path / ".imfuse-notes.tmp",
        tmp_path / "a.png",
    ]
    for path in (leftover(), leftover(process="9" * 30), *stay):
        path.touch()
    assert remove_leftovers(tmp_path) == 2
    assert only(tmp_path) == sorted(path.name for path in stay)
    assert remove_leftovers(tmp_path / "none") == 0


@posix
def test_only_regular_files_are_leftovers(tmp_path: Path, leftover: Callable[..., Path]) -> None:
    (tmp_path / "precious").write_bytes(b"old")
    leftover("01").symlink_to("precious")
    leftover("02").symlink_to("nowhere")
    leftover("03").mkdir()
    os.mkfifo(leftover("04"))
    before = only(tmp_path)
    assert remove_leftovers(tmp_path) == 0
    assert only(tmp_path) == before


@posix
def test_leftovers_of_another_user_stay(
    tmp_path: Path, leftover: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover().touch()
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert remove_leftovers(tmp_path) == 0
    monkeypatch.undo()
    assert remove_leftovers(tmp_path) == 1
