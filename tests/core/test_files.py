from __future__ import annotations

import hashlib
import os
import re
import socket
from pathlib import Path

import pytest

from imfuse.core.errors import (
    ImageError,
    ImfuseError,
    MetricError,
    ModelError,
    PairError,
    RecipeError,
    WeightsError,
    describe_failure,
    first_line,
)
from imfuse.core.files import file_hash, input_hash, is_folder, open_input, read_input


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**20 + 1])
def test_hash_is_that_of_the_content(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    assert file_hash(tmp_path / "file") == file_hash(str(tmp_path / "file")) == hashlib.sha256(data).hexdigest()


def test_a_file_that_changed_has_another_hash_whatever_its_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    before, status = file_hash(path), path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_hash(path) != before


def test_no_file_no_hash(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_hash(tmp_path / "none")


def test_folders_files_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_folder(tmp_path)
    assert is_folder(str(tmp_path))
    assert not is_folder(tmp_path / "file")
    for path, reason in ((tmp_path / "none", "No such file"), ("nul\0", "null"), (tmp_path / "file" / "x", "file/x")):
        with pytest.raises(ImageError, match=reason):
            is_folder(path)


@pytest.mark.parametrize("kind", [ImageError, PairError, ModelError, WeightsError, ImfuseError])
def test_errors_of_ours_speak_for_themselves(kind: type[ImfuseError]) -> None:
    assert describe_failure(kind("a.png: damaged", "use resize=True"), "b.png") == "a.png: damaged; use resize=True"


def test_errors_of_metrics_get_the_file() -> None:
    assert describe_failure(MetricError("too small for VIF"), Path("b.png")) == "b.png: too small for VIF"


@pytest.mark.parametrize("error", [RuntimeError("first\nsecond"), OSError(5, "first"), ValueError(""), MemoryError()])
def test_defects_are_one_line_with_their_class(error: Exception) -> None:
    text = describe_failure(error, "b.png")
    assert text.startswith(f"b.png: {type(error).__name__}: ")
    assert ("first" in text) == bool(str(error))
    assert "second" not in text
    assert text.endswith("try this one alone to see where")


def test_first_line_of_nothing() -> None:
    assert first_line(ValueError("\n")) == first_line(ValueError()) == "ValueError"


def test_every_kind_of_file_that_is_no_input_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(40 << 30)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    reasons = {
        "none": "no such file",
        "empty": "the file is empty",
        "sparse": "at most 1000 are read; use max_bytes=42949672960",
        "loop": "a chain of links",
        "pipe": "not a regular file, a recipe is expected",
        "socket": "not a regular file",
        "/dev/zero": "not a regular file",
        ".": "this is a folder, a recipe is expected",
        "nul\0": "null byte",
        "a\nb": r"a\nb: no such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(RecipeError, match=re.escape(reason)) as caught:
            open_input(tmp_path / name, RecipeError, "a recipe", 1000)
        assert str(caught.value).isprintable()


def test_content_of_an_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert read_input(str(tmp_path / "file"), RecipeError, "a recipe", 7) == b"content"
    with open_input(tmp_path / "file", RecipeError, "a recipe") as stream:
        assert stream.read() == b"content"


def test_hash_of_an_input_is_taken_of_regular_files_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    wanted = hashlib.sha256(b"content").hexdigest()
    assert input_hash(tmp_path / "file", ImageError, "an image", 7) == wanted
    assert input_hash(str(tmp_path / "file"), ImageError, "an image", 1 << 30) == wanted
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(40 << 30)
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "/dev/zero", "sparse", "none", "."):
        with pytest.raises(WeightsError):
            input_hash(tmp_path / name, WeightsError, "a weights file", 1 << 30)


def test_limits_that_nobody_can_raise_are_not_advised(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    for reader in (open_input, read_input, input_hash):
        with pytest.raises(RecipeError) as error:
            reader(tmp_path / "file", RecipeError, "a recipe", 6, fixed=True)
        assert error.value.advice == ()
        with pytest.raises(RecipeError, match="use max_bytes=7 to allow it"):
            reader(tmp_path / "file", RecipeError, "a recipe", 6)
