"""How well classes are recognised, as a table on the terminal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from imfuse.cli._printing import console, say
from imfuse.cli._terminal import count

if TYPE_CHECKING:
    from torch import Tensor

ABSENT = "absent"


def print_segmentation_scores(each: Tensor) -> None:
    """Print scores of the confusion matrices of pictures: of one matrix over all, with intervals over the pictures."""
    from rich.table import Table

    from imfuse.scenes.classes import class_names
    from imfuse.tasks.segment.scores import (
        bootstrap_interval,
        class_accuracy,
        intersection_over_union,
        mean_iou,
        pixel_accuracy,
    )

    counts = each.sum(0)
    pixels, names = counts.sum(1), class_names(len(counts))
    overlaps, accuracies = intersection_over_union(counts), class_accuracy(counts)
    ends = bootstrap_interval(each, intersection_over_union)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("CLASS", "PIXELS", "IoU", "95 % INTERVAL", "ACCURACY"):
        table.add_column(heading, justify="left" if heading == "CLASS" else "right")
    columns = ((pixels / pixels.sum()).tolist(), overlaps.tolist(), *(end.tolist() for end in ends))
    for name, share, overlap, low, high, accuracy in zip(names, *columns, accuracies.tolist(), strict=True):
        known = overlap == overlap
        found = (_number(overlap), _interval(low, high)) if known else (ABSENT, "")
        table.add_row(name, f"{100 * share:.2f} %", *found, _number(accuracy))
    for words, background in (("mean", True), (f"mean without {names[0]}", False)):
        score = partial(mean_iou, background=background)
        low, high = (end.item() for end in bootstrap_interval(each, score))
        accuracy = accuracies[0 if background else 1 :].nanmean().item()
        table.add_row(words, "", _number(score(counts).item()), _interval(low, high), _number(accuracy), style="bold")
    console().print(table)
    say(
        f"pixel accuracy {pixel_accuracy(counts).item():.4f}; one matrix over {count(len(each), 'picture')}, of which "
        "intervals are bootstrapped; classes that are absent from labels and results do not count"
    )


def _number(value: float) -> str:
    return f"{value:.4f}" if value == value else ""


def _interval(low: float, high: float) -> str:
    return f"{low:.4f}..{high:.4f}" if low == low else ""
