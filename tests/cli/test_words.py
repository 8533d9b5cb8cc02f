"""Words of the command line that hold several things."""

from __future__ import annotations

from pathlib import Path

import pytest

from imfuse.cli._words import named_paths
from imfuse.core.errors import PairError


def test_named_paths() -> None:
    assert named_paths(["a=b=c", "d=e f"], "--data", "tno=data/tno") == {"a": Path("b=c"), "d": Path("e f")}
    for words in (["a"], ["=b"], ["a="], ["a=b", "a=c"]):
        with pytest.raises(PairError, match="--data"):
            named_paths(words, "--data", "tno=data/tno")
