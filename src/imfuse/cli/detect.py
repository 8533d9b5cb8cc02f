"""``imfuse detect``: objects in fused pictures, and how well they are found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imfuse.cli._detection_table import print_detection_scores
from imfuse.cli._fusing import (
    DtypeOption,
    ModelOption,
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
from imfuse.cli._sources import PairsOption, RecursiveOption, Sources, given_sources
from imfuse.cli._terminal import closing_line, count, few, progress_bar, warn_of_problems
from imfuse.core.errors import PairError
from imfuse.core.text import printable

if TYPE_CHECKING:
    from imfuse.tasks.detect.detecting import DetectionReport
    from imfuse.tasks.detect.finder import Finder
    from imfuse.tasks.detect.finding import Truth


def detect(
    infrared: Annotated[
        Path | None, typer.Argument(help="Infrared picture, or folder of them.", show_default=False)
    ] = None,
    visible: Annotated[
        Path | None, typer.Argument(help="Visible picture, or folder of them.", show_default=False)
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder: labels/NAME.txt, boxes/NAME.png, coco.json.")
    ] = Path("detected"),
    detector: Annotated[
        Path | None,
        typer.Option(
            "--detector",
            metavar="FILE",
            help="ONNX file of a detector, or .safetensors of imfuse train detector.",
            show_default=False,
        ),
    ] = None,
    fused: Annotated[
        Path | None,
        typer.Option("--fused", metavar="DIR", help="Folder of pictures instead of pairs: nothing is fused."),
    ] = None,
    recursive: RecursiveOption = False,
    pairs: PairsOption = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Folder of true boxes (YOLO text or VOC XML): print how well they are found."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(metavar="refinefuse|m3fd6|coco", help="Which classes are scored. Default: those of refinefuse."),
    ] = None,
    label_names: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Classes of the labels, one a line. Default: those of the protocol."),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(metavar="auto|yolov5|yolov8|nanodet|rtdetr|detr", help="What the outputs of the detector mean."),
    ] = "auto",
    names: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Classes of the detector, one a line. Default: what it tells, or COCO's 80."),
    ] = None,
    threshold: Annotated[float, typer.Option(help="Smallest score of a box.")] = 0.05,
    drawn: Annotated[float, typer.Option(help="Smallest score of a box that is drawn.")] = 0.3,
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Side of the detector's input, where it takes any. Default: what it tells, or 640."),
    ] = None,
    model: ModelOption = None,
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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...: where is fused.")] = "auto",
    dtype: DtypeOption = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Redo finished results and replace other files.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read, and as many that write.")] = 2,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the detector. Default: all cores.")] = None,
) -> None:
    """Fuse, find objects in the result, and write their boxes as YOLO text, as COCO JSON and drawn into pictures.

    With --labels it prints the average precision of each class and its mean, with bootstrap intervals over pictures.
    """
    if detector is None:
        raise typer.BadParameter("give --detector FILE, the file of a detector")
    for flag, value in (("--protocol", protocol), ("--label-names", label_names)):
        if value is not None and labels is None:
            raise PairError(f"{flag} {printable(value)}: of true boxes, --labels DIR")
    refuse_units(units, fused)
    given = _given(infrared, visible, pairs, recursive, fused, labels)
    from imfuse.fusing.alignment import checked_outside
    from imfuse.fusing.fuser import Fuser
    from imfuse.fusing.sides import checked_order
    from imfuse.imaging._resize import checked_resize
    from imfuse.tasks.detect.detecting import detect_files, detect_folder, detect_fused
    from imfuse.tasks.detect.finder import open_detector

    finder = open_detector(detector, layout, names, threshold, size, threads)
    if given is not None:
        fuser = Fuser(
            model,
            weights,
            range=range_,
            visible_range=visible_range,
            device=device,
            dtype=dtype,
            resize=checked_resize(resize or False),
            strict=strict,
            order=checked_order(order),
            infrared_palette=infrared_palette,
            units=units,
            rig=rig,
            outside=checked_outside(outside),
        )
        if not given.folders:
            _say_files(
                finder, detect_files(finder, fuser, *given.files, output, drawn=drawn, overwrite=overwrite), output
            )
            return
    with progress_bar() as progress:
        settings: dict[str, Any] = {
            "recursive": recursive,
            "truth": None if labels is None else _truth(labels, protocol, label_names),
            "drawn": drawn,
            "overwrite": overwrite,
            "progress": progress,
            "workers": workers,
        }
        if fused is not None:
            report = detect_fused(finder, fused, output, range=range_, **settings)
        else:
            report = detect_folder(finder, fuser, infrared, visible, output, pairs=pairs, **settings)
    _conclude(report, output, "pair" if fused is None else "picture")


def _given(
    infrared: Path | None,
    visible: Path | None,
    pairs: Path | None,
    recursive: bool,
    fused: Path | None,
    labels: Path | None,
) -> Sources | None:
    """Where pairs are; ``None`` for a folder of pictures that are not fused."""
    if fused is None:
        given = given_sources(infrared, visible, pairs, recursive, fused=True)
        if labels is not None and not given.folders:
            raise PairError(f"--labels {labels}: of two folders of pictures; two files were given")
        return given
    if infrared is not None or pairs is not None:
        raise typer.BadParameter("give pairs to fuse, or --fused DIR with pictures as they are")
    return None


def _truth(labels: Path, protocol: str | None, label_names: Path | None) -> Truth:
    from imfuse.tasks.detect.detector import read_names
    from imfuse.tasks.detect.finding import Truth

    return Truth(labels, protocol or "refinefuse", None if label_names is None else read_names(label_names))


def _say_files(detector: Finder, report: DetectionReport, output: Path) -> None:
    [(name, picture)] = report.boxes.items()
    counts = Counter(detector.names[number] for number in picture.boxes.classes)
    found = ", ".join(f"{number} {kind}" for kind, number in counts.most_common()) or "nothing found"
    word = " (finished before, nothing to do; --overwrite redoes it)" if report.skipped else ""
    say(f"{output / 'labels' / name}.txt, {output / 'boxes' / name}.png: {found}{word}")


def _conclude(report: DetectionReport, output: Path, noun: str) -> None:
    warn_of_problems(report)
    if report.unlabelled:
        warn(f"{count(len(report.unlabelled), noun)} without labels: {few(report.unlabelled)}")
    if report.lacking:
        warn(f"the detector cannot find {', '.join(report.lacking)}, left out of the mean")
    say(closing_line(report, "searched", output, noun))
    if report.scores is not None:
        print_detection_scores(report.scores, report.lacking)
    if report.failed:
        raise typer.Exit(1)
