"""``python -m imfuse.testing NAME|file.py:Name ...``: run the contract tests for these methods."""

from __future__ import annotations

import sys

import pytest

from imfuse.core.errors import ImfuseError
from imfuse.core.registry import get_spec
from imfuse.core.text import one_line


def main(names: list[str]) -> int:
    """Exit status of pytest; 2 where a method cannot be found."""
    if not names or names[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        for name in names:
            get_spec(name)
    except ImfuseError as error:
        print(one_line(f"imfuse: {error}"), file=sys.stderr)
        return 2
    # Settings of the folder that it is run in are of other tests.
    settings = ["-o", "addopts=", "-p", "imfuse.testing.plugin", "-p", "no:cacheprovider"]
    chosen = [word for name in names for word in ("--model", name)]
    return int(pytest.main([*settings, *chosen, "-q", "--pyargs", "imfuse.testing.contract"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
