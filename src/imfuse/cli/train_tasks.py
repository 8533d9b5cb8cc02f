"""``imfuse train detector`` and ``imfuse train segmenter``: networks that judge fused pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imfuse.cli._detection_table import print_detection_scores
from imfuse.cli._printing import console, say, tell
from imfuse.cli._segmentation_table import print_segmentation_scores
from imfuse.cli._words import parse_size
from imfuse.core.errors import RecipeError
from imfuse.core.text import printable

if TYPE_CHECKING:
    from imfuse.core.boxes import Boxes
    from imfuse.tasks.fit import FitSettings
    from imfuse.tasks.parts import Parts, Select

Fused = Annotated[Path | None, typer.Option(metavar="DIR", help="Pictures to train on, fused or of one camera.")]
Infrared = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Infrared pictures of the same names: a fourth channel.")
]
Rendered = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Instead of --fused: train on N rendered scenes.")
]
FuseWith = Annotated[
    str,
    typer.Option(metavar="METHOD", help="What fuses rendered scenes: a method; or visible, infrared, mean, stacked."),
]
Weights = Annotated[str, typer.Option(help="Of the fusion method: shipped ones, or a .safetensors file.")]
Size = Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Of rendered scenes.")]
Test = Annotated[float, typer.Option(metavar="SHARE", help="Share of the pictures that are held out and scored.")]
Held = Annotated[float, typer.Option("--validation", metavar="SHARE", help="Share that weights may be chosen by.")]
SplitSeed = Annotated[int, typer.Option(min=0, help="Of the split; keep it where trainings are compared.")]
Select_ = Annotated[
    str,
    typer.Option(
        metavar="last|validation|test",
        help="Weights that are kept: the last, or of the best validation. test: best on the test part, as some authors "
        "did; its scores are too good.",
    ),
]
Every = Annotated[int, typer.Option(min=1, help="Steps between two validations.")]
Steps = Annotated[int, typer.Option(help="Budget of the training.")]
BatchSize = Annotated[int, typer.Option(help="Pictures in a step.")]
Crop = Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="What is seen of each picture.")]
Rate = Annotated[float, typer.Option(help="Highest learning rate.")]
Seed = Annotated[int, typer.Option(help="Of first weights, order and crops.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --output after a stop.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]
Threads = Annotated[int, typer.Option(help="Processor threads; 0 takes all.")]


def detector(
    fused: Fused = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Boxes in files named as the pictures: YOLO text or VOC XML.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Names of the classes in the order of the label files.")
    ] = None,
    infrared: Infrared = None,
    rendered: Rendered = None,
    fuse_with: FuseWith = "refinefuse",
    weights: Weights = "default",
    size: Size = "320x240",
    test: Test = 0.1,
    validation: Held = 0.1,
    split_seed: SplitSeed = 0,
    select: Select_ = "last",
    every: Every = 200,
    steps: Steps = 2000,
    batch: BatchSize = 8,
    crop: Crop = "208x160",
    lr: Rate = 2e-3,
    seed: Seed = 0,
    output: Output = Path("runs/detector"),
    resume: Resume = False,
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Train our small detector on fused pictures with boxes, and score it on those that are held out.

    imfuse train detector --fused fused/auif --labels labels --classes People,Car,Bus,Lamp,Motorcycle,Truck -o RUN

    imfuse train detector --rendered 200 --fuse-with refinefuse -o RUN
    """
    from imfuse.scenes.classes import DETECTED
    from imfuse.tasks.detect.train import WEIGHTS, train_detector

    names = _class_names(classes) if classes else list(DETECTED)
    if rendered is None and not classes:
        raise RecipeError("name the classes of the label files in their order, classes='person,car,...'")
    if rendered is not None and classes:
        raise RecipeError(f"--classes is of --labels; rendered scenes have {', '.join(DETECTED)}")
    settings, kept = _settings(steps, batch, crop, lr, seed, device, threads), _select(select)
    parts = _parts(
        fused,
        labels,
        infrared,
        rendered,
        classes=len(names),
        read_boxes=partial(_read_boxes, names),
        rendering={"method": fuse_with, "weights": weights, "size": size, "device": device},
        split={"seed": split_seed, "validation": validation, "test": test},
    )
    _announce(parts, settings, output)
    with _progress_bar() as progress:
        run = train_detector(parts, names, settings, output, select=kept, every=every, resume=resume, progress=progress)
    say(f"weights: {output / WEIGHTS} (after step {run.fitted.step})")
    say(f"log:     {output / 'log.jsonl'}")
    if run.known:
        print_detection_scores(run.scores())


def segmenter(
    model: Annotated[str, typer.Option(help="Network, such as segformer_compact; a wrong name lists all.")] = (
        "segformer_compact"
    ),
    fused: Fused = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="PNG files of class numbers, named as the pictures; or MSRS, or MFNet."),
    ] = None,
    number: Annotated[
        int, typer.Option("--number", min=2, max=255, help="How many classes there are, the unlabelled one counted.")
    ] = 9,
    bands: Annotated[
        str | None, typer.Option(metavar="N,N,N[,N]", help="Which bands of --fused are meant; a fourth is infrared.")
    ] = None,
    balance: Annotated[
        bool, typer.Option("--balance", help="Weigh rare classes up in the loss; the papers' objectives do not.")
    ] = False,
    trap: Annotated[
        list[str] | None,
        typer.Option(
            metavar="test-statistics|unknown-in-mean|fixed-order",
            help="What some published trainings do beside their papers (repeatable); makes scores hard to compare.",
        ),
    ] = None,
    infrared: Infrared = None,
    rendered: Rendered = None,
    fuse_with: FuseWith = "refinefuse",
    weights: Weights = "default",
    size: Size = "320x240",
    test: Test = 0.1,
    validation: Held = 0.1,
    split_seed: SplitSeed = 0,
    select: Select_ = "last",
    every: Every = 200,
    steps: Steps = 2000,
    batch: BatchSize = 8,
    crop: Crop = "208x160",
    lr: Rate = 1e-3,
    seed: Seed = 0,
    output: Output = Path("runs/segmenter"),
    resume: Resume = False,
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Train a segmentation network on fused pictures with labels, and score it on those that are held out.

    imfuse train segmenter --model segformer_compact --fused fused/auif --labels labels -o RUN

    imfuse train segmenter --rendered 200 --fuse-with refinefuse -o RUN
    """
    from imfuse.tasks.segment.networks import network_class
    from imfuse.tasks.segment.train import WEIGHTS, train_segmenter
    from imfuse.tasks.segment.traps import checked_traps

    # What is wrong with a name comes before pictures are read or rendered.
    network_class(model)
    traps = checked_traps(trap or ())
    settings, kept = _settings(steps, batch, crop, lr, seed, device, threads), _select(select)
    parts = _parts(
        fused,
        labels,
        infrared,
        rendered,
        classes=number,
        bands=bands,
        rendering={"method": fuse_with, "weights": weights, "size": size, "device": device},
        split={"seed": split_seed, "validation": validation, "test": test},
    )
    _announce(parts, settings, output)
    with _progress_bar() as progress:
        run = train_segmenter(
            model,
            parts,
            number,
            settings,
            output,
            select=kept,
            every=every,
            balance=balance,
            traps=traps,
            resume=resume,
            progress=progress,
        )
    say(f"weights: {output / WEIGHTS} (after step {run.fitted.step})")
    say(f"log:     {output / 'log.jsonl'}")
    if len(run.counts):
        print_segmentation_scores(run.counts)


def _class_names(classes: str) -> list[str]:
    names = [name.strip() for name in classes.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise RecipeError(f"classes={classes!r}: a name for each class, each another one, is expected")
    return names


def _read_boxes(names: Sequence[str], path: Path, size: tuple[int, int]) -> Boxes:
    from imfuse.tasks.detect.labels import read_boxes

    return read_boxes(path, size, names)


def _parts(
    fused: Path | None,
    labels: Path | None,
    infrared: Path | None,
    rendered: int | None,
    *,
    classes: int,
    read_boxes: Callable[[Path, tuple[int, int]], Boxes] | None = None,
    bands: str | None = None,
    rendering: dict[str, str],
    split: dict[str, Any],
) -> Parts:
    from imfuse.tasks.folders import find_examples
    from imfuse.tasks.parts import folder_parts, rendered_parts

    if (rendered is None) == (fused is None) or (fused is None) != (labels is None):
        raise RecipeError("give pictures as --fused DIR with --labels DIR, or --rendered N for rendered scenes")
    if rendered is not None:
        if bands is not None:
            raise RecipeError(f"bands={bands!r} is of --fused; rendered scenes have their own")
        if infrared is not None:
            raise RecipeError("--infrared is of --fused; rendered scenes have it by --fuse-with stacked")
        height, width = parse_size(rendering["size"], "size")
        method, weights, device = rendering["method"], rendering["weights"], rendering["device"]
        return rendered_parts(method, rendered, height=height, width=width, weights=weights, device=device)
    assert fused is not None
    assert labels is not None
    files = find_examples(fused, labels, boxes=read_boxes is not None, infrared=infrared)
    origin = f"{len(files)} pictures of {printable(fused.name)}{' with infrared' if infrared else ''}"
    return folder_parts(files, classes, read_boxes=read_boxes, bands=bands, origin=origin, **split)


def _settings(steps: int, batch: int, crop: str, lr: float, seed: int, device: str, threads: int) -> FitSettings:
    from imfuse.tasks.fit import FitSettings

    return FitSettings(
        steps=steps, batch=batch, crop=parse_size(crop, "crop"), lr=lr, seed=seed, device=device, threads=threads
    )


def _select(word: str) -> Select:
    words: dict[str, Select] = {"last": "last", "validation": "validation", "test": "test"}
    if word not in words:
        raise RecipeError(f"select={word!r}: one of {', '.join(words)} is expected")
    return words[word]


def _announce(parts: Parts, settings: FitSettings, output: Path) -> None:
    sizes = f"{len(parts.train)} to train on, {len(parts.validation)} to choose by, {len(parts.test)} held out"
    tell(f"{parts.origin}: {sizes}; {settings.steps} steps; run in {output}")


@contextmanager
def _progress_bar() -> Iterator[Callable[[int, int, float], None] | None]:
    """A bar with the loss and the time left, on a terminal; nothing elsewhere."""
    terminal = console(stderr=True)
    if not terminal.is_terminal:
        yield None
        return
    from rich import progress as rich

    columns = (rich.BarColumn(), rich.MofNCompleteColumn(), rich.TextColumn("loss {task.fields[loss]:.3f}"))
    with rich.Progress(*columns, rich.TimeRemainingColumn(), console=terminal, transient=True) as bar:
        task = bar.add_task("train", total=None, loss=0.0)
        yield lambda done, total, loss: bar.update(task, completed=done, total=total, loss=loss)
