"""Where recipes are: those that ship, those of other packages by their entry points, and files."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from imfuse.core.errors import RecipeError
from imfuse.core.plugins import is_reference, plugins
from imfuse.core.text import printable
from imfuse.core.yaml_input import read_yaml

ENTRY_POINTS = "imfuse.recipes"
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Source:
    """What a recipe is read from: what messages call it, its keys and values, the folder that it lies in."""

    origin: str
    content: dict[str, Any]
    folder: Path


def list_recipes() -> list[str]:
    """Names of the recipes that ship, and of those that installed packages bring.

    A package brings a recipe by an entry point in the group ``imfuse.recipes``: the name of the recipe, the package
    that its file lies in, and the name of the file (if it is left out, that of the recipe and ``.yaml``)::

        [project.entry-points."imfuse.recipes"]
        tinyfuse = "my_package:tinyfuse.yaml"

    Returns:
        The names, sorted.

    Example:
        >>> list_recipes()[0]
        'auif'
    """
    return sorted({*_shipped(), *plugins(ENTRY_POINTS)})


def read_source(name: str | Path) -> Source:
    """Read a recipe, or a list of stages, by its name or from a YAML file, as it stands. Raises ``RecipeError``.

    In files ``model`` and ``objective`` may be ``file.py:Name``, with a path that is relative to the file.
    """
    origin, file = _find(name)
    content = read_yaml(file, RecipeError, "a recipe")
    if not isinstance(content, dict):
        raise RecipeError(
            f"{origin}: keys and values are expected, such as model: auif, found {reprlib.repr(content):.60}"
        )
    for key in ("model", "objective"):
        if isinstance(content.get(key), str):
            content[key] = absolute(content[key], file.parent)
    return Source(origin, content, file.parent)


def absolute(reference: str, folder: Path) -> str:
    """``file.py:Name`` with the whole path of a file that lies in ``folder``; other texts as they are."""
    place, _, name = reference.rpartition(":")
    if not is_reference(reference) or not place.endswith(".py"):
        return reference
    return f"{(folder / place).resolve()}:{name}"


def _shipped() -> dict[str, Path]:
    folder = Path(str(resources.files("imfuse.training"))) / "recipes"
    return {file.stem: file for file in folder.glob("*.yaml")}


def _find(name: str | Path) -> tuple[str, Path]:
    """What messages call a recipe, and its file."""
    shipped, others = _shipped(), plugins(ENTRY_POINTS)
    if name in shipped and name in others:
        raise RecipeError(
            f"two recipes are called {str(name)!r}: one of this library, one of {others[str(name)].value}"
        )
    if name in shipped:
        return f"recipe {name}", shipped[str(name)]
    if name in others:
        return f"recipe {name}", _file_of(others[str(name)])
    path = Path(name)
    if path.suffix not in SUFFIXES:
        raise RecipeError(f"no recipe {str(name)!r}: there are {', '.join(list_recipes())}; or give a .yaml file")
    return printable(path), path


def _file_of(point: EntryPoint) -> Path:
    package, _, file = point.value.partition(":")
    try:
        return Path(str(resources.files(package))) / (file or f"{point.name}.yaml")
    except (ImportError, TypeError) as error:
        raise RecipeError(f"recipe {point.name}: {package} is not a package that can be imported ({error})") from None
