"""Train a method by its recipe, on Lightning: resumable at any step, several GPUs and nodes, logs, exported weights."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict

import lightning as L
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from imfuse.core.errors import RecipeError
from imfuse.core.weights import save_weights
from imfuse.data.pairs import PairFiles, check_pairs, split_pairs
from imfuse.training.best import keep_best_of, restore_best
from imfuse.training.devices import placement
from imfuse.training.initial import initialise
from imfuse.training.interrupt import Interrupted, SaveOnInterrupt
from imfuse.training.loaders import Loaders
from imfuse.training.log import LOG, JsonLines, draw_curves
from imfuse.training.module import FusionTraining
from imfuse.training.objective import wants_colour
from imfuse.training.provenance import begin_with, environment, header_of
from imfuse.training.recipe import Recipe, load_recipe

HARMLESS = (
    # Decoded pairs come from memory, of which each process that loads would need a copy.
    "does not have many workers",
    # The recipe is written into the folder of a run before Lightning looks at it.
    "exists and is not empty",
    # EpochBatches leaves out the batches that came before a stop.
    "your dataloader is not resumable",
    # Frozen parts stay in evaluation mode, so that their norms do not move.
    r"Found \d+ module\(s\) in eval mode",
    # Lightning's own call of a function of torch, which users cannot change.
    "is deprecated, use `isinstance",
)
"""Warnings of libraries about what is meant to be as it is."""
LAST = "last.ckpt"
RECIPE = "recipe.yaml"
WEIGHTS = "weights.safetensors"


class RunSettings(TypedDict, total=False):
    """Parameters of :func:`train` that are the same for all stages of a training."""

    licence: str
    data_name: str
    device: str
    processes: int | None
    nodes: int
    progress: bool
    callbacks: Sequence[Callback]


def train(
    recipe: Recipe,
    files: Sequence[PairFiles],
    output: str | Path,
    *,
    start: str | Path | None = None,
    resume: bool = False,
    licence: str = "",
    data_name: str = "",
    device: str = "auto",
    processes: int | None = None,
    nodes: int = 1,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train a method by one recipe.

    Args:
        recipe: what decides the training, as :func:`imfuse.training.recipe.load_recipe` reads it.
        files: the pairs, those to hold out included, as :func:`imfuse.data.find_pairs` finds them.
        output: folder of the run. It gets the weights, the resolved recipe, ``environment.txt``, ``log.jsonl``,
            TensorBoard events, ``curve.png`` and ``last.ckpt``.
        start: weights to begin with, a shipped entry or a file.
        resume: continue a run that was stopped from its ``last.ckpt``, with the losses that it would have had.
        licence: of the weights, for their header. Weights that a run starts with pass on theirs.
        data_name: what the pairs are called in the header of the weights.
        device: "auto" (the GPUs that there are, else the processor), "cpu", "cuda", "mps", or GPUs by their numbers,
            "cuda:1" or "cuda:0,3".
        processes: how many devices train together, one process each. ``None``: all GPUs, or one process on a processor.
        nodes: machines that train together.
        progress: show a progress bar.
        callbacks: of Lightning, in addition.

    Returns:
        Path of the exported weights, ``output/weights.safetensors``.

    Raises:
        RecipeError: the recipe does not fit the method or the data, or ``output`` holds another run.
        PairError: pairs cannot be used; the message has all of them.
        WeightsError: weights to begin with, or a checkpoint, cannot be used.
        ModelError: there is no such device.

    Example:
        ```python
        recipe = load_recipe("auif", ["epochs=20"])
        weights = train(recipe, find_pairs(Path("pairs")), "runs/mine")
        fused = imfuse.fuse("ir.png", "vis.png", weights=weights)
        ```
    """
    output, (accelerator, devices) = Path(output), placement(device, processes)
    checkpoint = _prepare(recipe, output, resume)
    module, loaders = _built(recipe, files, start, licence, fresh=checkpoint is None)
    log, interrupt = JsonLines(output), SaveOnInterrupt(output / LAST)
    keep_best = keep_best_of(recipe, loaders.validation, output)
    if checkpoint is not None:
        log.forget_after(loaders.continue_from(checkpoint))
    bar = [RichProgressBar()] if progress else []
    trainer = L.Trainer(
        **_settings(recipe, output),
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        limit_val_batches=None if loaders.validation else 0,
        callbacks=[*_savers(recipe, output), log, interrupt, *([keep_best] if keep_best else []), *bar, *callbacks],
        enable_progress_bar=progress,
    )
    with interrupt:
        _fit(trainer, module, loaders, checkpoint)
    trainer.save_checkpoint(output / LAST)
    if trainer.is_global_zero:
        draw_curves(output / LOG, output / "curve.png")
        network = module.network
        header = header_of(recipe, network.spec.name, loaders.files, trainer.global_step, data_name) | module.origin
        if keep_best:
            header |= restore_best(recipe, keep_best, module)
        save_weights(output / WEIGHTS, network.state_dict(), header)
    return output / WEIGHTS


def _prepare(recipe: Recipe, output: Path, resume: bool) -> Path | None:
    """Create the folder of a run, or find the checkpoint to continue from."""
    checkpoint = output / LAST
    if resume:
        if (output / RECIPE).exists() and load_recipe(output / RECIPE) != recipe:
            raise RecipeError(
                f"{output}: its {RECIPE} is another recipe; give that one", "use output=... for another folder"
            )
        # A run that was stopped before its first checkpoint starts again.
        if not checkpoint.exists():
            (output / LOG).unlink(missing_ok=True)
            return None
        return checkpoint
    if (output / LOG).exists() or checkpoint.exists():
        raise RecipeError(
            f"{output}: holds a run already", "use resume=True to continue it", "use output=... for another folder"
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
        (output / "environment.txt").write_text(environment(), encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{output}: cannot write there ({error.strerror})") from None
    return None


def _built(
    recipe: Recipe, files: Sequence[PairFiles], start: str | Path | None, licence: str, *, fresh: bool
) -> tuple[FusionTraining, Loaders]:
    """Network and data of a run, both checked before the first step."""
    train_files, validation_files = split_pairs(files, recipe.data.validation)
    cache = check_pairs(files, recipe.data.crop.size, recipe.data.cache_mb << 20, wants_colour(recipe))
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    module = FusionTraining(recipe)
    if recipe.initial and fresh:
        initialise(module.network, recipe.initial)
    module.origin = begin_with(module.network, start, licence)
    return module, Loaders(recipe, train_files, validation_files, cache)


def _settings(recipe: Recipe, output: Path) -> dict[str, Any]:
    """What Lightning's trainer takes from the recipe."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    return {
        "default_root_dir": output,
        "precision": recipe.precision,
        "max_epochs": recipe.epochs,
        "accumulate_grad_batches": recipe.accumulate,
        "gradient_clip_val": recipe.clip or None,
        "check_val_every_n_epoch": recipe.validate_every,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "log_every_n_steps": 1,
        "logger": TensorBoardLogger(output, name="", version="tensorboard"),
        "enable_model_summary": False,
    }


def _savers(recipe: Recipe, output: Path) -> list[Callback]:
    """What writes checkpoints, and the moving average that is in them."""
    interval = timedelta(minutes=recipe.checkpoint_minutes)
    last = ModelCheckpoint(output, filename="last", train_time_interval=interval, enable_version_counter=False)
    return [last, *([EMAWeightAveraging(decay=recipe.average)] if recipe.average else [])]


def _fit(trainer: L.Trainer, module: FusionTraining, loaders: Loaders, checkpoint: Path | None) -> None:
    with warnings.catch_warnings():
        for message in HARMLESS:
            warnings.filterwarnings("ignore", message=f".*{message}")
        try:
            trainer.fit(module, datamodule=loaders, ckpt_path=str(checkpoint or "") or None, weights_only=True)
        except Interrupted:
            raise KeyboardInterrupt from None
