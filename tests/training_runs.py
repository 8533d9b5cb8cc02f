"""What tests of trainings share."""

from __future__ import annotations

from lightning.pytorch.callbacks import Callback


class StopAfter(Callback):
    """Ends a run in the middle of an epoch, as a crash would: without the closing checkpoint."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_train_batch_end(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            raise ConnectionError("stopped")
