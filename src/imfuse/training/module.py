"""The one LightningModule of all methods: the objective decides what is computed."""

from __future__ import annotations

import importlib
import math
from dataclasses import fields
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from imfuse.core.errors import MetricError, RecipeError
from imfuse.core.registry import model_class
from imfuse.layers.padding import crop_to, pad_to
from imfuse.metrics.accumulate import FusionScores
from imfuse.training.recipe import Optimizer, Recipe


def build_objective(recipe: Recipe) -> Any:
    """The objective ``imfuse.losses.<model>.Objective`` with the weights of the recipe. Raises ``RecipeError``."""
    try:
        objective = importlib.import_module(f"imfuse.losses.{recipe.model}").Objective
    except ModuleNotFoundError:
        raise RecipeError(f"model: {recipe.model!r} has no objective, it cannot be trained") from None
    known = [field.name for field in fields(objective)]
    if unknown := [name for name in recipe.loss if name not in known]:
        raise RecipeError(f"loss: unknown term {unknown[0]!r}; {recipe.model} has {', '.join(known)}")
    return objective(**recipe.loss)


class FusionTraining(L.LightningModule):
    """Network, objective and optimiser of a recipe."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.objective = build_objective(recipe)
        # oneDNN's convolutions are faster channels-last, in float32 and more so in bfloat16.
        self.network = model_class(recipe.model)(**recipe.options)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.compile:
            for part in self.network.children():
                part.compile(dynamic=False)
        try:
            self.scores = FusionScores(recipe.scores, recipe.convention)
        except MetricError as error:
            raise RecipeError(f"scores: {error}") from None

    def training_step(self, batch: dict[str, Tensor], _index: int) -> Tensor:
        """Loss of a batch; its parts are logged."""
        loss: Tensor
        loss, parts = self.objective(self.network, batch)
        if not torch.isfinite(loss):
            raise RecipeError(
                f"the loss became {loss.item()} at step {self.global_step}; "
                f"lower optimizer.lr or set clip (now {self.recipe.clip})"
            )
        self.log_dict({"loss": loss, **parts}, prog_bar=False, batch_size=len(next(iter(batch.values()))))
        self.log("train_loss", loss, prog_bar=True, logger=False)
        return loss

    def validation_step(self, batch: dict[str, Tensor], _index: int) -> None:
        """Score fused pairs."""
        infrared, visible = batch["infrared"], batch["visible"]
        spec = self.network.spec
        padded = (pad_to(image, spec.multiple, spec.min_size) for image in (infrared, visible))
        fused = crop_to(self.network(*padded).float(), *infrared.shape[-2:])
        self.scores.update(fused, infrared, visible)

    def on_validation_epoch_end(self) -> None:
        """Log the mean scores of all pairs of all processes."""
        # The scores are synchronised already; Lightning warns unless it may do so itself.
        self.log_dict({f"val_{name}": value for name, value in self.scores.compute().items()}, sync_dist=True)
        self.scores.reset()

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the recipe."""
        optimizer = _optimizer(self.network, self.recipe.optimizer)
        schedule = self.recipe.schedule
        if schedule.name == "constant":
            return optimizer
        scheduler: torch.optim.lr_scheduler.LRScheduler
        if schedule.name == "steps":
            scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(schedule.milestones), schedule.gamma)
        else:
            steps = int(self.trainer.estimated_stepping_batches)
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _cosine(step, steps, schedule.warmup))
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}


def _cosine(step: int, steps: int, warmup: int) -> float:
    """Share of the learning rate: a straight rise, then half a cosine that ends at 0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return (1 + math.cos(math.pi * min(1, (step - warmup) / max(1, steps - warmup)))) / 2


def _optimizer(network: nn.Module, settings: Optimizer) -> torch.optim.Optimizer:
    prefixes = list(settings.groups)
    members: dict[str, list[nn.Parameter]] = {prefix: [] for prefix in ["", *prefixes]}
    for name, parameter in network.named_parameters():
        members[next((prefix for prefix in prefixes if name.startswith(prefix)), "")].append(parameter)
    if empty := [prefix for prefix in prefixes if not members[prefix]]:
        raise RecipeError(f"optimizer.groups: no parameter of the network begins with {empty[0]!r}")
    groups = [
        {"params": parameters, "lr": settings.groups.get(prefix, settings.lr)}
        for prefix, parameters in members.items()
        if parameters
    ]
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay)
    kind = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=settings.lr, weight_decay=settings.weight_decay)
