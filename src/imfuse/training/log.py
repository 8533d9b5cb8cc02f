"""What a run leaves behind to be read: JSON lines of steps and of validations, and a picture of the curves."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from imfuse.core.errors import RecipeError
from imfuse.core.files import read_input
from imfuse.core.notes import note
from imfuse.imaging import write_file

LOG = "log.jsonl"
LINES = 1000
"""How many lines the steps of a whole run have at most; of longer runs a line is the mean of several steps."""
_MAX_BYTES = 1 << 30


class JsonLines(Callback):
    """Writes ``log.jsonl``: what was logged in the optimiser's steps, and the scores of each validation."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def state_dict(self) -> dict[str, Any]:
        """What has no line yet, for a run that continues."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with what had no line yet."""
        self.sums, self.counts = dict(state_dict["sums"]), dict(state_dict["counts"])

    def forget_after(self, step: int) -> None:
        """Drop the lines of steps that are about to be done again."""
        rows = [row for row in read_log(self.path) if row["step"] <= step]
        write_file(self.path, "".join(map(_line, rows)).encode(), through_links=False)

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Steps to a line are a matter of the whole run, however often it is stopped."""
        self.steps = int(trainer.estimated_stepping_batches)
        self.every = math.ceil(self.steps / LINES)

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Keep the rate of this batch: its end may set the next one."""
        self.lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add the step that ended, by the last batch that was accumulated for it; a line where enough came together."""
        if not trainer.is_last_batch and (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        for name, value in {"lr": self.lr, **_values(trainer, of_validation=False)}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        if trainer.global_step % self.every == 0 or trainer.global_step == self.steps:
            self._append(trainer, "train", {name: value / self.counts[name] for name, value in self.sums.items()})
            self.sums, self.counts = {}, {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """One line for the validation that ended."""
        if not trainer.sanity_checking:
            self._append(trainer, "validation", _values(trainer, of_validation=True))

    def _append(self, trainer: L.Trainer, split: str, values: dict[str, float]) -> None:
        if trainer.is_global_zero:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(
                    _line({"step": trainer.global_step, "epoch": trainer.current_epoch, "split": split, **values})
                )


def _values(trainer: L.Trainer, of_validation: bool) -> dict[str, float]:
    """What was logged, by name."""
    return {
        name.removeprefix("val_"): float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith("val_") is of_validation and name != "train_loss"
    }


def _line(row: dict[str, Any]) -> str:
    """A row as a line, its numbers with six digits: more would be noise."""
    short = {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in row.items()}
    return json.dumps(short) + "\n"


def read_log(path: Path) -> list[dict[str, Any]]:
    """Rows of a log; a last line that a kill cut short is left out, and, with a note, others that are none of ours."""
    if not path.is_file() or path.stat().st_size == 0:
        return []
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    lines = read_input(path, RecipeError, "the log of a training", _MAX_BYTES, fixed=True).splitlines()
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
    content = io.BytesIO()
    figure.savefig(content, dpi=120, format=picture.suffix[1:])
    write_file(picture, content.getvalue(), through_links=False)
