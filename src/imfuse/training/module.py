"""The one LightningModule of all methods: the objective decides what is computed."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any, cast

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from imfuse.core.errors import MetricError, RecipeError
from imfuse.imaging.light import light_of
from imfuse.layers.blocks import channels_last
from imfuse.metrics.accumulate import FusionScores
from imfuse.models._build import model_class
from imfuse.ops.padding import crop_to, pad_to
from imfuse.tasks.segment.accumulate import SegmentationScores
from imfuse.training.objective import build_objective
from imfuse.training.provenance import agreed_licence
from imfuse.training.recipe import Optimizer, Recipe

if TYPE_CHECKING:
    from typing_extensions import Self


PARTS = ("all", "day", "night")


class FusionTraining(L.LightningModule):
    """Network, objective and optimiser of a recipe."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.origin: dict[str, str] = {}
        self.objective = build_objective(recipe)
        # oneDNN's convolutions are faster channels-last, in float32 and more so in bfloat16.
        self.network = model_class(recipe.model)(**recipe.options)
        channels_last(self.network)
        if recipe.compile:
            for part in self.network.children():
                part.compile(dynamic=False)
        try:
            self.scores = nn.ModuleDict({part: FusionScores(recipe.scores, recipe.convention) for part in PARTS})
        except MetricError as error:
            raise RecipeError(f"scores: {error}") from None
        classes = self.network.spec.classes
        self.segmentation = SegmentationScores(classes) if classes else None
        if recipe.noise:
            self.network.register_forward_pre_hook(self._add_noise)
        self.frozen = _freeze(self.network, recipe.frozen)
        if recipe.fixed_norms:
            self.frozen += [part for part in self.network.modules() if isinstance(part, nn.BatchNorm2d)]
        # Lightning leaves the modes as it finds them.
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Change the mode, but for frozen parts and fixed norms, which must not move."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Make what is random in a step, such as stochastic depth, the same in a run that continues before it."""
        place = (self.recipe.seed, self.current_epoch, batch_idx, self.global_rank)
        seed = int(np.random.SeedSequence(place).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (objectives of others may use it)
        torch.manual_seed(seed)

    def training_step(self, batch: dict[str, Tensor], _index: int) -> Tensor:
        """Loss of a batch; its parts are logged."""
        loss: Tensor
        loss, parts = self.objective(self.network, batch)
        if not torch.isfinite(loss):
            raise self._diverged(f"the loss became {loss.item()}")
        self.log_dict({"loss": loss, **parts}, prog_bar=False, batch_size=len(next(iter(batch.values()))))
        self.log("train_loss", loss, prog_bar=True, logger=False)
        return loss

    def _diverged(self, what: str) -> RecipeError:
        advice = f"lower optimizer.lr or set clip (now {self.recipe.clip})"
        return RecipeError(f"{what} at step {self.global_step}; {advice}")

    def validation_step(self, batch: dict[str, Tensor], _index: int) -> None:
        """Score a whole pair: by the objective, if it has scores of its own, else by those of its fused image."""
        scores = self.objective.validate(self.network, batch)
        if scores is not None:
            self.log_dict({f"val_{name}": value for name, value in scores.items()})
            return
        infrared, visible = batch["infrared"], batch["visible"]
        spec, size = self.network.spec, infrared.shape[-2:]
        pair = (infrared, batch["colours"] if spec.colour and "colours" in batch else visible)
        prediction = vars(self.network.predict(*(pad_to(image, spec.size) for image in pair)))
        if not torch.isfinite(prediction["fused"]).all():
            raise self._diverged("a fused image of the validation has NaN or infinite pixels")
        fused = crop_to(prediction["fused"].float(), *size)
        for part in ("all", light_of(float(visible.mean()))):
            self._scores(part).update(fused, infrared, visible)
        if self.segmentation is not None and "labels" in batch:
            self.segmentation.update(crop_to(prediction["semantic"], *size).argmax(1), batch["labels"])

    def on_validation_epoch_end(self) -> None:
        """Log the mean scores of all pairs of all processes; of day and night apart where there are both."""
        # The scores are synchronised already; Lightning warns unless it may do so itself.
        both = all(self._scores(part).update_called for part in ("day", "night"))
        for part in PARTS:
            scores, prefix = self._scores(part), "val_" if part == "all" else f"val_{part}_"
            if scores.update_called and (both or part == "all"):
                self.log_dict({f"{prefix}{name}": value for name, value in scores.compute().items()}, sync_dist=True)
            scores.reset()
        if self.segmentation is not None and self.segmentation.update_called:
            overlaps = {f"val_{name}": value for name, value in self.segmentation.compute().items()}
            # Where no pixel of any pair has a class there is no score.
            self.log_dict({name: value for name, value in overlaps.items() if value.isfinite()}, sync_dist=True)
            self.segmentation.reset()

    def _add_noise(self, _network: nn.Module, images: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """What the network sees in training: noise that is the same at a step, however the run came there."""
        if not self.training:
            return None
        generator = torch.Generator().manual_seed(hash((self.recipe.seed, self.global_step, self.global_rank)))
        noisy = []
        for image in images:
            strength = self.recipe.noise / 255 * torch.rand(len(image), 1, 1, 1, generator=generator)
            noise = strength * torch.randn(image.shape, generator=generator)
            noisy.append((image + noise.to(image)).clamp(0, 1))
        return tuple(noisy)

    def _scores(self, part: str) -> FusionScores:
        return cast(FusionScores, self.scores[part])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write down what the run began with, for the header of its weights."""
        checkpoint["origin"] = self.origin

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over what the run began with; a licence that it lacks may still be stated."""
        origin: dict[str, str] = checkpoint.get("origin", {})
        stated, inherited = (entries.get("licence", "") for entries in (self.origin, origin))
        self.origin |= origin | {"licence": agreed_licence(stated, inherited, "the run to resume")}

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the recipe."""
        optimizer = _optimizer(self.network, self.recipe.optimizer)
        schedule = self.recipe.schedule
        if schedule.name == "constant":
            return optimizer
        scheduler: torch.optim.lr_scheduler.LRScheduler
        if schedule.name == "steps":
            scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(schedule.milestones), schedule.gamma)
            return {"optimizer": optimizer, "lr_scheduler": scheduler}
        steps, share = int(self.trainer.estimated_stepping_batches), {"cosine": _cosine, "poly": _poly}[schedule.name]
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share(step, steps, schedule.warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _freeze(network: nn.Module, prefixes: tuple[str, ...]) -> list[nn.Module]:
    """Take parameters out of the training; the modules that hold them."""
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name, _ in network.named_parameters()):
            raise RecipeError(f"frozen: no parameter of the network begins with {prefix!r}")
    for name, parameter in network.named_parameters():
        if name.startswith(prefixes):
            parameter.requires_grad_(False)
    return [part for name, part in network.named_modules() if prefixes and name.startswith(prefixes)]


def _cosine(step: int, steps: int, warmup: int) -> float:
    """Share of the learning rate: a straight rise, then half a cosine that ends at 0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return (1 + math.cos(math.pi * min(1, (step - warmup) / max(1, steps - warmup)))) / 2


def _poly(step: int, steps: int, warmup: int) -> float:
    """Share of the learning rate: a geometric rise from 1/100, then a fall to 0 by a power of 0.9.

    >>> [round(_poly(step, 677_500, 1000), 6) for step in (0, 500, 1000, 338_750)]
    [0.01, 0.1, 1.0, 0.5366]
    """
    if step < warmup:
        return float(100 ** (step / warmup - 1))
    return float(max(0.0, 1 - (step - warmup) / max(1, steps - warmup)) ** 0.9)


def _optimizer(network: nn.Module, settings: Optimizer) -> torch.optim.Optimizer:
    prefixes = list(settings.groups)
    members: dict[str, list[nn.Parameter]] = {prefix: [] for prefix in ["", *prefixes]}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
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
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(
            groups,
            lr=settings.lr,
            alpha=settings.decay,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    kind = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=settings.lr, weight_decay=settings.weight_decay)
