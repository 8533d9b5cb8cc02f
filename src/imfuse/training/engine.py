"""Train a method by its recipe, on Lightning: resumable at any step, several GPUs and nodes, logs, exported weights."""

from __future__ import annotations

import datetime
import logging
import os
import platform
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

from imfuse.core.errors import RecipeError, WeightsError
from imfuse.core.files import file_hash
from imfuse.core.registry import get_spec
from imfuse.core.version import VERSION
from imfuse.core.weights import load_weights, resolve_weights, save_weights
from imfuse.data.augment import Augmentation
from imfuse.data.crops import CropPlan
from imfuse.data.pairs import (
    LoadedPair,
    PairFiles,
    TrainingPairs,
    WholePairs,
    check_pairs,
    rendered_pairs,
    split_pairs,
)
from imfuse.training.batches import EpochBatches
from imfuse.training.best import keep_best_of, restore_best
from imfuse.training.initial import initialise
from imfuse.training.interrupt import Interrupted, SaveOnInterrupt
from imfuse.training.log import LOG, JsonLines, draw_curves
from imfuse.training.module import FusionTraining
from imfuse.training.objective import build_objective, wants_colour
from imfuse.training.recipe import Recipe, load_recipe

LAST = "last.ckpt"
RECIPE = "recipe.yaml"


def train(
    recipe: Recipe,
    files: list[PairFiles],
    out: Path,
    *,
    start: str | Path | None = None,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int | str = "auto",
    nodes: int = 1,
    data_name: str = "",
    progress: bool = True,
    callbacks: tuple[Callback, ...] = (),
) -> Path:
    """Train and return the path of the exported weights, ``out/weights.safetensors``.

    ``out`` also gets the resolved recipe, the environment, ``log.jsonl``, TensorBoard events, ``curve.png`` and
    ``last.ckpt``. ``start`` names weights to begin with, a shipped entry or a file. With ``resume`` a run that was
    stopped goes on from ``last.ckpt`` with the losses that it would have had. Raises ``RecipeError``, ``PairError`` or
    ``WeightsError``.
    """
    checkpoint = _prepare(recipe, out, resume)
    train_files, validation_files = split_pairs(files, recipe.data.validation)
    cache = check_pairs(files, recipe.data.crop.size, recipe.data.cache_mb << 20, wants_colour(recipe))
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    module = FusionTraining(recipe)
    if recipe.initial and checkpoint is None:
        initialise(module.network, recipe.initial)
    origin = {} if start is None else _begin_with(start, module)
    loaders = Loaders(recipe, train_files, validation_files, cache)
    log, interrupt, keep_best = (
        JsonLines(out),
        SaveOnInterrupt(out / LAST),
        keep_best_of(recipe, loaders.validation, out),
    )
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    if checkpoint is not None:
        log.forget_after(loaders.continue_from(checkpoint))
    trainer = L.Trainer(
        default_root_dir=out,
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        precision=recipe.precision,
        max_epochs=recipe.epochs,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip or None,
        check_val_every_n_epoch=recipe.validate_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=1,
        logger=TensorBoardLogger(out, name="", version="tensorboard"),
        callbacks=[
            ModelCheckpoint(
                out,
                filename="last",
                train_time_interval=timedelta(minutes=recipe.checkpoint_minutes),
                enable_version_counter=False,
            ),
            log,
            interrupt,
            *([EMAWeightAveraging(decay=recipe.average)] if recipe.average else []),
            *([keep_best] if keep_best else []),
            *([RichProgressBar()] if progress else []),
            *callbacks,
        ],
        enable_progress_bar=progress,
        enable_model_summary=False,
    )
    with interrupt, warnings.catch_warnings():
        # Pairs come from memory, the folder holds the recipe already, a recipe may validate on nothing or without
        # labels or freeze parts, and EpochBatches skips what was seen before a stop.
        for advice in (
            "does not have many workers",
            "exists and is not empty",
            "across ranks is zero",
            "your dataloader is not resumable",
            r"Found \d+ module\(s\) in eval mode",
            "is deprecated, use `isinstance",
            "of metric SegmentationScores was called before",
        ):
            warnings.filterwarnings("ignore", message=f".*{advice}")
        try:
            trainer.fit(module, datamodule=loaders, ckpt_path=str(checkpoint or "") or None, weights_only=True)
        except Interrupted:
            raise KeyboardInterrupt from None
    trainer.save_checkpoint(out / LAST)
    weights = out / "weights.safetensors"
    if trainer.is_global_zero:
        draw_curves(out / LOG, out / "curve.png")
        header = _provenance(recipe, len(train_files), data_name, trainer) | origin
        if keep_best:
            header |= restore_best(recipe, keep_best, module)
        save_weights(weights, module.network.state_dict(), header)
    return weights


def _prepare(recipe: Recipe, out: Path, resume: bool) -> Path | None:
    """Create the folder of a run, or find the checkpoint to go on from."""
    checkpoint = out / LAST
    if resume:
        if (out / RECIPE).is_file() and load_recipe(out / RECIPE) != recipe:
            raise RecipeError(f"{out}: --resume with another recipe than its {RECIPE}; use that one or another folder")
        # A run that was stopped before its first checkpoint starts again.
        if not checkpoint.is_file():
            (out / LOG).unlink(missing_ok=True)
            return None
        return checkpoint
    if (out / LOG).exists() or checkpoint.exists():
        raise RecipeError(f"{out}: holds a run already; add --resume to go on with it, or choose another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
        (out / "environment.txt").write_text(_environment(), encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{out}: cannot write there ({error.strerror})") from None
    return None


def _begin_with(start: str | Path, module: FusionTraining) -> dict[str, str]:
    """Load weights into a fresh network; what the header of the result says of them."""
    spec = module.network.spec
    path = resolve_weights(spec, start)
    module.network.load_state_dict(load_weights(path, spec, module.network.state_dict()))
    return {"start": f"{path.name} sha256:{file_hash(path)}"}


class Loaders(L.LightningDataModule):
    """Loaders of a run. They are made per process, so that each process gets its own share."""

    def __init__(
        self, recipe: Recipe, train: list[PairFiles], validation: list[PairFiles], cache: dict[str, LoadedPair]
    ) -> None:
        super().__init__()
        data, colour = recipe.data, wants_colour(recipe)
        augmentation = Augmentation(**data.augment.model_dump())
        scenes = rendered_pairs(data.rendered, colour=colour)
        held_out = round(len(scenes) * data.validation)
        self.recipe = recipe
        self.pairs = TrainingPairs(
            [*train, *scenes[: len(scenes) - held_out]],
            CropPlan(**data.crop.model_dump()),
            data.kind,
            recipe.seed,
            cache,
            augmentation if augmentation != Augmentation() else None,
            build_objective(recipe).maps,
            colour,
        )
        self.validation: list[PairFiles | LoadedPair] = [*validation, *scenes[len(scenes) - held_out :]]
        self.cache = cache
        self.epoch, self.skip = 0, 0

    def continue_from(self, checkpoint: Path) -> int:
        """Take up where a checkpoint was written; returns its step."""
        try:
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
            batches = state["loops"]["fit_loop"]["epoch_loop.batch_progress"]
            self.skip = 0 if batches["is_last_batch"] else int(batches["current"]["processed"])
            return int(state["global_step"])
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise WeightsError(f"{checkpoint}: not a checkpoint to resume from ({reason:.200})") from None

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches of this process."""
        trainer = cast(L.Trainer, self.trainer)
        batches = EpochBatches(
            len(self.pairs),
            self.recipe.batch_size,
            self.recipe.data.shuffle,
            self.recipe.seed,
            trainer.global_rank,
            trainer.world_size,
        )
        batches.skip = self.skip
        return DataLoader(self.pairs, batch_sampler=batches, num_workers=self.recipe.data.workers)

    def val_dataloader(self) -> Any:
        """Whole validation pairs, one by one; nothing where the recipe holds out nothing."""
        colour = wants_colour(self.recipe)
        return DataLoader(WholePairs(self.validation, self.cache, colour)) if self.validation else []


def _provenance(recipe: Recipe, pairs: int, data_name: str, trainer: L.Trainer) -> dict[str, str]:
    spec = get_spec(recipe.model)
    return {
        "model": recipe.model,
        "title": spec.title,
        "recipe": recipe.to_yaml(),
        "data": data_name or "unnamed",
        "pairs": str(pairs),
        "steps": str(trainer.global_step),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "imfuse": VERSION,
        "torch": torch.__version__,
        "licence": "Apache-2.0",
    }


def _environment() -> str:
    lines = {
        "imfuse": VERSION,
        "torch": torch.__version__,
        "lightning": L.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": str(torch.get_num_threads()),
        "processors": str(os.cpu_count()),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
    return "".join(f"{name}: {value}\n" for name, value in lines.items())
