"""The batches of a run: training crops, from where a stopped run was, and whole validation pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import lightning as L
from torch import Tensor
from torch.utils.data import DataLoader

from imfuse.data.augment import Augmentation
from imfuse.data.crops import CropPlan
from imfuse.data.pairs import LoadedPair, PairFiles, TrainingPairs, WholePairs, rendered_pairs
from imfuse.training.batches import EpochBatches
from imfuse.training.objective import build_objective, wants_colour
from imfuse.training.recipe import Recipe


class Loaders(L.LightningDataModule):
    """Loaders of a run. They are made per process, so that each process gets its own share.

    Args:
        recipe: what decides crops, changes and batches.
        train: pairs to train on.
        validation: pairs that are held out.
        cache: decoded pairs by their keys; what is not among them is read when it is needed.
        skip: batches of the first epoch that a stopped run has had.
    """

    def __init__(
        self,
        recipe: Recipe,
        train: list[PairFiles],
        validation: list[PairFiles],
        cache: dict[str, LoadedPair],
        skip: int = 0,
    ) -> None:
        super().__init__()
        data, colour = recipe.data, wants_colour(recipe)
        augmentation = Augmentation(**data.augment.model_dump())
        scenes = rendered_pairs(data.rendered, colour=colour, varied=data.varied)
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
            data.shares,
        )
        self.validation: Sequence[PairFiles | LoadedPair] = [*validation, *scenes[len(scenes) - held_out :]]
        self.files, self.cache = len(train), cache
        self.skip = skip

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

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Whole validation pairs, one by one, all of them in each process."""
        return DataLoader(WholePairs(self.validation, self.cache, wants_colour(self.recipe)))
