"""Messages of the library in the words of the command line: ``tile=256`` becomes ``--tile 256``.

The library names parameters as Python's are, and knows nothing of flags. Which of them the command that runs has, and
what they are called there, its own declaration shows. Advice on a parameter that the command does not have is left out.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer import Exit
from typer.core import TyperCommand, TyperGroup

from imfuse.core.errors import ImfuseError
from imfuse.core.registry import get_spec, list_models
from imfuse.core.signals import Terminated

TERMINATED = 143
"""Exit code of a command that SIGTERM ended, as a shell counts it."""
_SEPARATOR = "; "
# What the library counts in other units than the command line: its name here, and how many of theirs are one of ours.
_UNITS = {"max_pixels": ("max_megapixels", 1e6)}

# Never a part of a path or of a longer word: files may be called tile=3.
_QUOTED = r"""(?<!\w)'[^']*'(?!\w)|(?<!\w)"[^"]*"(?!\w)"""
_VALUE = (
    r"""\.\.\.|True|False|None|[+-]?\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?|[+-]?(?:nan|inf)|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|"""
    r"""\[[^\[\]]*\]|\{[^{}]*\}"""
)
_ASSIGNED = rf"""(?<![^\s(])(?P<name>[a-z]\w*)=(?P<value>{_VALUE})(?=[,;:.!?)]*(?:\s|$))"""


@dataclass(frozen=True)
class Flag:
    """How a command calls a parameter.

    Attributes:
        word: ``--tile``, or the metavar of an argument.
        negated: what turns a switch off, ``--no-report``; empty where nothing does.
        switch: whether it takes no value.
        repeated: whether it is given once for each of several values.
        unit: what one of its values stands for.
    """

    word: str
    negated: str = ""
    switch: bool = False
    repeated: bool = False
    unit: float = 1

    def text(self, value: object) -> str | None:
        """The words that set a value, ``...`` for any; ``None`` where the command line has none."""
        if value is ... or (value is True and (self.switch or self.word in OPTIONAL_VALUES)):
            return self.word
        if value is False and self.negated:
            return self.negated
        if self.switch or value is None or isinstance(value, bool):
            return None
        values = [_word(one, self.unit) for one in _several(value)]
        if self.repeated:
            return " ".join(f"{self.word} {one}" for one in values) or None
        return f"{self.word} {','.join(values)}"


OPTIONAL_VALUES = {"--resize": ("same", "stretch", "crop", "pad")}
"""Options that may stand alone, which means the first of their values: Typer has no such options."""


def with_values(words: Iterable[str]) -> list[str]:
    """Words of a command line, with a value behind each option that may stand alone.

    >>> with_values(["ir.png", "vis.png", "--resize", "-o", "x.png"]), with_values(["--resize", "crop"])
    (['ir.png', 'vis.png', '--resize', 'same', '-o', 'x.png'], ['--resize', 'crop'])
    """
    filled, given = list[str](), [*words]
    for i, word in enumerate(given):
        filled.append(word)
        values = OPTIONAL_VALUES.get(word, ())
        if values and not set(given[i + 1 : i + 2]) & set(values):
            filled.append(values[0])
    return filled


class Command(TyperCommand):
    """A command that is remembered when it runs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read its words."""
        return super().parse_args(ctx, with_values(args))

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        _running.set(_Running.of(ctx))
        with _own_exit_code():
            return super().invoke(ctx)


class Group(TyperGroup):
    """A command with commands of its own, remembered when it runs; so is that of them which runs."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        _running.set(_Running.of(ctx))
        with _own_exit_code():
            return super().invoke(ctx)


@contextmanager
def _own_exit_code() -> Iterator[None]:
    """SIGTERM has one: Typer takes every KeyboardInterrupt for Ctrl-C."""
    try:
        yield
    except Terminated:
        raise Exit(TERMINATED) from None


def forget() -> None:
    """No command runs yet."""
    _running.set(None)


def in_flags(problem: ImfuseError | str) -> str:
    """One line on an error, or on a failure that a report describes, in the words of the command that runs.

    Args:
        problem: the error, or the text of one: its message and pieces of advice with "; " between them.

    Returns:
        The text, without the advice that the command cannot follow.
    """
    if isinstance(problem, ImfuseError):
        message, advice = problem.message, problem.advice
    else:
        message, *rest = problem.split(_SEPARATOR)
        advice = tuple(rest)
    running = _running.get() or _Running({}, ())
    kept = [running.translated(message), *(running.translated(one) for one in advice if running.can_follow(one))]
    return " ".join(_SEPARATOR.join(kept).split())


@dataclass(frozen=True)
class _Running:
    """The command that runs: its flags by the names of parameters, and words of the user that hold a ``=``."""

    flags: Mapping[str, Flag]
    own_words: tuple[str, ...]

    @classmethod
    def of(cls, context: Any) -> _Running:
        # What the root has (--debug) is accepted beside every command.
        parameters = [*context.find_root().command.params, *context.command.params]
        flags = {name: Flag(name.upper()) for parameter in parameters for name in _parts(parameter)}
        flags |= {name: flag for parameter in parameters for name, flag in _named(parameter)}
        for theirs, (ours, unit) in _UNITS.items():
            if ours in flags:
                flags[theirs] = Flag(flags[ours].word, unit=unit)
        return cls(flags, tuple(word for word in _words(context.params.values()) if "=" in word))

    def translated(self, text: str) -> str:
        """The text with the flags that there are."""
        return self._pattern.sub(lambda match: self._flag(match) or match[0], text)

    def can_follow(self, advice: str) -> bool:
        """Whether the command has every parameter in a piece of advice."""
        return all(self._flag(match) for match in self._pattern.finditer(advice) if match["name"])

    @property
    def _pattern(self) -> re.Pattern[str]:
        # What the user wrote stays as it is; the longest first, since one path may begin as another.
        own = map(re.escape, sorted(self.own_words, key=len, reverse=True))
        return re.compile("|".join((*own, _ASSIGNED, _QUOTED)))

    def _flag(self, match: re.Match[str]) -> str | None:
        flag = self.flags.get(match["name"] or "")
        if flag is None or _is_option(match):
            return None
        try:
            return flag.text(_value(match["value"]))
        except (ValueError, SyntaxError):
            return None


_running: ContextVar[_Running | None] = ContextVar("_running", default=None)


def _value(text: str) -> object:
    """What Python writes so; NaN and infinity have no literal. Raises ``ValueError`` or ``SyntaxError``."""
    return float(text) if text.lstrip("+-") in ("nan", "inf") else ast.literal_eval(text)


def _is_option(match: re.Match[str]) -> bool:
    """Whether it is an option of a method, which may be called as a parameter is: ``densefuse: output='stretch'``."""
    method, colon, _ = match.string[: match.start()].rpartition(": ")
    return bool(colon) and method in list_models() and match["name"] in {one.name for one in get_spec(method).options}


def _named(parameter: Any) -> Iterator[tuple[str, Flag]]:
    """Names of a parameter in Python, with its flag: ``range`` is declared as ``range_`` or as ``--range``."""
    if parameter.param_type_name == "argument":
        yield parameter.name, Flag(parameter.metavar or parameter.name.upper())
        return
    long = [word for word in parameter.opts if word.startswith("--")] or list(parameter.opts)
    negated = parameter.secondary_opts[0] if parameter.secondary_opts else ""
    flag = Flag(long[0], negated, bool(parameter.is_flag), bool(parameter.multiple))
    yield parameter.name.rstrip("_"), flag
    yield from ((word.lstrip("-").replace("-", "_"), flag) for word in long)


def _parts(parameter: Any) -> list[str]:
    """Names in the metavar of an argument that stands for several: [FUSED] INFRARED VISIBLE."""
    return re.findall(r"\w+", (parameter.metavar or "").lower()) if parameter.param_type_name == "argument" else []


def _several(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return [f"{key}={one}" for key, one in value.items()]
    return value if isinstance(value, (list, tuple)) else [value]


def _word(value: object, unit: float) -> str:
    if unit != 1 and isinstance(value, (int, float)):
        value = value / unit
    return shlex.quote(f"{value:.12g}" if isinstance(value, float) else str(value))


def _words(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, (str, Path)):
            yield str(value)
        elif isinstance(value, (list, tuple)):
            yield from _words(value)
