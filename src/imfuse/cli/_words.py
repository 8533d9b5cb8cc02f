"""Words of the command line that hold several things."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from imfuse.core.errors import PairError, RecipeError


def named_paths(words: Sequence[str], flag: str, example: str) -> dict[str, Path]:
    """``NAME=PATH`` words as a dictionary; raises ``PairError`` with the flag and the example.

    >>> list(named_paths(["a=b=c"], "--data", "tno=data/tno"))
    ['a']
    """
    paths: dict[str, Path] = {}
    for word in words:
        name, _, path = word.partition("=")
        if not (name and path):
            raise PairError(f"{flag} {word!r}: NAME=PATH is expected, such as {example}")
        if name in paths:
            raise PairError(f"{flag} {word!r}: the name {name!r} is given twice")
        paths[name] = Path(path)
    return paths


def parse_size(word: str, parameter: str) -> tuple[int, int]:
    """Height and width of ``WIDTHxHEIGHT``; raises ``RecipeError`` that names the parameter.

    >>> parse_size("320x240", "size")
    (240, 320)
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", word, re.ASCII)
    if match is None or "0" in (match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"):
        raise RecipeError(f"{parameter}={word!r}: WIDTHxHEIGHT is expected, such as 320x240")
    return int(match[2]), int(match[1])
