"""Commands call the same thing by the same word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from imfuse.cli.main import build_app


def commands(command: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every command with its parameters by name; a group where it does something without a command of its own."""
    if name and getattr(command, "invoke_without_command", True):
        yield name, {parameter.name: parameter for parameter in command.params}
    for part, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {part}".strip())


ALL = dict(commands(typer.main.get_command(build_app())))


@pytest.mark.parametrize("name", ALL)
def test_results_go_to_output(name: str) -> None:
    parameters = ALL[name]
    assert not {"out", "out_dir", "folder_out", "destination"} & parameters.keys()
    if name not in ("models", "score", "info", "benchmark check-weights"):  # these print
        assert sorted(parameters["output"].opts) == ["--output", "-o"]


@pytest.mark.parametrize(
    "name", ["fuse", "video", "segment", "detect", "demo", "benchmark", "benchmark reproduce", "benchmark efficiency"]
)
def test_networks_run_on_a_device(name: str) -> None:
    assert ALL[name]["device"].opts == ["--device"]


def test_what_several_commands_have_is_one_option() -> None:
    flags: dict[str, set[tuple[str, ...]]] = {}
    for parameters in ALL.values():
        for parameter in parameters.values():
            if parameter.param_type_name == "option":
                flags.setdefault(parameter.name, set()).add(tuple(sorted(parameter.opts)))
    assert [name for name, words in flags.items() if len(words) > 1] == []


PAGES = sorted((Path(__file__).parents[2] / "docs" / "guide").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_flag_of_the_guides_is_one_of_a_command(page: Path) -> None:
    flags = {word for name in ALL for parameter in ALL[name].values() for word in parameter.opts}
    flags |= {word for name in ALL for parameter in ALL[name].values() for word in parameter.secondary_opts}
    text = re.sub(
        r"^.*(?:\bpip|\btensorboard|scripts\.|\.py)\b.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text)) - flags <= {"--debug", "--version", "--help"}
