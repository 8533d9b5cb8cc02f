"""Checkpoints of a run: when they are written, two generations of them, and what is read of them to continue."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from imfuse.core.checkpoint import load_torch_file
from imfuse.core.errors import RecipeError, WeightsError, first_line
from imfuse.core.files import open_input
from imfuse.core.notes import note
from imfuse.core.output import sync_folder
from imfuse.core.text import one_line
from imfuse.imaging import write_file
from imfuse.training.interrupt import Interrupted, StopSignals

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
_NEXT = "next.ckpt"


@dataclass(frozen=True)
class Position:
    """Where a run continues.

    Args:
        checkpoint: the file.
        step: optimiser steps that are done.
        batches: batches of the epoch that is not finished; 0 between two epochs.
    """

    checkpoint: Path
    step: int
    batches: int


class SaveLast(Checkpoint):
    """Writes ``last.ckpt`` at intervals, and when the run is to stop.

    Between steps, never between the batches that are accumulated for one, whose gradients no checkpoint has. After the
    last batch of an epoch only when its validation is done, which a run that continues would leave out.
    """

    def __init__(self, folder: Path, minutes: float, stop: StopSignals) -> None:
        self.path, self.seconds, self.stop = folder / LAST, 60 * minutes, stop

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Begin to count the time."""
        self.saved = time.monotonic()
        self.stop.listen_to_sigterm()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save if a step is done in the middle of an epoch."""
        if not trainer.is_last_batch and (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self._save_if_due(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Save between two epochs."""
        self._save_if_due(trainer)

    def _save_if_due(self, trainer: L.Trainer) -> None:
        # Processes that train together have to agree.
        agreed = trainer.strategy.reduce_boolean_decision
        stop = self.stop.received is not None
        if agreed(stop or time.monotonic() - self.saved >= self.seconds, all=False):
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()
            if agreed(stop, all=False):
                raise Interrupted


class CheckpointFiles(TorchCheckpointIO):
    """Files of checkpoints, each written beside its place, synced and renamed.

    Lightning's own writing goes through the system's temporary folder, from where a file is copied to another disk in
    the plain way: a disk that is full would leave half a checkpoint in the place of the last good one.

    Args:
        last_is_good: whether ``last.ckpt``, if there is one, may take the place of the older generation.
    """

    def __init__(self, *, last_is_good: bool = True) -> None:
        self.last_is_good = last_is_good

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; of ``last.ckpt`` the one before it is kept."""
        target = Path(path)
        _refuse_what_is_not_finite(checkpoint)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        if target.name != LAST:
            write_file(target, buffer.getvalue())
            return
        # At no time is there less than one whole checkpoint.
        following = target.with_name(_NEXT)
        write_file(following, buffer.getvalue())
        if self.last_is_good and target.exists():
            target.replace(target.with_name(PREVIOUS))
        following.replace(target)
        self.last_is_good = True
        sync_folder(target.parent)

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, as :func:`read_checkpoint` does."""
        return read_checkpoint(Path(path))


def _refuse_what_is_not_finite(checkpoint: Mapping[str, Any]) -> None:
    """No checkpoint of weights that are beyond help may take the place of one that is not."""
    for part in ("state_dict", "current_model_state"):
        for name, value in checkpoint.get(part, {}).items():
            if isinstance(value, Tensor) and not torch.isfinite(value).all():
                raise RecipeError(
                    f"{name.removeprefix('network.')} became NaN or infinite by step {checkpoint['global_step']}; "
                    "lower optimizer.lr or set clip"
                )


def find_position(folder: Path) -> Position | None:
    """Where the run in a folder continues: after the newest of its checkpoints that can be read.

    Returns:
        ``None`` where there are no checkpoints yet.

    Raises:
        WeightsError: there are checkpoints, and none can be read.
    """
    damaged: list[str] = []
    for name in (LAST, PREVIOUS):
        if not os.path.lexists(folder / name):
            continue
        try:
            position = _position_after(folder / name)
        except WeightsError as error:
            damaged.append(error.message)
            continue
        if damaged:
            note(f"{damaged[0]}; the run continues from the one before it, {name}, after step {position.step}")
        return position
    if damaged:
        raise WeightsError("; ".join(damaged), "use output=... to begin again in another folder")
    return None


def _position_after(path: Path) -> Position:
    state = read_checkpoint(path)
    try:
        batches = state["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        done = 0 if batches["is_last_batch"] else int(batches["current"]["processed"])
        return Position(path, int(state["global_step"]), done)
    except Exception as error:
        raise _unusable(path, f"it has no {first_line(error)}") from None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """State of a run, checked: PyTorch does not look whether bits of it have changed.

    Raises:
        WeightsError: the file cannot be read, is damaged, or holds something else.
    """
    state: dict[str, Any] = load_torch_file(path)
    with open_input(path, WeightsError, "a checkpoint") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                if damaged := archive.testzip():
                    raise _unusable(path, f"its part {damaged} is damaged")
            if "loops" in state:
                _settle(state["loops"]["fit_loop"])
        except zipfile.BadZipFile:
            raise _unusable(path, "it is cut off, or something else") from None
        except (KeyError, TypeError, ValueError) as error:
            raise _unusable(path, first_line(error)) from None
    return state


def _unusable(path: Path, reason: str) -> WeightsError:
    return WeightsError(f"{path}: not a checkpoint to resume from ({one_line(reason):.200})")


def _settle(fit_loop: dict[str, Any]) -> None:
    """Bring Lightning's counters to one of two states: in an epoch after a batch, or between two epochs.

    Left as they are, those of a checkpoint after the last batch of an epoch let the next epoch begin uncounted. A
    checkpoint in that one then reads as if it had not begun: it would be trained twice.
    """
    epochs, batches = fit_loop["epoch_progress"], fit_loop["epoch_loop.batch_progress"]
    between = bool(batches["is_last_batch"])
    after_batch = batches["current"]["completed"] < batches["current"]["processed"]
    finished = epochs["current"]["processed"] + (between and after_batch)
    begun = finished if between else finished + 1
    for counts in (epochs["total"], epochs["current"]):
        counts |= {"ready": begun, "started": begun, "processed": finished, "completed": finished}
    for counts in (batches["total"], batches["current"]):
        done = counts["processed"]
        counts |= {"ready": done, "started": done, "completed": done if between else done - 1}
