"""``imfuse segment``: the classes of every pixel of a pair, or of two folders of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imfuse.cli._printing import console, say, warn
from imfuse.cli._sources import PairsOption, RecursiveOption, given_sources
from imfuse.cli._terminal import closing_line, count, few, progress_bar, warn_of_problems
from imfuse.cli.fuse import OrderOption, PaletteOption, RangeOption, ResizeOption, StrictOption, VisibleRangeOption
from imfuse.core.errors import PairError

if TYPE_CHECKING:
    from torch import Tensor

    from imfuse.tasks.segment.segmenter import Segmenter


def segment(
    infrared: Annotated[
        Path | None, typer.Argument(help="Infrared picture, or folder of them.", show_default=False)
    ] = None,
    visible: Annotated[
        Path | None, typer.Argument(help="Visible picture, or folder of them.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder: labels/NAME.png, overlay/NAME.png.")] = Path(
        "segmented"
    ),
    recursive: RecursiveOption = False,
    pairs: PairsOption = None,
    labels: Annotated[
        Path | None, typer.Option(help="Folder of true classes (PNG, 255 unknown): print how well they are recognised.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Method that segments. Default: psfusion_compact.", show_default=False)
    ] = None,
    weights: Annotated[str, typer.Option(help="Name of shipped weights, or a .safetensors file.")] = "default",
    range_: RangeOption = "auto",
    visible_range: VisibleRangeOption = "auto",
    resize: ResizeOption = None,
    strict: StrictOption = False,
    order: OrderOption = "check",
    infrared_palette: PaletteOption = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto or one that imfuse models lists, such as bfloat16.")] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Redo finished results and replace other files.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read, and as many that write.")] = 2,
) -> None:
    """Write the class of every pixel (as in MSRS: car, person, bike ...) and a picture with the classes painted in."""
    given = given_sources(infrared, visible, pairs, recursive)
    if labels is not None and not given.folders:
        raise PairError(f"--labels {labels}: of two folders of pictures; two files were given")
    from imfuse.tasks.segment.segmenter import Segmenter

    segmenter = Segmenter(
        model,
        weights,
        range=range_,
        visible_range=visible_range,
        device=device,
        dtype=dtype,
        resize=resize or False,
        strict=strict,
        order=order,
        infrared_palette=infrared_palette,
    )
    if not given.folders:
        _segment_files(segmenter, *given.files, output, overwrite)
        return
    with progress_bar() as progress:
        report = segmenter.folder(
            infrared,
            visible,
            output,
            recursive=recursive,
            pairs=pairs,
            labels=labels,
            overwrite=overwrite,
            progress=progress,
            workers=workers,
        )
    warn_of_problems(report)
    if report.unlabelled:
        warn(f"{count(len(report.unlabelled), 'pair')} without labels: {few(report.unlabelled)}")
    say(closing_line(report, "segmented", output))
    if report.counts is not None:
        _print_scores(report.counts)
    if report.failed:
        raise typer.Exit(1)


def _segment_files(segmenter: Segmenter, infrared: Path, visible: Path, output: Path, overwrite: bool) -> None:
    done = segmenter.files(infrared, visible, output, overwrite=overwrite)
    word = "" if done else " (finished before, nothing to do; --overwrite redoes it)"
    say(f"{output / 'labels' / visible.stem}.png, {output / 'overlay' / visible.stem}.png{word}")


def _print_scores(counts: Tensor) -> None:
    from rich.table import Table

    from imfuse.scenes.classes import CLASSES
    from imfuse.tasks.segment.scores import intersection_over_union, mean_iou, pixel_accuracy

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("CLASS", "PIXELS", "IoU"):
        table.add_column(heading, justify="left" if heading == "CLASS" else "right")
    pixels = counts.sum(1)
    overlaps = intersection_over_union(counts)
    for name, share, overlap in zip(CLASSES, (pixels / pixels.sum()).tolist(), overlaps.tolist(), strict=True):
        table.add_row(name, f"{100 * share:.2f} %", "absent" if overlap != overlap else f"{overlap:.4f}")
    table.add_row("mean", "", f"{mean_iou(counts).item():.4f}", style="bold")
    console().print(table)
    say(f"pixel accuracy {pixel_accuracy(counts).item():.4f}; classes that are absent from both do not count")
