"""The order of items: a function of seed, epoch and process alone, so that a run can continue from any step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index). ``skip`` leaves out the first batches of the next pass: those before a stop."""

    def __init__(
        self, length: int, batch_size: int, shuffle: bool, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        self.length, self.batch_size, self.shuffle, self.seed = length, batch_size, shuffle, seed
        self.rank, self.processes = rank, processes
        self.epoch = 0
        self.skip = 0
        # Lightning looks for set_epoch in the sampler of a batch sampler.
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning when an epoch begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        # Every process gets the same number of items, or the last step would wait for ever.
        share = -(-self.length // self.processes)
        return -(-share // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.arange(self.length)
        if self.shuffle:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        missing = -self.length % self.processes
        mine = np.concatenate([order, np.resize(order, missing)])[self.rank :: self.processes]
        skip, self.skip = self.skip, 0
        for batch in range(skip, len(self)):
            part = mine[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [(self.epoch, int(index)) for index in part]
