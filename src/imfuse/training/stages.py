"""Trainings of several stages: one run after the other, each beginning with what the one before it exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imfuse.data.pairs import PairFiles
from imfuse.training.engine import WEIGHTS, train
from imfuse.training.recipe import Recipe
from imfuse.training.run_folder import held

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from imfuse.training.engine import RunSettings


@dataclass(frozen=True)
class Stage:
    """A stage that is about to begin.

    Args:
        name: of its recipe.
        recipe: what it trains.
        folder: of its run.
        done: whether an earlier call finished it; then it is not trained again.

    Example:
        >>> from imfuse.training.recipe import load_recipe
        >>> Stage("auif", load_recipe("auif"), Path("runs/mine"), done=False).recipe.epochs
        80
    """

    name: str
    recipe: Recipe
    folder: Path
    done: bool


def train_stages(
    stages: Mapping[str, Recipe],
    files: Sequence[PairFiles],
    output: str | Path,
    *,
    start: str | Path | None = None,
    resume: bool = False,
    announce: Callable[[Stage], None] | None = None,
    **settings: Unpack[RunSettings],
) -> Path:
    """Train a method by all stages of its recipe; one stage is trained as :func:`imfuse.training.engine.train` does.

    Args:
        stages: recipes by the names of the stages, as :func:`imfuse.training.recipe.load_stages` reads them.
        files: the pairs, those to hold out included, as :func:`imfuse.data.find_pairs` finds them.
        output: folder of the training. Each of several stages has its run in a folder of its name in there.
        start: weights that the first stage begins with, a shipped entry or a file.
        resume: continue a training that was stopped: stages that are finished are not trained again.
        announce: called before each stage.
        settings: ``licence``, ``data_name``, ``device``, ``processes``, ``nodes``, ``progress`` and ``callbacks``, as
            :func:`imfuse.training.engine.train` takes them.

    Returns:
        Path of the weights that the last stage exported.

    Raises:
        RecipeError: a recipe does not fit the method or the data, or ``output`` holds another training.
        PairError: pairs cannot be used; the message has all of them.
        WeightsError: weights to begin with, or a checkpoint, cannot be used.
        ModelError: there is no such device.
        ImfuseError: another training works in ``output``.
        KeyboardInterrupt: Ctrl-C or SIGTERM stopped a stage; its checkpoint is written.

    Example:
        ```python
        stages = load_stages("transfusion_compact", ["batch_size=4"])
        weights = train_stages(stages, find_pairs(Path("pairs")), "runs/mine", device="cuda")
        ```
    """
    several = len(stages) > 1
    weights = Path(output) / WEIGHTS
    with held(Path(output)) if several else nullcontext():
        for name, recipe in stages.items():
            folder = Path(output) / name if several else Path(output)
            weights = folder / WEIGHTS
            done = resume and several and weights.is_file()
            if announce is not None:
                announce(Stage(name, recipe, folder, done))
            if not done:
                train(recipe, files, folder, start=start, resume=resume, **settings)
            start = weights
    return weights
