"""Finds the methods by their files: a module of ``PACKAGES`` that assigns ``SPEC`` is one; no list is kept."""

from __future__ import annotations

import ast
import difflib
import fnmatch
import importlib.util
import pkgutil
from functools import cache
from pathlib import Path

from imfuse.core import spec as spec_module
from imfuse.core.errors import ModelError
from imfuse.core.spec import ModelSpec

PACKAGES = ("imfuse.models", "imfuse.classical")
DEFAULT_MODEL = "refinefuse"
"""The method that is used where none is named."""


def _read_spec(source: Path) -> ModelSpec | None:
    """Evaluate the module's ``SPEC = ModelSpec(...)`` alone, so that listing methods does not import torch."""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["SPEC"]:
            expression = compile(ast.Expression(node.value), str(source), "eval")
            value = eval(expression, dict(vars(spec_module)))
            return value if isinstance(value, ModelSpec) else None
    return None


@cache
def _methods() -> dict[str, tuple[str, ModelSpec]]:
    """Name of each method -> its module and specification."""
    found = {}
    for package in PACKAGES:
        located = importlib.util.find_spec(package)
        folders = list(located.submodule_search_locations or ()) if located else []
        for module in pkgutil.iter_modules(folders):
            if not module.name.startswith("_"):
                spec = next(filter(None, (_read_spec(Path(f) / f"{module.name}.py") for f in folders)), None)
                if spec is not None:
                    found[spec.name] = f"{package}.{module.name}", spec
    return found


def list_models(pattern: str = "*") -> list[str]:
    """Names of the methods that match a shell pattern, sorted.

    >>> list_models("auif*")
    ['auif']
    """
    return sorted(fnmatch.filter(_methods(), pattern))


def get_spec(name: str) -> ModelSpec:
    """The specification of a method; ``ModelError`` names the nearest known ones.

    >>> get_spec("auif").multiple
    1
    """
    methods = _methods()
    if name not in methods:
        near = difflib.get_close_matches(name.lower(), methods, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ModelError(f"unknown model {name!r}: {hint}there are {', '.join(sorted(methods))}")
    return methods[name][1]


def module_of(name: str) -> str:
    """The module that holds the network of a method, by its dotted name; raises ``ModelError`` as :func:`get_spec`."""
    get_spec(name)
    return _methods()[name][0]
