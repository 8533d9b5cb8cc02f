"""What is wrong with content of a file that pydantic checks, in one line."""

from __future__ import annotations

from pydantic import ValidationError

from imfuse.core.text import one_line

_MANY = 1000
_LONGEST_STEP, _LONGEST = 80, 400


def first_problem(error: ValidationError) -> str:
    """Where the first thing is that a model refuses, and why: ``data.tno.pairs: ...``."""
    if error.error_count() > _MANY:
        # Listing them takes a thousand times as much memory as counting them.
        return f"{error.error_count()} values are not what is expected there"
    first = error.errors(include_url=False, include_input=False)[0]
    # Steps of pydantic's own are no part of the file.
    steps = [str(step) for step in first["loc"] if not str(step).startswith(("function-", "constrained-"))]
    where = ".".join(_short(step, _LONGEST_STEP) for step in steps)
    problem = f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
    return _short(one_line(problem), _LONGEST)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
