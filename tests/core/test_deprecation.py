from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from imfuse.core.deprecation import ImfuseDeprecationWarning, deprecated, warn_deprecated
from imfuse.core.version import VERSION

SOURCE = Path(__file__).resolve().parents[2] / "src" / "imfuse"


class Thing:
    @deprecated(since="0.3", removal="0.5", instead="Thing.new()")
    def old(self, number: int, factor: int = 2) -> int:
        """Multiply."""
        return number * factor


def test_a_deprecated_method_warns_and_works() -> None:
    with pytest.warns(ImfuseDeprecationWarning) as caught:
        assert Thing().old(3, factor=4) == 12
    (warning,) = caught
    assert str(warning.message) == (
        "Thing.old() is deprecated since imfuse 0.3 and will be removed in 0.5; use Thing.new()"
    )
    assert Thing.old.__doc__ == "Multiply."
    assert Thing.old.__name__ == "old"


def test_the_warning_points_to_the_caller() -> None:
    def users_code() -> None:
        Thing().old(1)

    def library(size: int) -> None:
        warn_deprecated("library(size=...)", since="0.3", removal="0.5", instead="library(shape=...)")

    def users_other_code() -> None:
        library(size=1)

    for caller in (users_code, users_other_code):
        with pytest.warns(ImfuseDeprecationWarning) as caught:
            caller()
        assert Path(caught[0].filename).name == "test_deprecation.py"
        assert caught[0].lineno == caller.__code__.co_firstlineno + 1


def test_users_see_the_warning_without_asking_for_it(tmp_path: Path) -> None:
    program = (
        "from imfuse.core.deprecation import warn_deprecated\n"
        "warn_deprecated('x', since='0.3', removal='0.5', instead='y')\n"
    )
    (tmp_path / "module.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-c", "import module"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "x is deprecated since imfuse 0.3" in done.stderr


def removals(path: Path) -> Iterator[str]:
    """Versions that calls of the two helpers announce."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("deprecated", "warn_deprecated"):
            for keyword in node.keywords:
                if keyword.arg == "removal" and isinstance(keyword.value, ast.Constant):
                    yield str(keyword.value.value)


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_what_was_to_be_removed_by_now_is_gone() -> None:
    overdue = [
        f"{path}: {version}"
        for path in sorted(SOURCE.rglob("*.py"))
        for version in removals(path)
        if number(version) <= number(VERSION)
    ]
    assert not overdue


def test_removals_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("@deprecated(since='0.1', removal='0.2', instead='x')\ndef f(): ...\n")
    assert list(removals(tmp_path / "a.py")) == ["0.2"]
    assert number("0.10.1") > number("0.2")


def test_deprecated_things_are_errors_in_this_suite() -> None:
    with warnings.catch_warnings(), pytest.raises(ImfuseDeprecationWarning):
        Thing().old(1)
