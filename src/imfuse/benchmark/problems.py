"""What is wrong with a plan or a file of results, in one line."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(error: ValidationError) -> str:
    """Where the first thing is that a model refuses, and why: ``data.tno.pairs: ...``."""
    first = error.errors(include_url=False)[0]
    # Steps of pydantic's own are no part of the file.
    steps = [str(step) for step in first["loc"] if not str(step).startswith(("function-", "constrained-"))]
    where = ".".join(steps)
    return f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
