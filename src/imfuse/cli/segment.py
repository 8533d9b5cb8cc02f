"""``imfuse segment``: the classes of every pixel of a pair, of two folders of them, or of pictures made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imfuse.cli._fusing import (
    DeviceOption,
    DtypeOption,
    OrderOption,
    PaletteOption,
    RangeOption,
    ResizeOption,
    StrictOption,
    VisibleRangeOption,
    WeightsOption,
)
from imfuse.cli._printing import say, warn
from imfuse.cli._reading import UnitsOption, refuse_units
from imfuse.cli._rig import OutsideOption, RigOption
from imfuse.cli._segmentation_table import print_segmentation_scores
from imfuse.cli._sources import PairsOption, RecursiveOption, given_sources
from imfuse.cli._terminal import closing_line, count, few, progress_bar, warn_of_problems
from imfuse.core.errors import ModelError, PairError
from imfuse.core.files import stem_of
from imfuse.core.text import printable

if TYPE_CHECKING:
    from imfuse.tasks.segment.pictures import PictureSegmenter
    from imfuse.tasks.segment.segmenter import SegmentationReport, Segmenter


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
        Path | None,
        typer.Option(help="Folder of true classes (PNG, 255 unknown), or MSRS, or MFNet: print scores."),
    ] = None,
    fused: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures made elsewhere, instead of pairs; with --segmenter.", show_default=False),
    ] = None,
    segmenter: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Trained segmentation network, for --fused or what --model fuses."),
    ] = None,
    infrared_folder: Annotated[
        Path | None,
        typer.Option("--infrared", metavar="DIR", help="Infrared pictures beside --fused, for four channels."),
    ] = None,
    bands: Annotated[
        str | None, typer.Option(metavar="N,N,N[,N]", help="Which bands of --fused are meant; a fourth is infrared.")
    ] = None,
    augmented: Annotated[
        bool,
        typer.Option(
            "--augmented", help="With --segmenter: several sizes, and mirrored, as published; tuned on test pictures."
        ),
    ] = False,
    random_bases: Annotated[
        bool, typer.Option("--random-bases", help="With a SegNeXt: other bases for every picture, as published.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Method that segments, or fuses for --segmenter. Default: psfusion_compact, or that of imfuse fuse.",
            show_default=False,
        ),
    ] = None,
    weights: WeightsOption = "default",
    range_: RangeOption = "auto",
    visible_range: VisibleRangeOption = "auto",
    resize: ResizeOption = None,
    strict: StrictOption = False,
    order: OrderOption = "check",
    infrared_palette: PaletteOption = "auto",
    units: UnitsOption = "auto",
    rig: RigOption = None,
    outside: OutsideOption = "visible",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Redo finished results and replace other files.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read, and as many that write.")] = 2,
) -> None:
    """Write the class of every pixel (as in MSRS: car, person, bike ...) and a picture with the classes painted in."""
    refuse_units(units, fused)
    if fused is not None:
        if infrared is not None or visible is not None or pairs is not None:
            raise typer.BadParameter("give INFRARED and VISIBLE, --pairs FILE, or --fused DIR")
        if segmenter is None:
            raise ModelError("--fused: pictures that are fused already are segmented by --segmenter FILE")
        from imfuse.tasks.segment.pictures import PictureSegmenter

        network = PictureSegmenter(
            segmenter, bands=bands, device=device, augmented=augmented, random_bases=random_bases
        )
        settings = {"recursive": recursive, "overwrite": overwrite, "workers": workers}
        _segment_pictures(network, fused, output, infrared_folder, labels, settings)
        return
    for flag, value in (("--infrared", infrared_folder), ("--bands", bands)):
        if value is not None:
            raise PairError(f"{flag} {value}: of pictures made elsewhere, --fused DIR")
    given = given_sources(infrared, visible, pairs, recursive, fused=True)
    if labels is not None and not given.folders:
        raise PairError(f"--labels {labels}: of two folders of pictures; two files were given")
    from imfuse.tasks.segment.segmenter import Segmenter

    method = Segmenter(
        model,
        weights,
        segmenter,
        augmented=augmented,
        random_bases=random_bases,
        range=range_,
        visible_range=visible_range,
        device=device,
        dtype=dtype,
        resize=resize or False,
        strict=strict,
        order=order,
        infrared_palette=infrared_palette,
        units=units,
        rig=rig,
        outside=outside,
    )
    if not given.folders:
        _segment_files(method, *given.files, output, overwrite)
        return
    with progress_bar() as progress:
        report = method.folder(
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
    _close(report, output, labels)


def _segment_pictures(
    network: PictureSegmenter,
    fused: Path,
    output: Path,
    infrared: Path | None,
    labels: Path | None,
    settings: Mapping[str, Any],
) -> None:
    with progress_bar() as progress:
        report = network.folder(fused, output, infrared=infrared, labels=labels, progress=progress, **settings)
    _close(report, output, labels, "picture")


def _close(report: SegmentationReport, output: Path, labels: Path | None, noun: str = "pair") -> None:
    """Say what became of a folder, and how well classes were found. Exit code 1 where something failed."""
    warn_of_problems(report)
    if report.unlabelled:
        warn(f"{count(len(report.unlabelled), noun)} without labels: {few(report.unlabelled)}")
    say(closing_line(report, "segmented", output, noun))
    if report.each is not None and len(report.each):
        print_segmentation_scores(report.each)
    elif labels is not None and not report.failed:
        warn(f"{printable(labels)}: no labels of what was segmented; PNG files of the same names are expected")
    if report.failed:
        raise typer.Exit(1)


def _segment_files(segmenter: Segmenter, infrared: Path, visible: Path, output: Path, overwrite: bool) -> None:
    done = segmenter.files(infrared, visible, output, overwrite=overwrite)
    word = "" if done else " (finished before, nothing to do; --overwrite redoes it)"
    name = stem_of(visible)
    say(f"{output / 'labels' / name}.png, {output / 'overlay' / name}.png{word}")
