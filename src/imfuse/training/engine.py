"""Train a method by its recipe, on Lightning: resumable at any step, several GPUs and nodes, logs, exported weights."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import lightning as L
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from imfuse.core.weights import save_weights
from imfuse.data.pairs import PairFiles, check_pairs, split_pairs
from imfuse.training.best import keep_best_of, restore_best
from imfuse.training.checkpoints import LAST, CheckpointFiles, Position, SaveLast, check_fits
from imfuse.training.devices import placement
from imfuse.training.initial import initialise
from imfuse.training.interrupt import Interrupted, StopSignals
from imfuse.training.loaders import Loaders
from imfuse.training.log import LOG, JsonLines, draw_curves
from imfuse.training.module import FusionTraining
from imfuse.training.objective import wants_colour
from imfuse.training.provenance import begin_with, header_of
from imfuse.training.recipe import Recipe
from imfuse.training.run_folder import held, prepare

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
            TensorBoard events, ``curve.png``, and the two newest checkpoints, ``last.ckpt`` and ``previous.ckpt``.
        start: weights to begin with, a shipped entry or a file.
        resume: continue a run that was stopped from its newest whole checkpoint, with the losses that it would have
            had.
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
        ImfuseError: another training works in ``output``.
        KeyboardInterrupt: Ctrl-C stopped the run, or SIGTERM (:class:`imfuse.core.signals.Terminated`); its checkpoint
            is written.

    Example:
        ```python
        recipe = load_recipe("auif", ["epochs=20"])
        weights = train(recipe, find_pairs(Path("pairs")), "runs/mine")
        fused = imfuse.fuse("ir.png", "vis.png", weights=weights)
        ```
    """
    output, (accelerator, devices) = Path(output), placement(device, processes)
    with held(output):
        position = prepare(recipe, output, resume)
        module, loaders = _built(recipe, files, start, licence, position)
        log, stop = JsonLines(output), StopSignals()
        if position is not None:
            check_fits(position.checkpoint, module.state_dict())
            log.forget_after(position.step)
        average = EMAWeightAveraging(decay=recipe.average) if recipe.average else None
        keep_best = keep_best_of(recipe, loaders.validation, output)
        ours = [log, average, RichProgressBar() if progress else None, *callbacks]
        savers = [keep_best, SaveLast(output, recipe.checkpoint_minutes, stop)]
        trainer = L.Trainer(
            **_settings(recipe, output),
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            limit_val_batches=None if loaders.validation else 0,
            callbacks=[callback for callback in (*ours, *savers) if callback],
            plugins=[CheckpointFiles(last_is_good=position is None or position.checkpoint.name == LAST)],
            enable_progress_bar=progress,
        )
        with stop:
            _fit(trainer, module, loaders, position, stop)
        if average is not None:
            # Of a run that was stopped after its last step, Lightning does not take it over.
            average.on_train_end(trainer, module)
        trainer.save_checkpoint(output / LAST)
        if trainer.is_global_zero:
            draw_curves(output / LOG, output / "curve.png")
            network = module.network
            header = header_of(recipe, network.spec.name, loaders.files, trainer.global_step, data_name, module.origin)
            if keep_best:
                header |= restore_best(recipe, keep_best, module)
            save_weights(output / WEIGHTS, network.state_dict(), header, through_links=False)
    return output / WEIGHTS


def _built(
    recipe: Recipe, files: Sequence[PairFiles], start: str | Path | None, licence: str, position: Position | None
) -> tuple[FusionTraining, Loaders]:
    """Network and data of a run, both checked before the first step."""
    train_files, validation_files = split_pairs(files, recipe.data.validation)
    cache = check_pairs(files, recipe.data.crop.size, recipe.data.cache_mb << 20, wants_colour(recipe))
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    module = FusionTraining(recipe)
    if recipe.initial and position is None:
        module.origin = initialise(module.network, recipe.initial)
    module.origin |= begin_with(module.network, start, licence)
    done = position.batches if position else 0
    return module, Loaders(recipe, train_files, validation_files, cache, done)


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


def _fit(
    trainer: L.Trainer, module: FusionTraining, loaders: Loaders, position: Position | None, stop: StopSignals
) -> None:
    checkpoint = str(position.checkpoint) if position else None
    with warnings.catch_warnings():
        for message in HARMLESS:
            warnings.filterwarnings("ignore", message=f".*{message}")
        try:
            trainer.fit(module, datamodule=loaders, ckpt_path=checkpoint, weights_only=True)
        except (Interrupted, SIGTERMException):
            raise (stop.received or KeyboardInterrupt) from None
