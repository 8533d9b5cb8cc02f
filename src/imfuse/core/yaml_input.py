"""The one reader of YAML from outside: recipes, plans, and values that are set on a command line.

PyYAML's safe loader executes nothing, but a small text can ask it for much: aliases that multiply, nesting that uses up
the stack, numbers whose conversion takes minutes. All of these are bounded here.
"""

from __future__ import annotations

import os
from typing import Any

import yaml

from imfuse.core.errors import ImfuseError
from imfuse.core.files import read_input
from imfuse.core.text import one_line, printable, shortened

MAX_BYTES = 256 << 10
MAX_NODES = 10_000
MAX_DEPTH = 20
MAX_SCALAR = 3500
"""Characters of a value. What Python would write in more than 4300 digits it refuses to write at all."""


def read_yaml(path: str | os.PathLike[str], raises: type[ImfuseError], expected: str) -> Any:
    """Content of a YAML file from outside.

    Args:
        path: the file, at most ``MAX_BYTES`` of UTF-8.
        raises: the error of the kind of file.
        expected: what is expected there, as "a recipe", for messages.

    Returns:
        What PyYAML's safe loader makes of it.

    Raises:
        ImfuseError: as ``raises``: what :func:`imfuse.core.files.open_input` and :func:`parse_yaml` refuse.

    Example:
        ```python
        settings = read_yaml("plan.yaml", BenchmarkError, "settings of a benchmark")
        ```
    """
    data = read_input(path, raises, expected, MAX_BYTES, fixed=True)
    origin = printable(os.fspath(path))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise raises(f"{origin}: not a text in UTF-8 (byte {error.start})") from None
    return parse_yaml(text, raises, origin)


def parse_yaml(text: str, raises: type[ImfuseError], origin: str) -> Any:
    """Value of a YAML text from outside, without aliases, and within the bounds of this module.

    Args:
        text: the YAML.
        raises: the error of its kind.
        origin: where it is from, for messages.

    Returns:
        Dictionaries, lists, texts, numbers, ...; at most ``MAX_NODES`` of them, ``MAX_DEPTH`` deep.

    Raises:
        ImfuseError: as ``raises``: it is no YAML, or exceeds a bound, or a key is there twice.

    Example:
        >>> from imfuse.core.errors import RecipeError
        >>> parse_yaml("{lr: 1, names: [a, b]}", RecipeError, "text")
        {'lr': 1, 'names': ['a', 'b']}
        >>> parse_yaml("[&a [x], *a]", RecipeError, "text")
        Traceback (most recent call last):
            ...
        imfuse.core.errors.RecipeError: text: line 1: aliases such as *a are not read; write its value out
    """
    try:
        problem = _excess(text)
        content = None if problem else yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise raises(f"{origin}: {where}{shortened(one_line(error.problem or error.context), 200)}") from None
    except yaml.YAMLError as error:
        raise raises(f"{origin}: not YAML ({shortened(one_line(error), 160)})") from None
    except Exception as error:
        # PyYAML converts without a check: 2026-13-01 is no date, and !!int "" is an IndexError.
        raise raises(f"{origin}: a value is not of the kind that it seems ({shortened(one_line(error))})") from None
    if problem:
        raise raises(f"{origin}: {problem}")
    return content


def _excess(text: str) -> str:
    """The first thing too many, found before anything is built; empty where there is none."""
    nodes = depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if not isinstance(event, yaml.NodeEvent):
            continue
        nodes += 1
        depth += isinstance(event, yaml.CollectionStartEvent)
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            return f"line {line}: aliases such as *{shortened(str(event.anchor))} are not read; write its value out"
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
            return f"line {line}: a value of more than {MAX_SCALAR} characters"
        if depth > MAX_DEPTH:
            return f"line {line}: nested too deeply, {MAX_DEPTH} levels at most"
        if nodes > MAX_NODES:
            return f"line {line}: more than {MAX_NODES} values"
    return ""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which takes each key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is there twice: PyYAML would keep the last of its values without a word."""
        seen: set[Any] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    problem = f"the key {shortened(key.value)} is there twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add((key.tag, key.value))
        result: dict[Any, Any] = super().construct_mapping(node, deep)
        return result
