"""From a recipe to its objective: of this library, of an installed package, or of a file that the user names."""

from __future__ import annotations

import importlib
from dataclasses import fields, is_dataclass
from typing import Any, cast

from imfuse.core.errors import ImfuseError, RecipeError
from imfuse.core.plugins import is_reference, load_reference, plugins
from imfuse.core.registry import get_spec
from imfuse.losses import Objective
from imfuse.models import model_class
from imfuse.training.recipe import Recipe

ENTRY_POINTS = "imfuse.objectives"
_DEFAULT = "Objective"


def build_objective(recipe: Recipe) -> Objective:
    """The objective of a recipe, with the weights that the recipe sets.

    ``objective`` of the recipe is the name of a class, looked up in ``imfuse.losses.<model>``; in the module that an
    installed package names by an entry point in the group ``imfuse.objectives``, whose name is that of the method (or
    in place of the class that it names); or in the module of the network. ``file.py:Name`` and ``package.module:Name``
    tell where it is. The code of such a file or module is run.

    Args:
        recipe: of a training.

    Returns:
        What :class:`imfuse.losses.Objective` describes.

    Raises:
        RecipeError: there is no such objective, or it has no such term.
        PluginError: a file or module of others cannot be loaded.

    Example:
        >>> from imfuse.training.recipe import load_recipe
        >>> build_objective(load_recipe("auif", ["loss.ssim=2"]))
        Objective(ssim=2.0)
    """
    kind = _find(recipe)
    name = get_spec(recipe.model).name
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise RecipeError(f"objective: {name} has no {recipe.objective!r}")
    terms = [field.name for field in fields(kind)]
    if unknown := [term for term in recipe.loss if term not in terms]:
        raise RecipeError(f"loss: unknown term {unknown[0]!r}; {name} has {', '.join(terms) or 'none'}")
    objective = cast(Any, kind)(**recipe.loss)
    if not isinstance(objective, Objective):
        raise RecipeError(f"objective: {kind.__name__} is none; derive it from imfuse.losses.WeightedObjective")
    return objective


def wants_colour(recipe: Recipe) -> bool:
    """Whether the network or the objective of a recipe needs the colours of the visible image."""
    return get_spec(recipe.model).colour or build_objective(recipe).colour


def _find(recipe: Recipe) -> Any:
    """What the recipe's ``objective`` names; ``None`` where there is nothing of that name."""
    if is_reference(recipe.objective):
        return load_reference(recipe.objective)
    name = get_spec(recipe.model).name
    ours, point = _ours(name), plugins(ENTRY_POINTS).get(name)
    if ours is not None and point is not None:
        raise RecipeError(
            f"model: {name} has two objectives, one of this library, one of {point.value}; "
            "say which by objective: package.module:Name"
        )
    if ours is not None:
        return getattr(ours, recipe.objective, None)
    if point is not None and is_reference(point.value):
        objective = load_reference(point.value)
        return objective if recipe.objective in (_DEFAULT, objective.__name__) else None
    if point is not None:
        return load_reference(f"{point.value}:{recipe.objective}")
    beside = getattr(importlib.import_module(model_class(recipe.model).__module__), recipe.objective, None)
    if beside is None:
        raise RecipeError(
            f"model: {name!r} has no objective, it cannot be trained; yours goes as objective: file.py:Name"
        )
    return beside


def _ours(name: str) -> Any:
    """The module of this library that holds the objectives of a method, if there is one."""
    module = f"imfuse.losses.{name}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise ImfuseError(f"{module} needs {error.name}, which is not installed") from error
        return None
