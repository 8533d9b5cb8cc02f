"""Training: recipes, objectives, the engine, stages. To train needs ``imfuse[train]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.training.engine import train
    from imfuse.training.objective import build_objective
    from imfuse.training.recipe import Recipe, load_recipe, load_stages
    from imfuse.training.sources import list_recipes
    from imfuse.training.stages import Stage, train_stages

__all__ = [
    "Recipe",
    "Stage",
    "build_objective",
    "list_recipes",
    "load_recipe",
    "load_stages",
    "train",
    "train_stages",
]

_HOMES = {
    "train": "imfuse.training.engine",
    "build_objective": "imfuse.training.objective",
    **dict.fromkeys(("Recipe", "load_recipe", "load_stages"), "imfuse.training.recipe"),
    "list_recipes": "imfuse.training.sources",
    **dict.fromkeys(("Stage", "train_stages"), "imfuse.training.stages"),
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
