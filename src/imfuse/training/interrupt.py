"""Ctrl-C ends a run after the step it is in, with a checkpoint: nothing is lost."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback


class SaveOnInterrupt(Callback):
    """On the first Ctrl-C the step is finished and saved; a second one ends the process where it is.

    A context around ``trainer.fit``, not a pair of hooks: Lightning restores the handlers that it replaced in between.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.pressed = False
        self._before: Any = None

    def __enter__(self) -> None:
        """Listen for Ctrl-C (Python allows that in the main thread alone)."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: Any) -> None:
        self.pressed = True
        signal.signal(signal.SIGINT, self._before)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        """Save and stop, if Ctrl-C was pressed in this step."""
        if self.pressed:
            trainer.save_checkpoint(self.checkpoint)
            raise Interrupted


class Interrupted(Exception):
    """Ends the training loop after a step that Ctrl-C came in."""
