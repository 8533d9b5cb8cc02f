"""Words of the command line that hold several things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imfuse.core.errors import PairError


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
