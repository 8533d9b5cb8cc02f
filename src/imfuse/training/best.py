"""The state of the best validation, saved in the folder of the run for its export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from imfuse.core.errors import RecipeError
from imfuse.data.pairs import LoadedPair, PairFiles
from imfuse.metrics.catalogue import METRICS
from imfuse.training.checkpoints import read_checkpoint
from imfuse.training.recipe import SEGMENTATION_SCORES, Recipe


def keep_best_of(recipe: Recipe, validation: Sequence[PairFiles | LoadedPair], out: Path) -> ModelCheckpoint | None:
    """What writes ``best.ckpt`` after each validation that is better than all before, where the recipe has ``best``."""
    if not recipe.best:
        return None
    if recipe.best in SEGMENTATION_SCORES:
        if all(pair.labels is None for pair in validation):
            raise RecipeError(
                f"best: {recipe.best} needs labels, and no held-out pair has any; add some, or leave best empty"
            )
        higher = True
    else:
        direction = METRICS[recipe.best].better
        if direction == "none":
            raise RecipeError(f"best: of {recipe.best} neither high nor low values are better; choose another score")
        higher = direction == "higher"
    return ModelCheckpoint(
        out,
        filename="best",
        monitor=f"val_{recipe.best}",
        mode="max" if higher else "min",
        save_weights_only=True,
        save_on_train_epoch_end=False,
        enable_version_counter=False,
    )


def restore_best(recipe: Recipe, saver: ModelCheckpoint, module: nn.Module) -> dict[str, str]:
    """Load the best state into a module; returns entries for the header of its weights."""
    checkpoint = read_checkpoint(Path(saver.best_model_path))
    module.load_state_dict(checkpoint["state_dict"])
    return {"steps": str(checkpoint["global_step"]), "best": recipe.best}
