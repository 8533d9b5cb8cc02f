"""What a run leaves behind to be read: a JSON line per step and validation, and a picture of the curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from imfuse.core.notes import note
from imfuse.imaging import write_file

LOG = "log.jsonl"


class JsonLines(Callback):
    """Writes ``log.jsonl``: what was logged in each optimiser step, and the scores of each validation."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG

    def forget_after(self, step: int) -> None:
        """Drop the lines of steps that are about to be done again."""
        rows = [row for row in read_log(self.path) if row["step"] <= step]
        write_file(self.path, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Keep the rate of this batch: its end may set the next one."""
        self.lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """One line for the step that ended, of the last batch that was accumulated for it."""
        if trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self._write(trainer, {"split": "train", "lr": self.lr}, prefix="val_", with_prefix=False)

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """One line for the validation that ended."""
        if not trainer.sanity_checking:
            self._write(trainer, {"split": "validation"}, prefix="val_", with_prefix=True)

    def _write(self, trainer: L.Trainer, row: dict[str, Any], prefix: str, with_prefix: bool) -> None:
        if not trainer.is_global_zero:
            return
        values = {
            name.removeprefix(prefix): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith(prefix) is with_prefix and name != "train_loss"
        }
        self._append({"step": trainer.global_step, "epoch": trainer.current_epoch, **row, **values})

    def _append(self, row: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Rows of a log; a last line that a kill cut short is left out, and, with a note, others that are none of ours."""
    if not path.is_file():
        return []
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    lines = path.read_bytes().splitlines()
    foreign = 0
    for number, line in enumerate(lines, 1):
        row = _row(line)
        if row is not None:
            # A validation that a resumed run did again stands once.
            rows[row["step"], row["split"]] = row
        elif number < len(lines):
            foreign += 1
    if foreign:
        note(f"{path}: {foreign} of {len(lines)} lines are not of a training and are left out")
    return list(rows.values())


def _row(line: bytes) -> dict[str, Any] | None:
    """A row of a log: numbers by name, and whose they are; ``None`` where a line is something else."""
    try:
        row = json.loads(line)
        numbers = {name: value for name, value in row.items() if name != "split"}
        known = isinstance(row["step"], int) and row["split"] in ("train", "validation")
        return row if known and all(type(value) in (int, float) for value in numbers.values()) else None
    # A RecursionError is one of brackets in brackets.
    except (ValueError, KeyError, AttributeError, RecursionError):
        return None


def draw_curves(log: Path, picture: Path) -> None:
    """Draw loss, its parts and the validation scores of a log as a PNG or SVG picture."""
    from matplotlib.figure import Figure

    rows = read_log(log)
    train = [row for row in rows if row["split"] == "train"]
    validation = [row for row in rows if row["split"] == "validation"]
    meta = {"step", "epoch", "split", "lr"}
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in sorted({key for row in train for key in row} - meta):
        points = [(row["step"], row[name]) for row in train if name in row]
        left.plot(*zip(*points, strict=True), label=name, linewidth=1.8 if name == "loss" else 0.9)
    left.set(
        xlabel="step", title="training", yscale="log" if all(row.get("loss", 0) > 0 for row in train) else "linear"
    )
    scores = sorted({key for row in validation for key in row} - meta)
    for name in scores:
        points = [(row["step"], row[name]) for row in validation if name in row]
        right.plot(*zip(*points, strict=True), label=name, marker=".")
    right.set(xlabel="step", title="validation" if scores else "no validation in this recipe")
    for axes in (left, right) if scores else (left,):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    if not scores:
        rates = [(row["step"], row["lr"]) for row in train if "lr" in row]
        right.plot(*zip(*rates, strict=True))
        right.set(title="learning rate", yscale="log")
        right.grid(alpha=0.3)
    figure.savefig(picture, dpi=120)
